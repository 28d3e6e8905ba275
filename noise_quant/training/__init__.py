"""How the models of scalograms are trained."""
