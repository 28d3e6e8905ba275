"""Trained networks that our samplers are compared with."""
