"""How the prior, and every other network here, is trained."""
