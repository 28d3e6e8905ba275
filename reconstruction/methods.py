"""The posterior samplers by name."""

from reconstruction.amortised import AmortisedSampler
from reconstruction.ddnm import DDNM
from reconstruction.decoupled import DecoupledSampler
from reconstruction.descod import Descod
from reconstruction.diffpir import DiffPIR
from reconstruction.dps import DPS
from reconstruction.fourier_em import FourierEM
from reconstruction.mgps import MGPS
from reconstruction.pigdm import PiGDM
from reconstruction.posterior_sampler import PosteriorSampler
from reconstruction.red_diff import REDDiff
from reconstruction.repaint import RePaint
from reconstruction.spectral_em import SpectralEM
from reconstruction.unet_denoiser import UNetDenoiser
from reconstruction.unet_regression import UNetRegression

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
