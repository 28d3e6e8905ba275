"""Reconstruction: operators, likelihoods, posterior samplers, and `reconstruct`, which uses them on a recording."""

from reconstruction.api import Reconstruction, reconstruct

__all__ = ["Reconstruction", "reconstruct"]
