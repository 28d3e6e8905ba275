"""A small simulator of 12-lead ECGs, for tests and smoke runs.

A heart vector in Frank's axes (x to the left, y down, z to the back) is a sum of Gaussian waves P, Q, R, S and two
halves of T per beat, as in McSharry et al., IEEE Trans. Biomed. Eng. 50, 289 (2003). Dower's matrix projects it onto I,
II and V1-V6 (Dower, Machado, Osborne, Clin. Cardiol. 3, 87, 1980); the other limb leads are derived, so Einthoven's law
holds. Rate, axis, sizes and widths of the waves vary from record to record. The signals have no baseline wander.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS, to_twelve
from preprocessing.cohorts.splits import split_of
from preprocessing.store.store import Store, write_store

Rhythm = Literal["sinus", "af", "mixed"]

DOWER: NDArray[np.float64] = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
"""Lead field (Dower et al., J. Electrocardiol. 13, 1980): rows I, II, V1-V6, columns the Frank leads x, y, z."""

CENTRES_S = np.array([-0.16, -0.022, 0.0, 0.026, 0.24, 0.29])
"""Times of P, Q, R, S and T's halves after the R peak at 60 beats/min, in s."""
WIDTHS_S = np.array([0.022, 0.009, 0.011, 0.013, 0.050, 0.030])
"""Standard deviations of the waves in s."""
VECTORS_MV = np.array(
    [
        [0.06, 0.10, -0.03],
        [-0.12, 0.03, -0.25],
        [1.10, 0.75, 0.25],
        [-0.15, -0.15, 0.65],
        [0.13, 0.10, -0.12],
        [0.12, 0.10, -0.10],
    ]
)
"""Heart vector at the waves' peaks in mV; columns x, y, z."""

_P, _QRS, _T = slice(0, 1), slice(1, 4), slice(4, 6)
_AF_PROBABILITY = 0.2
_PREMATURE_PROBABILITY = 0.08


@dataclass(frozen=True)
class _Beats:
    """Beats of one record: times of the R peaks in s, intervals before them in s, and which are premature."""

    times: NDArray[np.float64]
    intervals: NDArray[np.float64]
    premature: NDArray[np.bool_]


def simulate_ecg(
    n_records: int,
    sampling_rate: float = 100,
    duration: float = 10.0,
    seed: int = 0,
    rhythm: Rhythm = "mixed",
    premature: bool = False,
    noise: float = 0.005,
) -> NDArray[np.float32]:
    """Simulates 12-lead ECGs; record k depends on `seed` and k only, not on how many are simulated.

    Args:
        n_records: Number of records.
        sampling_rate: Sampling rate in Hz.
        duration: Length in s.
        seed: Seed.
        rhythm: "sinus", "af" (irregular, without P waves, with fibrillatory waves) or "mixed" (a fifth in "af").
        premature: Whether some beats come early and wide (ventricular premature beats).
        noise: Standard deviation of the white noise on the independent leads in mV.

    Returns:
        ECGs in mV, leads in the order of `LEADS`, shape (n_records, 12, L), float32.

    Raises:
        ValueError: If a number is not positive or the rhythm is unknown.
    """
    return simulate_records(n_records, sampling_rate, duration, seed, rhythm, premature, noise)[0]


def simulate_records(
    n_records: int,
    sampling_rate: float = 100,
    duration: float = 10.0,
    seed: int = 0,
    rhythm: Rhythm = "mixed",
    premature: bool = False,
    noise: float = 0.005,
) -> tuple[NDArray[np.float32], pd.DataFrame]:
    """Simulates 12-lead ECGs with the table of a store; arguments and errors as for `simulate_ecg`.

    Returns:
        ECGs in mV, shape (n_records, 12, L), float32; and a table with `ecg_id` 1, 2, ..., the folds 1 to 10 in turn,
        and the statements SR or AFIB, and PVC.
    """
    if n_records < 1 or sampling_rate <= 0 or duration <= 0 or noise < 0:
        raise ValueError("a simulation needs at least one record, a positive rate and duration, and no negative noise")
    if rhythm not in ("sinus", "af", "mixed"):
        raise ValueError(f"unknown rhythm {rhythm!r}; rhythms are sinus, af, mixed")
    time = np.arange(round(duration * sampling_rate)) / sampling_rate
    signals = np.empty((n_records, len(LEADS), len(time)), dtype=np.float32)
    statements: list[list[str]] = []
    for index in range(n_records):
        rng = np.random.default_rng([seed, index])
        fibrillating = rhythm == "af" or (rhythm == "mixed" and rng.random() < _AF_PROBABILITY)
        beats = _draw_beats(rng, duration, fibrillating, premature)
        vector = _heart_vector(rng, time, beats, fibrillating)
        eight = DOWER @ vector + noise * rng.standard_normal((len(DOWER), len(time)))
        signals[index] = to_twelve(eight.astype(np.float32))
        inside = beats.premature & (beats.times >= 0) & (beats.times < duration)
        statements.append(["AFIB" if fibrillating else "SR", *(["PVC"] if inside.any() else [])])
    folds = [index % 10 + 1 for index in range(n_records)]
    table = pd.DataFrame({"ecg_id": range(1, n_records + 1), "strat_fold": folds})
    table["split"] = [split_of(fold) for fold in folds]
    table["statements"] = statements
    table["source_rate"] = float(sampling_rate)
    table["source"] = "synthetic"
    return signals, table


def simulate_store(
    path: str | Path,
    n_records: int = 40,
    sampling_rate: float = 100,
    duration: float = 10.0,
    seed: int = 0,
    rhythm: Rhythm = "mixed",
    premature: bool = False,
    noise: float = 0.005,
) -> Store:
    """Simulates 12-lead ECGs into a store at `path`; eight of ten records train, one validates, one tests.

    The other arguments and errors are those of `simulate_ecg`.
    """
    signals, table = simulate_records(n_records, sampling_rate, duration, seed, rhythm, premature, noise)
    settings = {"name": "synthetic", "seed": seed, "rhythm": rhythm, "premature": premature, "noise_mv": noise}
    return write_store(path, signals, table, sampling_rate, LEADS, {"inputs": {"settings": settings}})


def _draw_beats(rng: np.random.Generator, duration: float, fibrillating: bool, premature: bool) -> _Beats:
    """Draws the times of beats from before the start to after the end."""
    rate = rng.uniform(70, 130) if fibrillating else rng.uniform(50, 105)
    n_beats = int((duration + 4) * 130 / 60 * 1.6) + 4
    number = np.arange(n_beats)
    if fibrillating:
        factors = np.exp(0.22 * rng.standard_normal(n_beats))
    else:
        breathing = 0.04 * np.sin(2 * np.pi * (number * rng.uniform(0.18, 0.35) + rng.random()))
        factors = 1 + breathing + 0.01 * rng.standard_normal(n_beats)
    intervals = np.clip(60 / rate * factors, 0.35, 2.0)
    early = np.zeros(n_beats, dtype=bool)
    if premature:
        early[1:-1] = rng.random(n_beats - 2) < _PREMATURE_PROBABILITY
        early[1:] &= ~early[:-1]
        intervals = np.where(early, 0.62 * intervals, intervals)
        intervals[1:] = np.where(early[:-1], 1.38 * intervals[1:], intervals[1:])  # the compensatory pause
    times = np.cumsum(intervals) - 2.0 - rng.random() * intervals[0]
    return _Beats(times, intervals, early)


def _heart_vector(
    rng: np.random.Generator, time: NDArray[np.float64], beats: _Beats, fibrillating: bool
) -> NDArray[np.float64]:
    """Returns the heart vector in mV, shape (3, L)."""
    vectors = VECTORS_MV * np.exp(0.25 * rng.standard_normal((len(VECTORS_MV), 1)))
    vectors = vectors + 0.03 * rng.standard_normal(vectors.shape) * np.abs(vectors).max(axis=1, keepdims=True)
    vectors = vectors @ _rotation(rng).T
    widths = WIDTHS_S * np.exp(0.1 * rng.standard_normal(len(WIDTHS_S)))
    n_beats = len(beats.times)
    size = np.tile(vectors, (n_beats, 1, 1)) * (1 + 0.02 * rng.standard_normal((n_beats, 1, 1)))
    width = np.tile(widths, (n_beats, 1))
    offset = np.tile(CENTRES_S, (n_beats, 1))
    offset[:, _T] *= np.sqrt(np.clip(beats.intervals, 0.4, 1.5))[:, None]  # Bazett
    if fibrillating:
        size[:, _P] = 0.0
    early = beats.premature
    size[early, _P] = 0.0
    size[early, _QRS] *= 1.3
    size[early, _T] *= -1.5
    width[early, _QRS] *= 2.5
    offset[early, _QRS] *= 2.5
    centres = (beats.times[:, None] + offset).ravel()
    near = (centres > time[0] - 0.5) & (centres < time[-1] + 0.5)
    waves = np.exp(-0.5 * ((time - centres[near, None]) / width.ravel()[near, None]) ** 2)
    vector = size.reshape(-1, 3)[near].T @ waves
    if fibrillating:
        phase = 2 * np.pi * (rng.uniform(5.0, 7.0) * time + 0.3 * np.sin(2 * np.pi * 0.4 * time) + rng.random())
        direction = np.array([0.02, 0.05, -0.04]) * np.exp(0.3 * rng.standard_normal(3))
        vector += direction[:, None] * (np.sin(phase) + 0.4 * np.sin(2 * phase))
    return vector


def _rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draws a rotation of the heart: about 20 degrees in the frontal and 15 in the transverse plane."""
    frontal, transverse = np.radians([20.0, 15.0]) * rng.standard_normal(2)
    cos, sin = np.cos(frontal), np.sin(frontal)
    in_frontal = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    cos, sin = np.cos(transverse), np.sin(transverse)
    return np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]]) @ in_frontal
