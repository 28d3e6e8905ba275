"""Diffusion models of clean scalograms."""
