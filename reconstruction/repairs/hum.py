"""A lead without the mains' hum."""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from einthoven.ecg.filters import fill_gaps
from einthoven.ecg.hum import Lines

LEAST_MV = 0.03
"""Hum of smaller amplitudes is left as it is."""
NOTCH_Q = 30.0


def without_hum(lead: NDArray[np.float64], sampling_rate: float, lines: Lines) -> NDArray[np.float64]:
    """Takes lines out of a lead by notches, forward and backward; gaps stay gaps."""
    x = fill_gaps(lead)
    padding = min(len(x) - 1, round(2 * sampling_rate))
    for frequency, _ in lines:
        b, a = signal.iirnotch(frequency, NOTCH_Q, sampling_rate)
        x = signal.filtfilt(b, a, x, padlen=padding)
    return np.where(np.isnan(lead), np.nan, x)
