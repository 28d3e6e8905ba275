"""How the packaged finder is fitted."""
