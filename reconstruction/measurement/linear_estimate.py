"""The linear estimate of samples in short gaps, from measured ones nearby in all leads, and how sure it is.

A stationary Gaussian process: `E[x_a(s) x_b(t)]` of leads a and b is a function of t - s alone, which is the average
over the training records. It lies in `spectra/ecg.npz`, made by `python -m reconstruction.fit_spectra`.

Reference:
    Rasmussen, Williams, Gaussian Processes for Machine Learning, MIT Press 2006, Section 2.2.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

COVARIANCE = Path(__file__).parent / "spectra" / "ecg.npz"
RATE_HZ = 100.0
"""Sampling rate that the covariance is of."""
SHORT = 3
"""Most samples of a gap that it has a say in: longer ones, and those of a lead beside others, draws fill better."""
BLOCK = 16
"""Samples that are estimated together."""
REACH = 24
"""Samples on each side of them that are looked at."""
STRENGTH = 1e-3
"""Variance of the noise, relative to the mean variance of a sample."""


def fit_covariance(clean: NDArray[np.floating]) -> NDArray[np.float32]:
    """Averages the covariance of C leads over clean ECGs in mV, shape (N, C, L), at lags up to those of a window.

    Returns `E[x_a(t) x_b(t + lag)]` in mV^2, shape (C, C, 2 n + 1), lag 0 in the middle. Products are divided by L, not
    by their number, so that it is positive semi-definite.
    """
    length = clean.shape[-1]
    n = min(BLOCK + 2 * REACH, length) - 1
    transform = np.fft.rfft(clean.astype(np.float64), 2 * length)
    spectrum = np.einsum("naf,nbf->abf", transform.conj(), transform)
    circular = np.fft.irfft(spectrum, 2 * length) / (len(clean) * length)
    return np.asarray(circular[..., np.arange(-n, n + 1)], dtype=np.float32)


def bridge_short_gaps(samples: Tensor, x: Tensor, observed: Tensor) -> Tensor:
    """Joins draws with the linear estimate in the gaps of up to `SHORT` samples of a lead, between measured samples.

    Both are taken for Gaussian and independent, the draws with their own mean and variance: the mean is weighted with
    the precisions, and the draws are moved and narrowed to the joint variance. A single draw, and longer gaps, stay.

    Args:
        samples: Draws of the eight independent leads at 100 Hz in mV, shape (S, B, 8, L).
        x: What was measured in mV, shape (B, 8, L), read only where `observed`.
        observed: True where measured, of the same shape.
    """
    short = _short_gaps(observed)
    if len(samples) == 1 or not bool(short.any()):
        return samples
    said, precision = _tell(x, observed, short)
    average, variance = samples.mean(dim=0), samples.var(dim=0)
    share = precision * variance / (1 + precision * variance)
    joined = torch.lerp(average, said, share) + (1 - share).sqrt() * (samples - average)
    return torch.where(short, joined, samples)


def _short_gaps(observed: Tensor) -> Tensor:
    """Finds the samples (..., L) that lie in gaps of up to `SHORT` between observed samples of a lead."""
    place = torch.arange(observed.shape[-1], device=observed.device).expand(observed.shape)
    before = torch.where(observed, place, -SHORT - 1).cummax(dim=-1).values
    after = torch.where(observed, place, observed.shape[-1] + SHORT).flip(-1).cummin(dim=-1).values.flip(-1)
    return ~observed & (after - before <= SHORT + 1)


def _tell(x: Tensor, observed: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Says what measured samples tell of samples that are wanted, as a Gaussian for each.

    Returns mean in mV and precision in 1 / mV^2, of the shape of `x` (B, 8, L), both 0 where nothing is wanted. The
    process' own mean and variance are taken out: times its prior, this is the posterior.
    """
    mean, precision = (np.zeros(x.shape) for _ in range(2))
    values, seen, asked = x.double().cpu().numpy(), observed.cpu().numpy(), wanted.cpu().numpy()
    for record in range(len(x)):
        for start in range(0, x.shape[-1], BLOCK):
            around = slice(max(start - REACH, 0), start + BLOCK + REACH)
            hidden = asked[record, :, around].copy()
            hidden[:, : start - around.start] = hidden[:, start + BLOCK - around.start :] = False
            if hidden.any():
                told = _condition(values[record, :, around], seen[record, :, around], hidden)
                for out, part in zip((mean, precision), told, strict=True):
                    out[record, :, around][hidden] = part
    return torch.from_numpy(mean).to(x), torch.from_numpy(precision).to(x)


def _condition(
    x: NDArray[np.float64], known: NDArray[np.bool_], hidden: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Says what the known samples of a window, (8, W), tell of the hidden ones: mean and precision of each."""
    covariance = _window_covariance(x.shape[-1])
    known_rows, hidden_rows = np.flatnonzero(known), np.flatnonzero(hidden)
    gram = covariance[np.ix_(known_rows, known_rows)]
    prior = covariance.diagonal()
    gram[np.diag_indices_from(gram)] += STRENGTH * prior.mean()
    cross = covariance[np.ix_(known_rows, hidden_rows)]
    weights = np.linalg.solve(gram, cross)
    prior = prior[hidden_rows]
    explained = (cross * weights).sum(axis=0).clip(STRENGTH * prior, (1.0 - STRENGTH) * prior)
    # Posterior mean m and variance v, prior variance p: what was measured says N(m p / (p - v), 1 / (1 / v - 1 / p)).
    precision = explained / (prior * (prior - explained))
    return weights.T @ x[known] * prior / explained, precision


@lru_cache(maxsize=4)
def _window_covariance(width: int) -> NDArray[np.float64]:
    """Returns the covariance of the samples of a window, shape (8 width, 8 width), leads first."""
    with np.load(COVARIANCE, allow_pickle=False) as file:
        lags = file["covariance"].astype(np.float64)
    lead, time = np.indices((len(lags), width)).reshape(2, -1)
    return np.asarray(lags[lead[:, None], lead, time - time[:, None] + lags.shape[-1] // 2])
