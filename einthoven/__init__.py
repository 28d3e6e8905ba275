"""Einthoven: restores and judges electrocardiograms with diffusion models."""
