"""Scores of one method: per record and lead, and summed up over records with bootstrap intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from einthoven.ecg.leads import LEADS
from einthoven.statistics import bootstrap_intervals, crps, mean_over_records, percent_below, predictive_band
from evaluation.inpainting import metrics

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Nominal levels of the calibration curve."""

REPORTED = "reported"
"""Stands in the column `lead` for all reported leads together."""

CHUNK = 8
"""Records per chunk."""


@dataclass(frozen=True)
class Scores:
    """Scores of one method for N records, S samples, and the twelve leads C, over the unobserved samples.

    Attributes:
        n_unobserved: Number of samples scored, shape (N, C).
        mae_mean: MAE of the mean in mV, shape (N, C).
        mae_median: MAE of the samples' median in mV, shape (N, C); of the estimate where there are no samples.
        mse_mean: Mean squared error of the mean in mV^2, shape (N, C).
        pearson_mean: Correlation of the mean, shape (N, C).
        mae_sample: MAE of each sample in mV, shape (N, S, C).
        mse_sample: Mean squared error of each sample in mV^2, shape (N, S, C).
        pearson_sample: Correlation of each sample, shape (N, S, C).
        crps: Fair CRPS in mV, shape (N, C); the MAE of a method without samples.
        coverage: Share of samples where the truth lies in the method's 90 % band, shape (N, C); NaN without a band.
        coverage_at: The same for bands of the levels `LEVELS` made from the samples, shape (N, levels, C).
        amplitude_truth: True amplitude in mV, shape (N, C).
        amplitude_mean: Amplitude of the mean in mV, shape (N, C).
        amplitude_sample: Amplitude of each sample in mV, shape (N, S, C).
    """

    n_unobserved: np.ndarray
    mae_mean: np.ndarray
    mae_median: np.ndarray
    mse_mean: np.ndarray
    pearson_mean: np.ndarray
    mae_sample: np.ndarray
    mse_sample: np.ndarray
    pearson_sample: np.ndarray
    crps: np.ndarray
    coverage: np.ndarray
    coverage_at: np.ndarray
    amplitude_truth: np.ndarray
    amplitude_mean: np.ndarray
    amplitude_sample: np.ndarray


def score(
    mean: np.ndarray,
    truth: np.ndarray,
    observed: np.ndarray,
    sampling_rate: float,
    samples: np.ndarray | None = None,
    band: tuple[np.ndarray, np.ndarray] | None = None,
) -> Scores:
    """Scores reconstructions, in chunks of records.

    Args:
        mean: Point estimate in mV, shape (N, C, L).
        truth: True ECG in mV, shape (N, C, L); samples that are not finite are not scored.
        observed: True where a sample was given and is not scored, shape (N, C, L).
        sampling_rate: Sampling rate in Hz.
        samples: Samples in mV, shape (N, S, C, L); None for a method that has none: its estimate is then its only
            sample.
        band: Edges of its 90 % band in mV, each of shape (N, C, L), or None.

    Returns:
        The scores.
    """
    parts = []
    for start in range(0, len(mean), CHUNK):
        rows = slice(start, start + CHUNK)
        part_samples = None if samples is None else np.asarray(samples[rows])
        part_band = None if band is None else (np.asarray(band[0][rows]), np.asarray(band[1][rows]))
        parts.append(
            _score_chunk(mean[rows], np.asarray(truth[rows]), observed[rows], sampling_rate, part_samples, part_band)
        )
    return Scores(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Scores)}
    )


def _score_chunk(
    mean: np.ndarray,
    truth: np.ndarray,
    observed: np.ndarray,
    sampling_rate: float,
    samples: np.ndarray | None,
    band: tuple[np.ndarray, np.ndarray] | None,
) -> Scores:
    scored = ~np.asarray(observed) & np.isfinite(truth)
    truth = np.where(scored, truth, 0.0)
    drawn = mean[:, None] if samples is None else samples
    many = drawn.shape[1] > 1
    truths, scoreds = truth[:, None], scored[:, None]
    mae = metrics.absolute_error(mean, truth, scored)
    empty = np.full(mae.shape, np.nan)
    levels = [predictive_band(np.moveaxis(drawn, 1, 0), level) for level in LEVELS] if many else []
    curve = [metrics.coverage(*edges, truth, scored) for edges in levels] or [empty] * len(LEVELS)
    return Scores(
        n_unobserved=scored.sum(axis=-1),
        mae_mean=mae,
        mae_median=metrics.absolute_error(np.median(drawn, axis=1), truth, scored),
        mse_mean=metrics.squared_error(mean, truth, scored),
        pearson_mean=metrics.pearson(mean, truth, scored),
        mae_sample=metrics.absolute_error(drawn, truths, scoreds),
        mse_sample=metrics.squared_error(drawn, truths, scoreds),
        pearson_sample=metrics.pearson(drawn, truths, scoreds),
        crps=crps(drawn, truth, scored) if many else metrics.absolute_error(drawn, truths, scoreds)[:, 0],
        coverage=empty if band is None else metrics.coverage(*band, truth, scored),
        coverage_at=np.stack(curve, axis=1),
        amplitude_truth=metrics.amplitude(truth, scored, sampling_rate),
        amplitude_mean=metrics.amplitude(mean, scored, sampling_rate),
        amplitude_sample=metrics.amplitude(drawn, scoreds, sampling_rate),
    )


def record_values(scores: Scores, reported: Sequence[str]) -> dict[str, np.ndarray]:
    """Values of each record, lead by lead and for the reported leads together, which are averaged over records.

    MAE, CRPS and coverage pool the unobserved samples of the reported leads; RMSE is the root of the mean squared
    error over all of these (RhythmDiff's: per ECG over unobserved samples, then averaged over ECGs); of single
    samples it is the RMSE of each, averaged over the samples. Correlations are averaged over leads.

    Args:
        scores: The scores of N records.
        reported: Names of the reported leads.

    Returns:
        By metric, values of shape (N, 13): the leads in the order of `LEADS`, then the reported leads together.
    """
    leads = [LEADS.index(lead) for lead in reported]
    weight = scores.n_unobserved[:, leads].astype(np.float64)

    def pooled(values: np.ndarray) -> np.ndarray:
        weights = weight if values.ndim == 2 else weight[:, None]
        chosen = values[..., leads]
        total = np.where(weights > 0, np.nan_to_num(chosen) * weights, 0.0).sum(axis=-1)
        count = np.where(np.isfinite(chosen), weights, 0.0).sum(axis=-1)
        joint = np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
        return np.concatenate([values, joint[..., None]], axis=-1)

    def averaged(values: np.ndarray) -> np.ndarray:
        joint = mean_over_records(np.moveaxis(values[..., leads], -1, 0))
        return np.concatenate([values, joint[..., None]], axis=-1)

    return {
        "mae_mean": pooled(scores.mae_mean),
        "mae_median": pooled(scores.mae_median),
        "mae_sample": pooled(scores.mae_sample).mean(axis=1),
        "rmse_mean": np.sqrt(pooled(scores.mse_mean)),
        "rmse_sample": np.sqrt(pooled(scores.mse_sample)).mean(axis=1),
        "pearson_mean": averaged(scores.pearson_mean),
        "pearson_sample": averaged(scores.pearson_sample).mean(axis=1),
        "crps": pooled(scores.crps),
        "coverage": 100.0 * pooled(scores.coverage),
    }


def summarise(
    scores: Scores, reported: Sequence[str], reference: tuple[str, Scores] | None, n_resamples: int, seed: int
) -> pd.DataFrame:
    """Sums the scores of one method up over records, with bootstrap 95 % intervals.

    Amplitude statistics are taken over records lead by lead, then averaged over the reported leads. What lies "below"
    the reference is in per cent of it, paired by record: MAE and RMSE of the means, MAE of the median
    and CRPS below the reference's MAE.

    Args:
        scores: The scores of N records.
        reported: Names of the reported leads.
        reference: Name of the baseline to compare with (spaces become `_` in the metrics `..._below_<name>`) and its
            scores for the same records in the same order, or None.
        n_resamples: Number of bootstrap draws.
        seed: Seed of the draws.

    Returns:
        One row per metric and lead (`REPORTED` for the reported leads together): columns `metric`, `lead`, `value`,
        `lower`, `upper`, `n_records`.
    """
    values = record_values(scores, reported)
    jobs: dict[str, tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]] = {
        name: (column, mean_over_records) for name, column in values.items()
    }
    leads = [LEADS.index(lead) for lead in reported]
    for kind, estimate in (("sample", scores.amplitude_sample), ("mean", scores.amplitude_mean[:, None])):
        stacked = np.concatenate([scores.amplitude_truth[:, None], estimate], axis=1)
        for name, of_leads in AMPLITUDE_STATISTICS.items():
            jobs[f"{name}_{kind}"] = (stacked, _over_leads(of_leads, leads))
    if reference is not None:
        baseline = reference[0].replace(" ", "_")
        below = record_values(reference[1], reported)
        for name in ("mae_mean", "mae_median", "rmse_mean", "crps"):
            paired = np.stack([values[name], below["rmse_mean" if name == "rmse_mean" else "mae_mean"]], axis=1)
            jobs[f"{name.removesuffix('_mean')}_below_{baseline}"] = (paired, percent_below)
    rows = []
    for name, (column, statistic) in jobs.items():
        finite = np.isfinite(column if column.ndim == 2 else column.sum(axis=1))
        counts = [*finite[:, : len(LEADS)].sum(axis=0), finite[:, leads].any(axis=1).sum()]
        intervals = bootstrap_intervals(column, statistic, n_resamples, seed)
        for lead, count, interval in zip((*LEADS, REPORTED), counts, intervals, strict=True):
            rows.append((name, lead, interval.estimate, interval.lower, interval.upper, int(count)))
    return pd.DataFrame(rows, columns=["metric", "lead", "value", "lower", "upper", "n_records"])


AMPLITUDE_STATISTICS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "amplitude_variance_ratio": metrics.amplitude_variance_ratio,
    "amplitude_error_r2": lambda estimate, truth: metrics.amplitude_error_regression(estimate, truth)[0],
    "amplitude_error_slope": lambda estimate, truth: metrics.amplitude_error_regression(estimate, truth)[1],
}


def _over_leads(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray], leads: Sequence[int]
) -> Callable[[np.ndarray], np.ndarray]:
    """Makes a statistic of `(n, 1 + S, C)` amplitudes, truth first, that appends the mean of the reported leads."""

    def apply(stacked: np.ndarray) -> np.ndarray:
        per_lead = statistic(stacked[:, 1:], stacked[:, 0])
        return np.append(per_lead, mean_over_records(per_lead[list(leads)]))

    return apply
