"""Distances between a scalogram and its reconstruction: PSNR, SSIM, MSE and MAE of images with levels 0 to 255.

SSIM is that of Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Process. 13, 600 (2004), with the choices that
scikit-image makes by default: a uniform window of 7 x 7 pixels, sample covariances, windows inside the image only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from noise_quant.scalogram.image import MAX_LEVEL

WINDOW = 7
_K1, _K2 = 0.01, 0.03


@dataclass(frozen=True)
class ImageScores:
    """Scores of images, over ranges of their columns, each of shape (N, number of ranges), float64.

    Attributes:
        psnr: Peak signal-to-noise ratio in dB, peak 255; infinite where images are equal.
        ssim: Mean structural similarity, at most 1.
        mse: Mean squared difference of levels.
        mae: Mean absolute difference of levels.
    """

    psnr: NDArray[np.float64]
    ssim: NDArray[np.float64]
    mse: NDArray[np.float64]
    mae: NDArray[np.float64]


def image_scores(
    levels: ArrayLike | Tensor,
    cleaned: ArrayLike | Tensor,
    columns: Sequence[tuple[int, int]] | None = None,
    counted: NDArray[np.bool_] | None = None,
) -> ImageScores:
    """Compares images with their reconstructions.

    Args:
        levels: Levels in [0, 255] of the images, shape (N, H, W).
        cleaned: Levels of the reconstructions, same shape.
        columns: Ranges of columns, first and last + 1, each scored on its own; by default the whole width. A range too
            near to the edge for an SSIM window takes the value of the nearest one.
        counted: Which columns of each image count, shape (N, W); None: all. Scores of a range without any are NaN.

    Raises:
        ValueError: If the shapes differ, are too small for SSIM, or a range is empty or lies outside.
    """
    x, y = (torch.as_tensor(values).double() for values in (levels, cleaned))
    if x.shape != y.shape or x.ndim != 3 or min(x.shape[1:]) < WINDOW:
        raise ValueError(
            f"expected two stacks of images (N, H, W) of at least {WINDOW} x {WINDOW} pixels, "
            f"not {tuple(x.shape)} and {tuple(y.shape)}"
        )
    width = x.shape[-1]
    ranges = [(0, width)] if columns is None else list(columns)
    if not ranges or any(not 0 <= first < last <= width for first, last in ranges):
        raise ValueError(f"ranges of columns must lie within 0 and {width} and hold a column, not {ranges}")
    difference = x - y
    similarity = _similarity(x, y)
    mask = None if counted is None else torch.from_numpy(counted).to(x.device)
    inner = None if mask is None else mask[:, WINDOW // 2 : WINDOW // 2 + similarity.shape[-1]]
    squared, absolute, ssim = (
        torch.stack([_mean(part, first, last, shown) for first, last in spans], 1).cpu().numpy()
        for part, spans, shown in (
            (difference**2, ranges, mask),
            (difference.abs(), ranges, mask),
            (similarity, [_window_span(first, last, width) for first, last in ranges], inner),
        )
    )
    with np.errstate(divide="ignore"):
        psnr = 10 * np.log10(MAX_LEVEL**2 / squared)
    return ImageScores(psnr, ssim, squared, absolute)


def _mean(part: Tensor, first: int, last: int, mask: Tensor | None) -> Tensor:
    """Returns the mean over a range of columns, of those that count, (N, H, W) to (N,)."""
    piece = part[..., first:last]
    if mask is None:
        return piece.mean((-2, -1))
    shown = mask[:, first:last]
    return (piece.mean(-2) * shown).sum(-1) / shown.sum(-1)  # NaN where none counts


def _similarity(x: Tensor, y: Tensor) -> Tensor:
    """Returns the SSIM of every window inside the images, shape (N, H - 6, W - 6)."""
    n = WINDOW**2
    mean_x, mean_y, square_x, square_y, product = (
        avg_pool2d(part[:, None], WINDOW, stride=1)[:, 0] for part in (x, y, x * x, y * y, x * y)
    )
    sample = n / (n - 1)
    variance_x, variance_y = sample * (square_x - mean_x**2), sample * (square_y - mean_y**2)
    covariance = sample * (product - mean_x * mean_y)
    c1, c2 = (_K1 * MAX_LEVEL) ** 2, (_K2 * MAX_LEVEL) ** 2
    return ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )


def _window_span(first: int, last: int, width: int) -> tuple[int, int]:
    """Returns the windows, by their left column, whose centres lie in a range of columns."""
    half = WINDOW // 2
    n_windows = width - WINDOW + 1
    start = min(max(first - half, 0), n_windows - 1)
    return start, max(min(last - half, n_windows), start + 1)
