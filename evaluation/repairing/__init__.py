"""How well recordings are repaired: clean ones, damaged on purpose."""
