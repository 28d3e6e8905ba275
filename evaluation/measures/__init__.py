"""How far measures of ECGs are off: delineation against cardiologists, and restored ECGs against the true ones."""
