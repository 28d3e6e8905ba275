"""How well swapped electrodes are found, and how often a right recording is called swapped."""
