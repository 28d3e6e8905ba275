"""Errors, correlation, CRPS, coverage and amplitudes of reconstructed ECGs, per record and lead.

Every function looks at the samples where `unobserved` is True and no others; a lead of a record without any gives NaN,
which averages leave out. Signals in mV have shape (..., C, L), C leads of L samples, results (..., C); rates are in Hz.
Leading dimensions broadcast, so one sample or a mean `(N, C, L)`, or all samples `(N, S, C, L)` with a truth of
`(N, 1, C, L)`, are scored by the same code.
"""

import numpy as np

from einthoven.statistics import mean_where

FLAT = 1e-6
"""Peak-to-peak value in mV up to which a lead counts as constant."""


def absolute_error(estimate: np.ndarray, truth: np.ndarray, unobserved: np.ndarray) -> np.ndarray:
    """Mean absolute error over the unobserved samples of each lead, in mV."""
    return mean_where(np.abs(estimate - truth), unobserved)


def squared_error(estimate: np.ndarray, truth: np.ndarray, unobserved: np.ndarray) -> np.ndarray:
    """Mean squared error over the unobserved samples of each lead, in mV^2."""
    return mean_where(np.square(estimate - truth), unobserved)


def pearson(estimate: np.ndarray, truth: np.ndarray, unobserved: np.ndarray) -> np.ndarray:
    """Pearson correlation of estimate and truth over the unobserved samples of each lead.

    A flat truth correlates with nothing and gives NaN (left out for every method alike); a flat estimate of a truth
    that is not flat gives 0. Flat means a peak-to-peak value up to `FLAT`.
    """
    a = estimate - mean_where(estimate, unobserved)[..., None]
    b = truth - mean_where(truth, unobserved)[..., None]
    product = mean_where(a * b, unobserved)
    scale = np.sqrt(mean_where(a * a, unobserved) * mean_where(b * b, unobserved))
    flat_truth = _is_flat(truth, unobserved)
    flat = _is_flat(estimate, unobserved) | (scale == 0.0)
    correlation = np.clip(product / np.where(flat | np.isnan(scale), 1.0, scale), -1.0, 1.0)
    return np.where(flat_truth, np.nan, np.where(flat, 0.0, correlation))


def _is_flat(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    highest = np.where(where, values, -np.inf).max(axis=-1)
    lowest = np.where(where, values, np.inf).min(axis=-1)
    return highest - lowest <= FLAT


def coverage(lower: np.ndarray, upper: np.ndarray, truth: np.ndarray, unobserved: np.ndarray) -> np.ndarray:
    """Share of the unobserved samples of each lead where the truth lies in the band, edges included."""
    return mean_where(((truth >= lower) & (truth <= upper)).astype(np.float64), unobserved)


def amplitude_variance_ratio(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Variance over records of the reconstructed amplitudes, relative to the variance of the true ones; 1 is ideal.

    Below 1 the reconstructions differ less from each other than patients do (regression to the mean). A record with NaN
    for a lead is left out there.

    Args:
        estimate: Amplitudes in mV, shape (n, S, C); the ratios of the S samples are averaged.
        truth: True amplitudes in mV, shape (n, C).

    Returns:
        Ratio of each lead, shape (C,); NaN for fewer than two records or where the truth does not vary.
    """
    kept, estimate_deviation, truth_deviation = _deviations(estimate, truth)
    truth_sum = (truth_deviation**2).sum(axis=0)
    estimate_sum = (estimate_deviation**2).sum(axis=0).mean(axis=0)
    defined = (kept.sum(axis=0) >= 2) & (truth_sum > 0.0)
    return np.where(defined, estimate_sum / np.where(defined, truth_sum, 1.0), np.nan)


def amplitude_error_regression(estimate: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regression over records of the amplitude error (estimate - truth) on the true amplitude: R2 and slope.

    After Commun. Med. 2025, s43856-025-00814-w: R2 near 1 with a slope near -1 is regression to the mean, every
    patient gets the same amplitude. With rho the share of the amplitude's variance that the observation explains, the
    exact posterior (Gaussian) has slope rho - 1, and R2 (1 - rho) / 2 for single samples, 1 - rho for the mean: from
    0.5 and 1 where nothing is known down to 0. Arguments are those of `amplitude_variance_ratio`.

    Returns:
        R2 in [0, 1] and slope of each lead, each of shape (C,); NaN for fewer than three records or where the truth
        does not vary; R2 is 0 where the error does not vary.
    """
    kept, error_deviation, truth_deviation = _deviations(estimate - truth[:, None], truth)
    truth_sum = (truth_deviation**2).sum(axis=0)
    error_sum = (error_deviation**2).sum(axis=0)
    product = (error_deviation * truth_deviation[:, None]).sum(axis=0)
    defined = (kept.sum(axis=0) >= 3) & (truth_sum > 0.0)
    scale = error_sum * np.where(defined, truth_sum, 1.0)
    r2 = np.where(scale > 0.0, product**2 / np.where(scale > 0.0, scale, 1.0), 0.0).mean(axis=0)
    slope = product.mean(axis=0) / np.where(defined, truth_sum, 1.0)
    return np.where(defined, r2, np.nan), np.where(defined, slope, np.nan)


def _deviations(values: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which records count for each lead, and deviations from the means over them (0 where a record does not count)."""
    kept = np.isfinite(truth) & np.isfinite(values).all(axis=1)
    count = np.maximum(kept.sum(axis=0), 1)
    values, truth = np.where(kept[:, None], values, 0.0), np.where(kept, truth, 0.0)
    values_deviation = np.where(kept[:, None], values - values.sum(axis=0) / count, 0.0)
    truth_deviation = np.where(kept, truth - truth.sum(axis=0) / count, 0.0)
    return kept, values_deviation, truth_deviation
