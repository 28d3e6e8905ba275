"""How well scores tell clean from noisy: AUROC, W1 distance and rank correlations, with intervals over records.

The leads of a record are not independent, so whole records are resampled. A higher score always means cleaner.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from einthoven.statistics import Interval, bootstrap_intervals, finite_mean

MACRO = "macro average"


class Comparison:
    """Scores of clean and noisy leads, sorted once, so that each draw of records takes linear time.

    Args:
        scores: Scores, higher is cleaner, shape (n,), no NaN; -inf is "worse than any", and is left out of W1.
        is_clean: Which leads are clean, shape (n,).
        records: Number of each lead's record, from 0, shape (n,); by default every lead is a record.
    """

    def __init__(
        self, scores: NDArray[np.floating], is_clean: NDArray[np.bool_], records: NDArray[np.integer] | None = None
    ) -> None:
        scores = np.asarray(scores, dtype=np.float64)
        records = np.arange(len(scores)) if records is None else np.asarray(records)
        if scores.ndim != 1 or not scores.shape == np.shape(is_clean) == records.shape:
            raise ValueError("scores, is_clean and records must be of one shape (n,)")
        if np.isnan(scores).any():
            raise ValueError("a score is NaN: give leads without a score -inf, or leave them out")
        order = np.argsort(scores, kind="stable")
        self.is_clean, self.records = np.asarray(is_clean, dtype=bool)[order], records[order]
        self.values, self.starts = np.unique(scores[order], return_index=True)

    def _weights(self, counts: NDArray[np.integer] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums how often clean and noisy leads count at each value, both of shape (values,)."""
        if not len(self.records):
            return np.zeros(0), np.zeros(0)
        weights = np.ones(len(self.records)) if counts is None else np.asarray(counts, np.float64)[self.records]
        clean = np.add.reduceat(np.where(self.is_clean, weights, 0.0), self.starts)
        return clean, np.add.reduceat(np.where(self.is_clean, 0.0, weights), self.starts)

    def auroc(self, counts: NDArray[np.integer] | None = None) -> float:
        """Returns the probability that a clean lead scores higher than a noisy one, ties counting half.

        `counts` (records,) says how often each record counts, by default once; NaN where a group is empty.
        """
        clean, noisy = self._weights(counts)
        pairs = clean.sum() * noisy.sum()
        below = np.cumsum(noisy) - noisy / 2
        return float((clean * below).sum() / pairs) if pairs else np.nan

    def w1(self, counts: NDArray[np.integer] | None = None) -> float:
        """Returns the 1-Wasserstein distance of clean and noisy finite scores after both are standardised together.

        Scores are divided by the standard deviation of both groups together. With a share p of clean leads the
        distance is at most 1 / sqrt(p (1 - p)): values for other class balances cannot be compared. NaN where a group
        is empty or all scores are equal.
        """
        finite = np.isfinite(self.values)
        clean, noisy = (weights[finite] for weights in self._weights(counts))
        values = self.values[finite]
        if not (clean.sum() and noisy.sum()):
            return np.nan
        share = (clean + noisy) / (clean + noisy).sum()
        deviation = np.sqrt((share * (values - (share * values).sum()) ** 2).sum())
        gap = np.abs(np.cumsum(clean) / clean.sum() - np.cumsum(noisy) / noisy.sum())[:-1]
        return float((gap * np.diff(values)).sum() / deviation) if deviation > 0 else np.nan


METRICS: dict[str, Callable[[Comparison, NDArray[np.integer] | None], float]] = {
    "auroc": Comparison.auroc,
    "w1": Comparison.w1,
}
"""How well two groups are told apart: from a comparison, and how often each record counts."""


def compare_groups(
    groups: Mapping[str, Comparison], n_records: int, n_resamples: int = 1000, seed: int = 0
) -> dict[tuple[str, str], Interval]:
    """Computes the metrics of several comparisons and their macro averages, all on the same draws of the records."""

    def statistic(drawn: NDArray[np.integer]) -> NDArray[np.float64]:
        counts = np.bincount(drawn, minlength=n_records)
        found = np.array([[metric(group, counts) for group in groups.values()] for metric in METRICS.values()])
        return np.concatenate([found, found.mean(axis=1, keepdims=True)], axis=1).ravel()

    intervals = bootstrap_intervals(np.arange(n_records), statistic, n_resamples, seed)
    keys = [(metric, name) for metric in METRICS for name in (*groups, MACRO)]
    return dict(zip(keys, intervals, strict=True))


def largest_w1(n_clean: int, n_noisy: int) -> float:
    """Returns the largest W1 distance after joint standardisation that two groups of these sizes can have."""
    share = n_clean / (n_clean + n_noisy)
    return float(1 / np.sqrt(share * (1 - share))) if 0 < share < 1 else np.nan


def spearman_rows(doses: Sequence[float] | NDArray[np.floating], curves: NDArray[np.floating]) -> NDArray[np.float64]:
    """Computes Spearman's correlation between doses (K,), not all equal, and each of many curves (..., K).

    -inf ranks lowest; 0 where a curve is constant, NaN where it has a NaN.
    """
    ranks = rankdata(curves, axis=-1, nan_policy="propagate")
    ranks = ranks - ranks.mean(axis=-1, keepdims=True)
    reference = rankdata(doses) - (len(np.asarray(doses)) + 1) / 2
    scale = np.sqrt((ranks**2).sum(axis=-1) * (reference**2).sum())
    return np.where(scale == 0, 0.0, (ranks * reference).sum(axis=-1) / np.where(scale == 0, 1.0, scale))


DOSE_STATISTICS = ("mean curve", "pooled over records", "within records", "within leads")


def dose_response(
    snr_db: Sequence[float], scores: NDArray[np.floating], n_resamples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Computes how scores follow the signal-to-noise ratio.

    Args:
        snr_db: Signal-to-noise ratios in dB, shape (K,).
        scores: Scores of each record's leads at each ratio, shape (N, C, K); NaN where there is none, -inf where a lead
            was unusable: that ranks lowest within a lead, and is left out of a record's mean over its leads.
        n_resamples: Number of bootstrap draws over records.
        seed: Seed of the draws.

    Returns:
        Spearman's correlations with 95 % intervals, by `DOSE_STATISTICS`: of the mean curve over records; over all
        records and ratios together, a record's leads averaged; within each record, its leads averaged, mean over
        records; within each lead, mean over leads, then records.
    """
    within_leads = spearman_rows(snr_db, scores)
    per_lead = finite_mean(within_leads, axis=1)
    curves = record_curves(scores)
    per_record = spearman_rows(snr_db, curves)
    ladder = np.asarray(snr_db, dtype=np.float64)

    def statistic(rows: NDArray[np.integer]) -> NDArray[np.float64]:
        drawn = curves[rows]
        mean = spearman_rows(snr_db, finite_mean(drawn, axis=0))
        flat = drawn.ravel()
        known = ~np.isnan(flat)
        pooled = spearman_rows(np.tile(ladder, len(rows))[known], flat[known])
        return np.array([mean, pooled, finite_mean(per_record[rows], 0), finite_mean(per_lead[rows], 0)])

    with np.errstate(invalid="ignore"):
        intervals = bootstrap_intervals(np.arange(len(curves)), statistic, n_resamples, seed)
    return dict(zip(DOSE_STATISTICS, intervals, strict=True))


def record_curves(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Averages scores (N, C, K) over the usable leads of each record; -inf where none is usable, NaN without any."""
    means = finite_mean(scores, axis=1)
    return np.where(np.isnan(means) & np.isneginf(scores).any(axis=1), -np.inf, means)


def mean_curve(scores: NDArray[np.floating], n_resamples: int = 1000, seed: int = 0) -> list[Interval]:
    """Computes the mean over records of scores (N, C, K) at each ratio, with 95 % intervals; without unusable leads."""
    return bootstrap_intervals(record_curves(scores), lambda drawn: finite_mean(drawn, axis=0), n_resamples, seed)
