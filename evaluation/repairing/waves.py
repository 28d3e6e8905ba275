"""Where waves lie, and how far apart the same waves of two ECGs are."""

import warnings

import neurokit2
import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.filters import resample
from evaluation.denoising.metrics import BEAT_RATE, MATCH_MS

Waves = dict[str, NDArray[np.float64]]
"""Times in s of the peaks of "P", "QRS" (R), "T", and of "QRS on" and "QRS off"."""
_NAMES = {"P": "ECG_P_Peaks", "T": "ECG_T_Peaks", "QRS on": "ECG_R_Onsets", "QRS off": "ECG_R_Offsets"}


def find_waves(ecg: NDArray[np.float64], sampling_rate: float) -> Waves:
    """Finds the waves of a lead in mV, shape (L,), with neurokit2 (its own detector; wavelet delineation)."""
    found: Waves = {name: np.empty(0) for name in ("QRS", *_NAMES)}
    if np.ptp(ecg) == 0:
        return found
    fine = resample(ecg, sampling_rate, BEAT_RATE)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            peaks = np.asarray(neurokit2.ecg_peaks(fine, sampling_rate=BEAT_RATE)[1]["ECG_R_Peaks"], dtype=np.int64)
            found["QRS"] = peaks / BEAT_RATE
            waves = neurokit2.ecg_delineate(fine, peaks, sampling_rate=BEAT_RATE, method="dwt")[1]
        except (IndexError, KeyError, ValueError, ZeroDivisionError, TypeError):  # what it raises for too few beats
            return found
    for name, key in _NAMES.items():
        times = np.asarray(waves[key], dtype=np.float64)
        found[name] = times[np.isfinite(times)] / BEAT_RATE
    return found


def compare_waves(
    found: NDArray[np.float64], truth: NDArray[np.float64], within: list[tuple[float, float]]
) -> tuple[int, int, int, float]:
    """Compares times in s with true ones inside stretches (s): how many are true, found, matched, and summed errors.

    Times match one to one, nearest pairs first, up to 150 ms apart. Errors are in ms.
    """
    inside = [np.any([(times >= a) & (times <= b) for a, b in within], axis=0) for times in (found, truth)]
    found, truth = found[inside[0]], truth[inside[1]]
    distance = np.abs(truth[:, None] - found) * 1000
    total, matched = 0.0, 0
    while distance.size and distance.min() <= MATCH_MS:
        row, column = np.unravel_index(distance.argmin(), distance.shape)
        total, matched = total + float(distance[row, column]), matched + 1
        distance[row], distance[:, column] = np.inf, np.inf
    return len(truth), len(found), matched, total
