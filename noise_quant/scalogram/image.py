"""Scalograms as images: 32 frequencies by 256 instants of a ten-second window, as 8-bit levels or in [-1, 1]."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from einthoven.ecg.filters import resample
from noise_quant.scalogram.superlet import SuperletSettings, superlet_transform

WINDOW_S = 10.0
"""Length of the window of an image, in seconds."""
HEIGHT, WIDTH = 32, 256
MAX_LEVEL = 255.0


@dataclass(frozen=True)
class ScalogramSettings(SuperletSettings):
    """What decides an image: the superlet transform, and how its power becomes levels.

    Attributes:
        sampling_rate: Rate in Hz to which ECGs are resampled first, so that images of one ECG recorded at several
            rates are alike; None: as they are.
        log_min: log10 of the power in mV^2 at level 0. By default 1 uV of root mean square: the noise of amplifiers
            and the steps of recorders lie below, and with them texture that nothing can restore.
        log_max: The same at level 255, by default 1 mV.
    """

    sampling_rate: float | None = 100.0
    log_min: float = -6.0
    log_max: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.log_min >= self.log_max:
            raise ValueError(f"log_min ({self.log_min:g}) must lie below log_max ({self.log_max:g})")
        if self.sampling_rate is not None and self.sampling_rate <= 2 * self.max_frequency:
            raise ValueError(f"sampling_rate must be above {2 * self.max_frequency:g} Hz, not {self.sampling_rate:g}")


HAN = ScalogramSettings(published=True, sampling_rate=None, log_min=-8.0)
"""The images of Han et al.: 0.1 uV at level 0, at the rate of the recording."""


def scalogram_image(
    ecg: ArrayLike | Tensor,
    sampling_rate: float,
    settings: ScalogramSettings | None = None,
    discretization: bool = True,
) -> Tensor:
    """Computes the images of ECG leads, of one window of `WINDOW_S` seconds each; errors as for `superlet_transform`.

    The mean of a lead, an offset of the amplifier, is taken away first, but not for the published form of superlets.

    Args:
        ecg: ECG leads in mV, finite, shape (..., L).
        sampling_rate: Sampling rate in Hz, above 80 Hz.
        settings: Settings; by default those of our models.
        discretization: Whether images take 256 levels only, as published.

    Returns:
        Images in [-1, 1], rows from high to low frequency, shape (..., 32, 256), float32, on the device of the ECG.
    """
    settings = settings or ScalogramSettings()
    signal = ecg if isinstance(ecg, Tensor) else torch.from_numpy(np.asarray(ecg, dtype=np.float64))
    rate = settings.sampling_rate or sampling_rate
    if rate != sampling_rate:
        signal = torch.from_numpy(resample(signal.cpu().numpy(), sampling_rate, rate)).to(signal.device)
    if not settings.published:
        signal = signal.double() - signal.double().mean(-1, keepdim=True)
    power = superlet_transform(signal, rate, settings, WIDTH).clamp(settings.log_min, settings.log_max)
    share = (power - settings.log_min) / (settings.log_max - settings.log_min)
    return (share * MAX_LEVEL).round() / (MAX_LEVEL / 2) - 1 if discretization else 2 * share - 1


def image_levels(image: Tensor, discretization: bool = True) -> Tensor:
    """Turns images in [-1, 1] into levels in [0, 255], float32, same shape; what lies beyond is cut."""
    levels = ((image.float() + 1) * (MAX_LEVEL / 2)).clamp(0, MAX_LEVEL)
    return levels.round() if discretization else levels


def levels_image(levels: NDArray[np.uint8]) -> Tensor:
    """Turns stored 8-bit levels into images in [-1, 1], float32, same shape."""
    return torch.from_numpy(levels).float() / (MAX_LEVEL / 2) - 1
