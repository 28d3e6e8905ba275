"""How good reconstructions are in groups of records: by archive, rhythm, sex, age, and noise that readers noted."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from einthoven.ecg.leads import LEADS
from einthoven.ecg.statements import RHYTHM
from einthoven.statistics import bootstrap_intervals, finite_mean
from preprocessing.store.store import Store

METRICS: tuple[str, ...] = ("coverage", "mae_mean", "mae_median", "crps")
AGES: tuple[tuple[int, int], ...] = ((0, 18), (18, 40), (40, 60), (60, 75), (75, 121))
"""Years, from the first up to the second."""
NOTED: tuple[str, ...] = ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems")
LEAST = 3
"""Smaller groups are left out: they say nothing."""


def group_table(
    values: Mapping[str, np.ndarray],
    ecg_ids: np.ndarray,
    store: Store,
    reported: Sequence[str],
    n_resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Averages metrics over the records of each group, with 95 % bootstrap intervals.

    Args:
        values: By metric, values of N records, shape (N, 13): the twelve leads and the reported ones together.
        ecg_ids: Keys of the records, shape (N,).
        store: The store that says what they are.
        reported: Names of the reported leads, which are groups too.
        n_resamples: Number of bootstrap draws.
        seed: Seed of the draws.

    Returns:
        Columns `group`, `value`, `metric`, `estimate`, `lower`, `upper` and `n_records`.
    """
    table = store.table.set_index("ecg_id").reindex(ecg_ids)
    stacked = np.stack([values[metric] for metric in METRICS], axis=1)
    groups = [(group, value, stacked[rows][..., -1]) for group, value, rows in _groups(table)]
    groups += [("lead", lead, stacked[..., LEADS.index(lead)]) for lead in reported]
    found: list[tuple[str, str, str, float, float, float, int]] = []
    for group, value, chosen in groups:
        if len(chosen) < LEAST:
            continue
        intervals = bootstrap_intervals(chosen, finite_mean, n_resamples, seed)
        for metric, interval, column in zip(METRICS, intervals, chosen.T, strict=True):
            if n_records := int(np.isfinite(column).sum()):
                edges = (interval.estimate, interval.lower, interval.upper)
                found.append((group, value, metric, *edges, n_records))
    return pd.DataFrame(found, columns=["group", "value", "metric", "estimate", "lower", "upper", "n_records"])


def group_lines(name: str, table: pd.DataFrame) -> str:
    """Writes coverage and MAE of a method's groups as Markdown; nothing of a method without a band."""
    wide = table.pivot(index=["group", "value"], columns="metric")
    if ("estimate", "coverage") not in wide:
        return ""
    wide = wide.reindex(pd.MultiIndex.from_frame(table[["group", "value"]].drop_duplicates()))
    lines = [f"### {name}, by group", "", "| group | | records | coverage (%) | MAE of the mean (mV) |"]
    lines.append("|---|---|---:|---:|---:|")
    for place, (group, value) in enumerate(wide.index.tolist()):
        row = wide.iloc[place]
        low, high = (row[edge, "coverage"] for edge in ("lower", "upper"))
        coverage = f"{row['estimate', 'coverage']:.1f} ({low:.1f}-{high:.1f})"
        count, error = row["n_records", "coverage"], row["estimate", "mae_mean"]
        lines.append(f"| {group} | {value} | {count:.0f} | {coverage} | {error:.4f} |")
    return "\n".join(lines)


def _groups(table: pd.DataFrame) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yields groups as their kind, name and which records of a store's table are in them."""
    for source in sorted(table["source"].dropna().unique()):
        yield "archive", str(source), (table["source"] == source).to_numpy()
    held = [set(one) & set(RHYTHM) for one in table["statements"]]
    for rhythm in RHYTHM:
        yield "rhythm", rhythm, np.array([rhythm in one for one in held])
    yield "rhythm", "none said", np.array([not one for one in held])
    for name, code in (("male", 0), ("female", 1)):
        yield "sex", name, (table["sex"] == code).to_numpy()
    age = table["age"].to_numpy(dtype=float)
    for first, last in AGES:
        yield "age", f"{first} to {last - 1}", (age >= first) & (age < last)
    noted = (table[list(NOTED)].fillna("") != "").any(axis=1).to_numpy()
    yield "signal", "noise noted", noted
    yield "signal", "nothing noted", ~noted
