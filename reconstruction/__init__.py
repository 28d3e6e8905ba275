"""Reconstruction: operators, likelihoods, posterior samplers, and `reconstruct`, which uses them on a recording."""

from reconstruction.api import reconstruct
from reconstruction.result import Reconstruction

__all__ = ["Reconstruction", "reconstruct"]
