"""Where the waves of an average beat begin, peak and end."""

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from einthoven.ecg.measures.beats import BEAT_RATE, AverageBeat
from einthoven.extras import extra

WAVES = {
    "P on": "ECG_P_Onsets",
    "P": "ECG_P_Peaks",
    "P off": "ECG_P_Offsets",
    "T on": "ECG_T_Onsets",
    "T": "ECG_T_Peaks",
    "T off": "ECG_T_Offsets",
}
"""Marks that neurokit2 finds, and its names of them."""
QRS_THRESHOLD = 0.05
QRS_SMOOTHING_S = 0.004
QRS_GAP_S = 0.02
QRS_REACH_S = (0.12, 0.14)
OFFSETS_MS = {"P on": -6.0, "QRS on": -5.0, "T off": -12.0}
"""What is added to marks, so that they lie where cardiologists put them: medians of 51 records of LUDB's other half."""
SAME_WAVE_S = 0.024
"""P peaks of two leads that are no farther apart are of the same wave."""
_N_TILES = 3


def qrs_bounds(average: AverageBeat, rows: list[int] | None = None) -> tuple[int, int]:
    """Finds start and end of the QRS complex in some leads together, in samples at `BEAT_RATE`.

    The complex is where the speed of the heart vector, the root of the sum over leads of the squared slopes, exceeds
    its median over the beat by 5 % of its maximum; slow stretches up to 20 ms long belong to the complex.

    Args:
        average: The beat.
        rows: Rows of leads of which none follows from others; None: all.
    """
    beat = average.beat if rows is None else average.beat[rows]
    slopes = gaussian_filter1d(beat, QRS_SMOOTHING_S * BEAT_RATE, axis=1, order=1, mode="wrap")
    speed = np.sqrt(np.square(slopes).sum(axis=0))
    first = max(0, average.peak - int(QRS_REACH_S[0] * BEAT_RATE))
    last = min(len(speed), average.peak + int(QRS_REACH_S[1] * BEAT_RATE))
    rest = float(np.median(speed))
    fastest = first + int(np.argmax(speed[first:last]))
    fast = first + np.flatnonzero(speed[first:last] > rest + QRS_THRESHOLD * (speed[fastest] - rest))
    onset = offset = fastest
    for place in fast[fast < fastest][::-1]:
        if onset - place > QRS_GAP_S * BEAT_RATE:
            break
        onset = int(place)
    for place in fast[fast > fastest]:
        if place - offset > QRS_GAP_S * BEAT_RATE:
            break
        offset = int(place)
    return onset, offset


def find_waves(average: AverageBeat) -> dict[str, NDArray[np.float64]]:
    """Finds the P and the T wave of each lead by the prominence of its peaks (Emrich et al., EUSIPCO 2024).

    All leads are laid one after the other for one call of neurokit2, each beat three times; the middle one counts.

    Returns:
        By mark, its place in samples at `BEAT_RATE` from the R peak on, shape (n_leads,); NaN where there is none, and
        of a P wave that lies elsewhere than in most leads.
    """
    with extra("measures"):
        from neurokit2 import ecg_delineate  # an import of seconds

    n_leads, length = average.beat.shape
    row = np.tile(average.beat, (1, _N_TILES)).ravel()
    row = np.concatenate([row[:length], row, row[-length:]])  # neurokit2 drops places before the first sample
    peaks = average.peak + length * (1 + np.arange(n_leads * _N_TILES))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # neurokit2 warns of every odd beat
        try:
            waves = ecg_delineate(row, peaks, sampling_rate=int(BEAT_RATE), method="prominence")[1]
        except (ArithmeticError, IndexError, KeyError, TypeError, ValueError):  # what it raises for odd beats
            return {name: np.full(n_leads, np.nan) for name in WAVES}
    middle = slice(_N_TILES // 2, None, _N_TILES)
    marks = {name: (np.asarray(waves[key], dtype=np.float64) - peaks)[middle] for name, key in WAVES.items()}
    elsewhere = ~_most_agree(marks["P"], SAME_WAVE_S * BEAT_RATE)
    return marks | {name: np.where(elsewhere, np.nan, marks[name]) for name in ("P on", "P", "P off")}


def _most_agree(places: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    """Returns which places lie near the one that most of the others lie near, shape (n,)."""
    near: NDArray[np.bool_] = np.abs(places[:, None] - places) <= tolerance
    return near[near.sum(axis=1).argmax()]
