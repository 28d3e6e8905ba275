"""Do generated ECGs copy? Distances between ECGs that a shift in time does not change, and nearest neighbours.

Shapes: N and M ECGs, C leads, L samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft

from einthoven.ecg.filters import resample
from einthoven.ecg.leads import INDEPENDENT_ROWS
from einthoven.ecg.measures.beats import AverageBeat
from einthoven.statistics import bootstrap_intervals
from evaluation.report import interval_columns

RECORDING = "whole recording"
BEAT = "median beat"

SEARCH_RATE = 50.0
"""Rate in Hz that recordings are compared at."""

LEAST_OVERLAP = 0.5
"""Share of a recording that a shift leaves to compare at least."""

BEAT_WINDOW_S = (-0.25, 0.45)
BEAT_RATE = 100.0
_CHUNK = 6_000_000


@dataclass(frozen=True)
class Nearest:
    """The nearest of some ECGs to each of others.

    Attributes:
        index: Place of the nearest, shape (N,); -1 where there is none.
        distance: Its distance, shape (N,); NaN where there is none.
        lag_s: Seconds by which it comes earlier, shape (N,); 0 for beats.
    """

    index: NDArray[np.int64]
    distance: NDArray[np.float64]
    lag_s: NDArray[np.float64]


def recording_distances(
    first: NDArray[np.floating], second: NDArray[np.floating], sampling_rate: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distances of recordings at the shift that makes them most alike.

    1 - max over shifts k of <a_k, b> / (|a_k| |b_k|), products and norms over the eight independent leads and the
    samples that both have at that shift, half of the recording at least. 0: equal but for shift and gain.

    Args:
        first: ECGs in mV, shape (N, 12, L).
        second: ECGs in mV, shape (M, 12, L).
        sampling_rate: Sampling rate in Hz.

    Returns:
        Distances, NaN where an ECG is zero throughout, and the shifts in s by which the second comes earlier (N, M).
    """
    rate = min(SEARCH_RATE, sampling_rate)
    a, b = (resample(x[:, INDEPENDENT_ROWS], sampling_rate, rate).astype(np.float32) for x in (first, second))
    length = a.shape[-1]
    size = fft.next_fast_len(2 * length, real=True)
    a_f, b_f = (np.ascontiguousarray(np.moveaxis(fft.rfft(x, size), -1, 0)) for x in (a, b))
    reach = int((1.0 - LEAST_OVERLAP) * length)
    lags = np.arange(-reach, reach + 1)
    a_energy, b_energy = _energies(a, lags), _energies(b, -lags)
    distance, shift = (np.empty((len(a), len(b)), np.float32) for _ in range(2))
    step = max(1, _CHUNK // (size * max(len(b), 1)))
    b_f = np.conj(b_f).transpose(0, 2, 1)
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        products = fft.irfft(a_f[:, rows] @ b_f, size, axis=0)[lags]
        products /= np.sqrt(np.maximum(a_energy[:, rows, None] * b_energy[:, None, :], 1e-12))
        best = products.argmax(axis=0)
        distance[rows] = 1.0 - np.take_along_axis(products, best[None], axis=0)[0]
        shift[rows] = lags[best] / rate
    a_any, b_any = (np.asarray(x.any(axis=(1, 2))) for x in (a, b))
    flat = ~(a_any[:, None] & b_any)
    return np.where(flat, np.float32(np.nan), np.maximum(distance, 0.0)), shift


def _energies(x: NDArray[np.float32], lags: NDArray[np.int64]) -> NDArray[np.float32]:
    """Energy of the samples of each ECG (N, C, L) that remain at each shift, shape (number of lags, N)."""
    total = np.concatenate([np.zeros((len(x), 1)), np.square(x, dtype=np.float64).sum(axis=1).cumsum(axis=1)], axis=1)
    later = total[:, -1:] - total[:, np.maximum(lags, 0)]
    earlier = total[:, x.shape[-1] + np.minimum(lags, 0)]
    return np.where(lags >= 0, later, earlier).T.astype(np.float32)


def beat_vectors(beats: Sequence[AverageBeat | None]) -> NDArray[np.float64]:
    """Cuts median beats, aligned at their R peaks, from 0.25 s before to 0.45 s after them.

    The independent leads in mV at 100 Hz, shape (N, 8 * 70), NaN for an ECG without beats.
    """
    size = len(INDEPENDENT_ROWS) * round((BEAT_WINDOW_S[1] - BEAT_WINDOW_S[0]) * BEAT_RATE)
    blank = np.full(size, np.nan)
    cut = [
        blank if beat is None else beat.window(*BEAT_WINDOW_S, BEAT_RATE)[INDEPENDENT_ROWS].ravel() for beat in beats
    ]
    return np.stack(cut) if cut else np.empty((0, size))


def beat_distances(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root-mean-square differences in mV (N, M) of median beats (N, n) and (M, n), NaN where one has no beat."""
    squares = np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1) - 2.0 * first @ second.T
    return np.sqrt(np.maximum(squares, 0.0) / first.shape[1])


def nearest(distances: NDArray[np.floating], shifts: NDArray[np.floating] | None = None) -> Nearest:
    """Takes the nearest of each row of distances (N, M), NaN where there is none, and the shift in s of each."""
    index = np.where(np.isnan(distances), np.inf, distances).argmin(axis=1)
    rows = np.arange(len(distances))
    found = distances[rows, index].astype(np.float64)
    lag = np.zeros(len(rows)) if shifts is None else shifts[rows, index].astype(np.float64)
    return Nearest(np.where(np.isfinite(found), index, -1), found, lag)


def nearness_table(
    sets: Mapping[str, NDArray[np.float64]],
    held_out: Mapping[str, NDArray[np.float64]],
    real: str,
    n_resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Sums up distances to the nearest training ECG.

    That an ECG is near may also mean that it is a common one. What tells a copy is that training ECGs are nearer than
    others: of M training ECGs and m held-out ones, ECGs that copy nothing find their nearest among the former with
    probability M / (M + m).

    Args:
        sets: By name, distance of each ECG to its nearest training ECG, shape (N,).
        held_out: By name, distance of each ECG to the nearest real ECG that nothing was trained on, shape (N,).
        real: Name of the real ECGs, no copies: the 1st percentile of their distances is what "near" means.
        n_resamples: Number of bootstrap draws over records.
        seed: Seed of the draws.

    Returns:
        One row per set: `set`, `median`, `near` (share nearer than that percentile in %) and `training` (share nearer
        to a training ECG than to any held-out one in %), each with `_lower` and `_upper`, `nearest` (the least
        distance), `threshold`, `n`.
    """
    threshold = float(np.nanpercentile(sets[real], 1.0))
    rows = []
    for name, distances in sets.items():
        usable = np.isfinite(distances) & np.isfinite(held_out[name])
        if not usable.any():
            continue
        found, others = distances[usable], held_out[name][usable]
        values = np.stack([found, 100.0 * (found < threshold), 100.0 * (found < others)], axis=1)
        intervals = bootstrap_intervals(values, _median_and_means, n_resamples, seed)
        row: dict[str, object] = {"set": name}
        for column, interval in zip(("median", "near", "training"), intervals, strict=True):
            row |= interval_columns(column, interval)
        rows.append({**row, "nearest": found.min(), "threshold": threshold, "n": len(found)})
    return pd.DataFrame(rows)


def _median_and_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of the first column, means of the others: (n, 3) to (3,)."""
    return np.array([np.median(values[:, 0]), *values[:, 1:].mean(axis=0)])


def diversity(
    real: NDArray[np.floating],
    generated: NDArray[np.floating],
    statements: Sequence[frozenset[str]],
    n_resamples: int,
    seed: int,
) -> dict[str, float]:
    """Compares how far ECGs of the same statements lie from each other, generated and real.

    Args:
        real: Distances between the real ECGs, shape (N, N), NaN where there is none.
        generated: Distances between their twins, shape (N, N).
        statements: Statements of each record; pairs count whose sets of statements are equal.
        n_resamples: Number of bootstrap draws over records, real ones and twins drawn together.
        seed: Seed of the draws.

    Returns:
        Mean distances over pairs, `real`, `generated` and their `ratio`, each with `_lower` and `_upper`; `n_pairs`,
        `n_groups` and `n_records` that they come from; NaN where no two records share their statements.
    """
    groups = pd.factorize(np.array([" ".join(sorted(codes)) for codes in statements], dtype=object))[0]
    pairs = (groups[:, None] == groups) & ~np.eye(len(groups), dtype=bool) & np.isfinite(real) & np.isfinite(generated)
    inside = pairs.any(axis=1)
    summed = [np.where(pairs, distances, 0.0)[np.ix_(inside, inside)] for distances in (real, generated)]
    counted = pairs[np.ix_(inside, inside)].astype(np.float64)

    def means(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        weight = np.bincount(chosen, minlength=len(counted)).astype(np.float64)
        n_pairs = weight @ counted @ weight
        if n_pairs == 0.0:
            return np.full(3, np.nan)
        one, other = (weight @ distances @ weight / n_pairs for distances in summed)
        return np.array([one, other, other / one if one > 0.0 else np.nan])

    found: dict[str, float] = {}
    names = ("real", "generated", "ratio")
    if inside.any():
        intervals = bootstrap_intervals(np.arange(len(counted)), means, n_resamples, seed)
        for name, interval in zip(names, intervals, strict=True):
            found |= interval_columns(name, interval)
    else:
        found = {f"{name}{edge}": np.nan for name in names for edge in ("", "_lower", "_upper")}
    n_groups = len(np.unique(groups[inside]))
    return {**found, "n_pairs": float(pairs.sum() / 2), "n_groups": n_groups, "n_records": int(inside.sum())}
