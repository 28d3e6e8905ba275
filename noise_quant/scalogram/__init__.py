"""Scalograms: the superlet transform, its images and their store."""
