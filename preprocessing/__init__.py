"""Records, leads, units, files, filters and the dataset store: what every other package reads from."""
