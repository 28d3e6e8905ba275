"""Scalograms as images: 32 frequencies by 256 instants of a ten-second window, as 8-bit levels or in [-1, 1]."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from noise_quant.superlet import SuperletSettings, superlet_transform

WINDOW_S = 10.0
"""Length of the window of an image, in seconds."""
HEIGHT, WIDTH = 32, 256
LOG_MIN, LOG_MAX = -8.0, 0.0
"""log10 of the power in mV^2 at levels 0 and 255: 0.1 uV and 1 mV of root mean square."""
MAX_LEVEL = 255.0


def scalogram_image(
    ecg: ArrayLike | Tensor,
    sampling_rate: float,
    settings: SuperletSettings | None = None,
    discretization: bool = True,
) -> Tensor:
    """Computes the images of ECG leads.

    The mean of a lead, an offset of the amplifier, is taken away first, but not for the published form of superlets.

    Args:
        ecg: ECG leads in mV, finite, shape (..., L): one window of `WINDOW_S` seconds each.
        sampling_rate: Sampling rate in Hz, above 80 Hz.
        settings: Settings of the superlet transform.
        discretization: Whether images take 256 levels only, as published.

    Returns:
        Images in [-1, 1], rows from the highest to the lowest frequency, shape (..., 32, 256), float32.

    Raises:
        ValueError: As for `superlet_transform`.
    """
    settings = settings or SuperletSettings()
    signal = ecg if isinstance(ecg, Tensor) else torch.from_numpy(np.asarray(ecg, dtype=np.float64))
    if not settings.published:
        signal = signal.double() - signal.double().mean(-1, keepdim=True)
    power = superlet_transform(signal, sampling_rate, settings, WIDTH).clamp(LOG_MIN, LOG_MAX)
    share = (power - LOG_MIN) / (LOG_MAX - LOG_MIN)
    return (share * MAX_LEVEL).round() / (MAX_LEVEL / 2) - 1 if discretization else 2 * share - 1


def image_levels(image: Tensor, discretization: bool = True) -> Tensor:
    """Turns images into levels.

    Args:
        image: Images in [-1, 1], any shape; what lies beyond is cut.
        discretization: Whether levels are whole numbers.

    Returns:
        Levels in [0, 255], float32, same shape.
    """
    levels = ((image.float() + 1) * (MAX_LEVEL / 2)).clamp(0, MAX_LEVEL)
    return levels.round() if discretization else levels


def levels_image(levels: NDArray[np.uint8]) -> Tensor:
    """Turns stored 8-bit levels into images in [-1, 1], float32, same shape."""
    return torch.from_numpy(levels).float() / (MAX_LEVEL / 2) - 1
