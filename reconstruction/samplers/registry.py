"""The posterior samplers by name."""

from reconstruction.rivals.descod import Descod
from reconstruction.rivals.unet_denoiser import UNetDenoiser
from reconstruction.rivals.unet_regression import UNetRegression
from reconstruction.samplers.amortised import AmortisedSampler
from reconstruction.samplers.base import PosteriorSampler
from reconstruction.samplers.ddnm import DDNM
from reconstruction.samplers.decoupled import DecoupledSampler
from reconstruction.samplers.diffpir import DiffPIR
from reconstruction.samplers.dps import DPS
from reconstruction.samplers.fourier_em import FourierEM
from reconstruction.samplers.mgps import MGPS
from reconstruction.samplers.pigdm import PiGDM
from reconstruction.samplers.red_diff import REDDiff
from reconstruction.samplers.repaint import RePaint
from reconstruction.samplers.spectral_em import SpectralEM

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
RIVALS: dict[str, type[PosteriorSampler]] = {
    "unet_regression": UNetRegression,
    "descod": Descod,
    "unet_denoiser": UNetDenoiser,
}
"""What the others are compared with: they need weights of `reconstruction.train_rival`, and no weights are bundled."""
