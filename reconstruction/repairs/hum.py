"""Mains hum: where a lead has it, and the lead without it."""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from einthoven.ecg.filters import fill_gaps

MAINS_HZ = (50.0, 60.0)
N_HARMONICS = 3
SEARCH_HZ = 0.7
"""The mains' rate varies by less."""
AROUND_HZ = 5.0
LEAST_MV = 0.03
"""Smaller amplitudes are left as they are."""
LEAST_RATIO = 20.0
"""By how much a line must stand out from the power around it."""
NOTCH_Q = 30.0


Lines = list[tuple[float, float]]
"""Lines of the mains, as rates in Hz and amplitudes in mV."""


def find_hum(lead: NDArray[np.float64], sampling_rate: float) -> Lines:
    """Finds lines of the mains in a lead in mV, shape (L,)."""
    x = fill_gaps(lead)
    if len(x) < 2 * sampling_rate or not np.ptp(x):
        return []
    size = int(min(len(x), 10 * sampling_rate))
    frequency, power = signal.welch(x - x.mean(), sampling_rate, "hann", size, scaling="density")
    found = []
    for mains in MAINS_HZ:
        for line in mains * np.arange(1, N_HARMONICS + 1):
            if line + AROUND_HZ > sampling_rate / 2:
                break
            near = np.abs(frequency - line) <= SEARCH_HZ
            around = (np.abs(frequency - line) <= AROUND_HZ) & ~near
            floor = np.median(power[around])
            amplitude = float(np.sqrt(2 * max((power[near] - floor).sum() * frequency[1], 0.0)))
            stands_out = power[near].max() >= LEAST_RATIO * floor
            if not (amplitude >= LEAST_MV and stands_out):
                break  # harmonics come with their mains only
            found.append((float(frequency[near][power[near].argmax()]), amplitude))
    return found


def without_hum(lead: NDArray[np.float64], sampling_rate: float, lines: Lines) -> NDArray[np.float64]:
    """Takes lines out of a lead by notches, forward and backward; gaps stay gaps."""
    x = fill_gaps(lead)
    padding = min(len(x) - 1, round(2 * sampling_rate))
    for frequency, _ in lines:
        b, a = signal.iirnotch(frequency, NOTCH_Q, sampling_rate)
        x = signal.filtfilt(b, a, x, padlen=padding)
    return np.where(np.isnan(lead), np.nan, x)
