"""Noise scores: of a recording, of a data set, and what they mean."""
