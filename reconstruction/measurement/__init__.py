"""What was measured of an ECG, and how probable it is."""
