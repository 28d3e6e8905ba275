"""The store of ECGs: one folder of one rate, length and set of leads, and how it is built."""
