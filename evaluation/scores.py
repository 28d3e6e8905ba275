"""Scores of ECGs against the truth: per record and lead, and summed up over records with bootstrap intervals.

A metric is one function of an `Estimate` and one line of a subject's `METRICS`. Shapes: N records, S samples, C leads
in the order of `LEADS`, L time samples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from einthoven.ecg.leads import LEADS, lead_rows
from einthoven.report.tables import Row
from einthoven.statistics import bootstrap_intervals, finite_mean

REPORTED = "reported"
"""Stands in the column `lead` for all reported leads together."""

CHUNK = 8
"""Records that are scored at a time."""

SUMMARY_COLUMNS = ["metric", "lead", "value", "lower", "upper", "n_records"]

Statistic = Callable[[np.ndarray], np.ndarray]
Statistics = dict[str, tuple[np.ndarray, Statistic]]
"""By metric, values of N records, shape (N, ..., 12 or 13), the leads last as in `record_values`, and a function of
such an array to thirteen numbers."""


@dataclass(frozen=True)
class Estimate:
    """ECGs of N records by one method, beside the truth.

    Attributes:
        mean: Point estimate in mV, shape (N, C, L).
        truth: True ECG in mV, shape (N, C, L).
        scored: True where a sample is scored, shape (N, C, L).
        sampling_rate: Sampling rate in Hz.
        samples: Samples in mV, shape (N, S, C, L); None: the point estimate is the only one.
        band: Edges of the 90 % band in mV, each of shape (N, C, L), or None.
        noisy: What was denoised, in mV, shape (N, C, L), or None.
    """

    mean: np.ndarray
    truth: np.ndarray
    scored: np.ndarray
    sampling_rate: float
    samples: np.ndarray | None = None
    band: tuple[np.ndarray, np.ndarray] | None = None
    noisy: np.ndarray | None = None

    @property
    def drawn(self) -> np.ndarray:
        """The samples, or the point estimate as the only one, shape (N, S, C, L)."""
        return self.mean[:, None] if self.samples is None else self.samples

    @cached_property
    def n_scored(self) -> np.ndarray:
        """Number of samples scored, shape (N, C)."""
        return np.asarray(self.scored.sum(axis=-1))

    def part(self, rows: slice) -> "Estimate":
        """Reads some records; the truth is 0 where it is not scored."""
        scored = np.asarray(self.scored[rows])
        return replace(
            self,
            mean=self.mean[rows],
            truth=np.where(scored, self.truth[rows], 0.0),
            scored=scored,
            samples=None if self.samples is None else np.asarray(self.samples[rows]),
            band=None if self.band is None else (np.asarray(self.band[0][rows]), np.asarray(self.band[1][rows])),
            noisy=None if self.noisy is None else self.noisy[rows],
        )


PerLead = Callable[[Estimate], np.ndarray]
"""Values of each record and lead, shape (N, C), or of each sample too, shape (N, S, C)."""


def pooled(values: np.ndarray, estimate: Estimate, leads: Sequence[int]) -> np.ndarray:
    """Averages over the scored samples of some leads together: (..., C) -> (...); NaN without any."""
    weights = estimate.n_scored[:, leads].astype(np.float64)
    weights = weights if values.ndim == 2 else weights[:, None]
    chosen = values[..., leads]
    total = np.where(weights > 0, np.nan_to_num(chosen) * weights, 0.0).sum(axis=-1)
    count = np.where(np.isfinite(chosen), weights, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def averaged(values: np.ndarray, estimate: Estimate, leads: Sequence[int]) -> np.ndarray:
    """Averages over some leads, each counting alike: (..., C) -> (...); NaN without any."""
    return finite_mean(np.moveaxis(values[..., leads], -1, 0))


@dataclass(frozen=True)
class Metric(Row):
    """A line of a report, and how its values are made.

    Attributes:
        of: Values of each record and lead; those of single samples are averaged over the samples in the end. None where
            they are made elsewhere.
        joint: Makes a record's value from its reported leads: from values per lead, the estimate, and the leads.
        then: What is done last, such as a root.
    """

    of: PerLead | None = None
    joint: Callable[[np.ndarray, Estimate, Sequence[int]], np.ndarray] = averaged
    then: Statistic = np.asarray


def per_lead(estimate: Estimate, functions: Mapping[str, PerLead]) -> dict[str, np.ndarray]:
    """Applies functions to an estimate, a few records at a time, so that the samples of all are never in memory."""
    parts = (estimate.part(slice(start, start + CHUNK)) for start in range(0, len(estimate.mean), CHUNK))
    found = [{name: function(part) for name, function in functions.items()} for part in parts]
    return {name: np.concatenate([values[name] for values in found]) for name in functions}


def record_values(estimate: Estimate, metrics: Sequence[Metric], reported: Sequence[str]) -> dict[str, np.ndarray]:
    """Scores an estimate, lead by lead and for the reported leads together; metrics without a function are passed over.

    Returns:
        By metric, values of shape (N, 13): the leads in the order of `LEADS`, then the reported leads together; NaN
        where there is none.
    """
    leads = lead_rows(reported)
    chosen = {metric.metric: metric for metric in metrics if metric.of is not None}
    found = per_lead(estimate, {name: metric.of for name, metric in chosen.items() if metric.of is not None})
    values = {}
    for name, metric in chosen.items():
        joint = metric.joint(found[name], estimate, leads)
        whole = metric.then(np.concatenate([found[name], joint[..., None]], axis=-1))
        values[name] = whole if whole.ndim == 2 else whole.mean(axis=1)
    return values


def summarise(statistics: Statistics, reported: Sequence[str], n_resamples: int, seed: int) -> pd.DataFrame:
    """Sums values up over records, with bootstrap 95 % intervals.

    One row per metric and lead (`REPORTED` for the reported leads together), with the columns `SUMMARY_COLUMNS`.
    """
    leads = lead_rows(reported)
    rows = []
    for name, (values, statistic) in statistics.items():
        finite = np.isfinite(values if values.ndim == 2 else values.sum(axis=1))
        joint = finite[:, len(LEADS)] if finite.shape[1] > len(LEADS) else finite[:, leads].any(axis=1)
        counts = [*finite[:, : len(LEADS)].sum(axis=0), joint.sum()]
        intervals = bootstrap_intervals(values, statistic, n_resamples, seed)
        for lead, count, interval in zip((*LEADS, REPORTED), counts, intervals, strict=True):
            rows.append((name, lead, interval.estimate, interval.lower, interval.upper, int(count)))
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def means(values: Mapping[str, np.ndarray]) -> Statistics:
    """Takes the mean over records as the statistic of each metric."""
    return {name: (column, finite_mean) for name, column in values.items()}


def record_table(values: Mapping[str, np.ndarray], ecg_ids: np.ndarray, **keys: str) -> pd.DataFrame:
    """Lays values (N, 13) by metric out: one row per record and lead, the reported leads last, the `keys` in front."""
    leads = (*LEADS, REPORTED)
    rows = {"ecg_id": np.repeat(ecg_ids, len(leads)), "lead": np.tile(leads, len(ecg_ids))}
    return pd.DataFrame({**keys, **rows, **{name: column.ravel() for name, column in values.items()}})


def cost_table(cost: pd.DataFrame) -> pd.DataFrame:
    """Averages what records cost, in the columns of `summarise`; of the peak memory, which grows, the last counts."""
    total = cost.mean()
    if "memory_mb" in cost:
        total["memory_mb"] = cost["memory_mb"].max()
    table = pd.DataFrame({"metric": total.index.astype(str), "lead": REPORTED, "value": total.to_numpy(dtype=float)})
    return table.assign(lower=np.nan, upper=np.nan, n_records=len(cost))


def score_tables(
    statistics: Mapping[str, Statistics],
    values: Mapping[str, Mapping[str, np.ndarray]],
    costs: Mapping[str, pd.DataFrame],
    ecg_ids: np.ndarray,
    reported: Sequence[str],
    n_resamples: int,
    seed: int,
    **keys: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sums up the scores of several methods on the same records.

    Args:
        statistics: By method, what `summarise` takes.
        values: By method and metric, values of shape (N, 13).
        costs: By method, one row per record, a column per cost.
        ecg_ids: Keys of the records, shape (N,).
        reported: Names of the reported leads.
        n_resamples: Number of bootstrap draws.
        seed: Seed of the draws.
        **keys: Columns to set before the others, such as the noise.

    Returns:
        One row per method, metric and lead, and one per method, record and lead.
    """
    summaries = [summarise(jobs, reported, n_resamples, seed).assign(method=name) for name, jobs in statistics.items()]
    summaries += [cost_table(cost).assign(method=name) for name, cost in costs.items()]
    summary = pd.concat(summaries, ignore_index=True).assign(**keys)[[*keys, "method", *SUMMARY_COLUMNS]]
    records = [record_table(columns, ecg_ids, **keys, method=name) for name, columns in values.items()]
    return summary, pd.concat(records, ignore_index=True)


def report_tables(found: Sequence[tuple[pd.DataFrame, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Joins what `score_tables` returned, by file: the reported leads, each lead that has values, and each record."""
    summary, per_record = (pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True))
    is_joint = summary["lead"] == REPORTED
    return {
        "table.csv": summary[is_joint].drop(columns="lead").reset_index(drop=True),
        "per_lead.csv": summary[~is_joint & (summary["n_records"] > 0)],
        "per_record.parquet": per_record,
    }


def best_of(values: Mapping[str, Mapping[str, np.ndarray]], metric: str, highest: bool) -> str | None:
    """Names the method whose mean of a metric is best for the reported leads; `values` is by method, then metric."""
    found = {name: float(finite_mean(of_method[metric])[-1]) for name, of_method in values.items()}
    if not found:
        return None
    return (max if highest else min)(found, key=found.__getitem__)
