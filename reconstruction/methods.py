"""The posterior samplers by name."""

from reconstruction.amortised import AmortisedSampler
from reconstruction.ddnm import DDNM
from reconstruction.decoupled import DecoupledSampler
from reconstruction.diffpir import DiffPIR
from reconstruction.dps import DPS
from reconstruction.fourier_em import FourierEM
from reconstruction.mgps import MGPS
from reconstruction.pigdm import PiGDM
from reconstruction.posterior_sampler import PosteriorSampler
from reconstruction.red_diff import REDDiff
from reconstruction.repaint import RePaint
from reconstruction.spectral_em import SpectralEM

METHODS: dict[str, type[PosteriorSampler]] = {
    "amortised": AmortisedSampler,
    "mgps": MGPS,
    "decoupled": DecoupledSampler,
    "ddnm": DDNM,
    "diffpir": DiffPIR,
    "repaint": RePaint,
    "dps": DPS,
    "pigdm": PiGDM,
    "red_diff": REDDiff,
}
BLIND_METHODS: dict[str, type[PosteriorSampler]] = {"spectral_em": SpectralEM, "fourier_em": FourierEM}
"""Samplers that estimate the noise too, from the one of the likelihood."""
