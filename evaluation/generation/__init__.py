"""How real generated ECGs are."""
