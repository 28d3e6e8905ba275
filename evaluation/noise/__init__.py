"""How well noise scores tell clean from noisy leads."""
