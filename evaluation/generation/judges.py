"""Published judges of generated signals: distances between whole distributions, by spectra and by a network's features.

References:
    Esteban, Hyland, Raetsch, Real-valued (Medical) Time Series Generation with Recurrent Conditional GANs, 2017, arXiv
        1706.02633: MMD of a Gaussian kernel, and TSTR and TRTS, which `evaluation.downstream_classifier` measures.
    Heusel et al., GANs Trained by a Two Time-Scale Update Rule ..., 2017, arXiv 1706.08500: FID.
    Binkowski et al., Demystifying MMD GANs, 2018, arXiv 1801.01401: KID.
    SynthECG, https://github.com/pedrodevog/SynthECG, and ECGEN-Eval, https://pypi.org/project/ecgen-eval: the MMD of
        normalised spectra of ECGs (PSD-MMD), FID and KID of an ECG network's features.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import welch

Array = NDArray[np.float64]

MOST_DRAWS = 100
"""Draws of the floor: each needs the distances of all pairs."""
_SEGMENT = 512


def spectra(ecgs: NDArray[np.floating], sampling_rate: float) -> Array:
    """Computes the power spectra of ECGs (N, C, L) by Welch's method, each lead's scaled to a sum of 1: (N, C F).

    Windows are Hamming's of 512 samples that overlap by half, as in SynthECG; a flat lead gives zeros.
    """
    n = min(_SEGMENT, ecgs.shape[-1])
    power = np.asarray(welch(ecgs.astype(np.float64), sampling_rate, "hamming", n, n // 2)[1])
    total = power.sum(axis=-1, keepdims=True)
    return np.where(total > 1e-8, power / np.where(total > 1e-8, total, 1.0), 0.0).reshape(len(ecgs), -1)


def gaussian_mmd(first: Array, second: Array) -> float:
    """Estimates the squared maximum mean discrepancy of a Gaussian kernel, unbiased (it may be below zero).

    The kernel's width is the median distance between the two sets. ValueError if a set has fewer than two members.
    """
    _check(first, second)
    width = np.median(_square_distances(first, second))
    scale = 1.0 / (2.0 * max(float(width), 1e-12))
    return _mmd(*(np.exp(-scale * _square_distances(*pair)) for pair in _pairs(first, second)))


def kernel_distance(first: Array, second: Array) -> float:
    """Estimates the kernel inception distance, of features (N, D): an unbiased squared MMD of (x y / D + 1)^3."""
    _check(first, second)
    return _mmd(*((one @ other.T / one.shape[1] + 1.0) ** 3 for one, other in _pairs(first, second)))


def frechet_distance(first: Array, second: Array) -> float:
    """Computes the Frechet inception distance of features (N, D), each set taken as a Gaussian.

    |m_1 - m_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2)). It grows as sets get smaller: compare with the floor only.
    """
    _check(first, second)
    covariances = [np.cov(features, rowvar=False).reshape(features.shape[1], -1) for features in (first, second)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    joint = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariances[1] @ root), 0.0)).sum()
    difference = first.mean(axis=0) - second.mean(axis=0)
    return float(difference @ difference + np.trace(covariances[0]) + np.trace(covariances[1]) - 2.0 * joint)


JUDGES: Mapping[str, tuple[str, Callable[[Array, Array], float]]] = {
    "PSD-MMD": ("spectra", gaussian_mmd),
    "KID": ("features", kernel_distance),
    "FID": ("features", frechet_distance),
}
"""What each judge looks at, and its distance."""


def judge(
    real: Mapping[str, Array],
    generated: Mapping[str, Array],
    training: Mapping[str, Array],
    n_resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Judges generated ECGs by `JUDGES`, beside the floor that as many real training ECGs set.

    Args:
        real: Real ECGs: their `spectra` and, where there is a classifier, its `features`, each (N, D).
        generated: The same of their twins.
        training: The same of real training ECGs, M at least N.
        n_resamples: Number of draws for the floor, `MOST_DRAWS` at most.
        seed: Seed of the draws.

    Returns:
        One row per judge: `judge`, `value`, `floor`, `floor_lower`, `floor_upper`.
    """
    rng, rows = np.random.default_rng(seed), []
    n_training = len(training["spectra"])
    others = [rng.permutation(n_training)[: len(real["spectra"])] for _ in range(min(n_resamples, MOST_DRAWS))]
    for name, (of, distance) in JUDGES.items():
        if of in real:
            floor = [distance(real[of], training[of][rows_of]) for rows_of in others]
            edges = np.quantile(floor, [0.025, 0.975])
            rows.append((name, distance(real[of], generated[of]), np.mean(floor), *edges))
    return pd.DataFrame(rows, columns=["judge", "value", "floor", "floor_lower", "floor_upper"])


def _pairs(first: Array, second: Array) -> tuple[tuple[Array, Array], ...]:
    return (first, first), (second, second), (first, second)


def _mmd(within: Array, within_other: Array, between: Array) -> float:
    def mean_off_diagonal(kernel: Array) -> float:
        return float(kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1))

    return mean_off_diagonal(within) + mean_off_diagonal(within_other) - 2.0 * float(between.mean())


def _square_distances(first: Array, second: Array) -> Array:
    squares = np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1)
    return np.maximum(squares - 2.0 * first @ second.T, 0.0)


def _check(first: Array, second: Array) -> None:
    if min(len(first), len(second)) < 2:
        raise ValueError("a distance between distributions needs two ECGs of each at least: raise generate.n_ecgs")
