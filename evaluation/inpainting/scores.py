"""What is scored of reconstructions: the unobserved samples, and amplitudes over records."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from einthoven.ecg.amplitude import amplitude
from einthoven.ecg.leads import lead_rows
from einthoven.statistics import crps, finite_mean, percent_below, predictive_band
from evaluation.inpainting import metrics
from evaluation.scores import Estimate, Metric, PerLead, Statistic, Statistics, means, pooled

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Nominal levels of the calibration curve."""


def mean_error(estimate: Estimate) -> np.ndarray:
    """MAE of the point estimate in mV, shape (N, C)."""
    return metrics.absolute_error(estimate.mean, estimate.truth, estimate.scored)


def _median_error(estimate: Estimate) -> np.ndarray:
    return metrics.absolute_error(np.median(estimate.drawn, axis=1), estimate.truth, estimate.scored)


def _median_squared_error(estimate: Estimate) -> np.ndarray:
    return metrics.squared_error(np.median(estimate.drawn, axis=1), estimate.truth, estimate.scored)


def mean_squared_error(estimate: Estimate) -> np.ndarray:
    """Mean squared error of the point estimate in mV^2, shape (N, C)."""
    return metrics.squared_error(estimate.mean, estimate.truth, estimate.scored)


def crps_or_error(estimate: Estimate) -> np.ndarray:
    """Fair CRPS in mV, shape (N, C); of a method without samples its MAE."""
    if estimate.drawn.shape[1] == 1:
        return mean_error(estimate)
    return crps(estimate.drawn, estimate.truth, estimate.scored)


def coverage(estimate: Estimate) -> np.ndarray:
    """Share of samples where the truth lies in the 90 % band, shape (N, C); NaN without a band."""
    if estimate.band is None:
        return np.full(estimate.n_scored.shape, np.nan)
    return metrics.coverage(*estimate.band, estimate.truth, estimate.scored)


def coverage_at_levels(estimate: Estimate) -> np.ndarray:
    """The same for bands of the levels `LEVELS` made from the samples, shape (N, levels, C)."""
    if estimate.drawn.shape[1] == 1:
        return np.full((len(estimate.mean), len(LEVELS), estimate.mean.shape[1]), np.nan)
    bands = [predictive_band(np.moveaxis(estimate.drawn, 1, 0), level) for level in LEVELS]
    return np.stack([metrics.coverage(*edges, estimate.truth, estimate.scored) for edges in bands], axis=1)


def _of_samples(metric: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> PerLead:
    """Scores each sample by itself, shape (N, S, C)."""
    return lambda estimate: metric(estimate.drawn, estimate.truth[:, None], estimate.scored[:, None])


def _below(baseline: str) -> tuple[Metric, ...]:
    """Lines that compare with a baseline."""
    name = baseline.replace(" ", "_")
    return (
        Metric(f"mae_below_{name}", f"MAE of the mean below {baseline}'s (%)", 1),
        Metric(f"mae_median_below_{name}", f"MAE of the median below {baseline}'s (%)", 1),
        Metric(f"rmse_below_{name}", f"RMSE of the mean below {baseline}'s (%)", 1),
        Metric(f"crps_below_{name}", f"CRPS below {baseline}'s MAE (%)", 1),
    )


METRICS = (
    Metric("mae_mean", "MAE of the mean (mV)", 4, mean_error, pooled),
    Metric("mae_median", "MAE of the samples' median (mV)", 4, _median_error, pooled),
    Metric("mae_sample", "MAE of single samples (mV)", 4, _of_samples(metrics.absolute_error), pooled),
    Metric("rmse_mean", "RMSE of the mean (mV)", 4, mean_squared_error, pooled, np.sqrt),
    Metric("rmse_median", "RMSE of the samples' median (mV)", 4, _median_squared_error, pooled, np.sqrt),
    Metric("rmse_sample", "RMSE of single samples (mV)", 4, _of_samples(metrics.squared_error), pooled, np.sqrt),
    Metric("pearson_mean", "Pearson correlation of the mean", 3, lambda e: metrics.pearson(e.mean, e.truth, e.scored)),
    Metric("pearson_sample", "Pearson correlation of single samples", 3, _of_samples(metrics.pearson)),
    Metric("crps", "CRPS (mV)", 4, crps_or_error, pooled),
    *_below("ridge"),
    *_below("copied beats"),
    *_below("interpolation"),
    Metric("coverage", "coverage of the 90 % band (%)", 1, coverage, pooled, lambda share: 100.0 * share),
    Metric("amplitude_variance_ratio_sample", "amplitude variance ratio of single samples (ideal 1)", 2),
    Metric("amplitude_variance_ratio_mean", "amplitude variance ratio of the mean", 2),
    Metric("amplitude_error_r2_sample", "R2 of amplitude error against amplitude, single samples", 2),
    Metric("amplitude_error_r2_mean", "R2 of amplitude error against amplitude, mean", 2),
    Metric("amplitude_error_slope_sample", "slope of amplitude error against amplitude, single samples", 2),
    Metric("amplitude_error_slope_mean", "slope of amplitude error against amplitude, mean", 2),
    Metric("seconds", "seconds per ECG", 2),
    Metric("network_calls", "network calls", 0),
    Metric("gradient_calls", "of them with a gradient", 0),
    Metric("memory_mb", "peak memory of the run (MB)", 0),
)
"""The lines of the report. MAE, RMSE, CRPS and coverage pool the unobserved samples of the reported leads; RMSE is the
root of the mean squared error over all of these (RhythmDiff's: per ECG over unobserved samples, then averaged over
ECGs); of single samples it is the RMSE of each. Correlations are averaged over leads."""

AMPLITUDES: dict[str, PerLead] = {
    "amplitude_truth": lambda e: amplitude(e.truth, e.scored, e.sampling_rate),
    "amplitude_mean": lambda e: amplitude(e.mean, e.scored, e.sampling_rate),
    "amplitude_sample": lambda e: amplitude(e.drawn, e.scored[:, None], e.sampling_rate),
}
"""Amplitudes of each record and lead in mV, which become statistics over records."""

AMPLITUDE_STATISTICS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "amplitude_variance_ratio": metrics.amplitude_variance_ratio,
    "amplitude_error_r2": lambda estimate, truth: metrics.amplitude_error_regression(estimate, truth)[0],
    "amplitude_error_slope": lambda estimate, truth: metrics.amplitude_error_regression(estimate, truth)[1],
}


def statistics(
    values: Mapping[str, np.ndarray],
    amplitudes: Mapping[str, np.ndarray],
    reported: Sequence[str],
    reference: tuple[str, Mapping[str, np.ndarray]] | None,
) -> Statistics:
    """Says what is made of a method's values over records, for `evaluation.scores.summarise`.

    Amplitude statistics are taken over records lead by lead, then averaged over the reported leads. What lies "below"
    the reference is in per cent of it, paired by record: MAE and RMSE of the means, MAE of the median
    and CRPS below the reference's MAE.

    Args:
        values: By metric, values of N records, shape (N, 13).
        amplitudes: Amplitudes of the records by `AMPLITUDES`.
        reported: Names of the reported leads.
        reference: Name of the baseline to compare with (spaces become `_` in the metrics `..._below_<name>`) and its
            values of the same records in the same order, or None.
    """
    found = means(values)
    leads = lead_rows(reported)
    for kind in ("sample", "mean"):
        estimate = amplitudes[f"amplitude_{kind}"]
        estimate = estimate if estimate.ndim == 3 else estimate[:, None]
        stacked = np.concatenate([amplitudes["amplitude_truth"][:, None], estimate], axis=1)
        for name, of_leads in AMPLITUDE_STATISTICS.items():
            found[f"{name}_{kind}"] = (stacked, _over_leads(of_leads, leads))
    if reference is not None:
        baseline, below = reference[0].replace(" ", "_"), reference[1]
        for name in ("mae_mean", "mae_median", "rmse_mean", "crps"):
            paired = np.stack([values[name], below["rmse_mean" if name == "rmse_mean" else "mae_mean"]], axis=1)
            found[f"{name.removesuffix('_mean')}_below_{baseline}"] = (paired, percent_below)
    return found


def _over_leads(statistic: Callable[[np.ndarray, np.ndarray], np.ndarray], leads: Sequence[int]) -> Statistic:
    """Makes a statistic of `(n, 1 + S, C)` amplitudes, truth first, that appends the mean of the reported leads."""

    def apply(stacked: np.ndarray) -> np.ndarray:
        per_lead = statistic(stacked[:, 1:], stacked[:, 0])
        return np.append(per_lead, finite_mean(per_lead[list(leads)]))

    return apply
