"""A recording without the mains' hum."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from einthoven.ecg.filters import fill_gaps
from einthoven.ecg.hum import Lines
from reconstruction.repairs.storage import MEMORY_UP_TO_S, Storage

LEAST_MV = 0.025
"""Hum of smaller amplitudes is left as it is. Of hum of 0.03 mV added to leads of PTB-XL's fold 9 this finds 99 %, a
limit of 0.03 mV 47 %; neither finds any in 300 clean and 276 noisy leads as they are."""
NOTCH_Q = 30.0
MARGIN_S = 10.0
"""Long leads are filtered in parts, each with so much on either side: notches have forgotten it by then."""


def without_hums(
    ecg: NDArray[np.float64], sampling_rate: float, hum: Mapping[int, Lines], storage: Storage
) -> NDArray[np.float64]:
    """Takes lines out of the leads that have them, by row; returns the same array where there are none."""
    if not hum:
        return ecg
    clean = storage.array("without_hum", ecg.shape, np.float64)
    size, margin = round(MEMORY_UP_TO_S * sampling_rate), round(MARGIN_S * sampling_rate)
    length = ecg.shape[-1]
    for first in range(0, length, size):
        last = min(first + size, length)
        clean[:, first:last] = ecg[:, first:last]
        begin, end = max(0, first - margin), min(length, last + margin)
        for row, lines in hum.items():
            part = without_hum(ecg[row, begin:end], sampling_rate, lines)
            clean[row, first:last] = part[first - begin : last - begin]
    storage.flush()
    return clean


def without_hum(lead: NDArray[np.float64], sampling_rate: float, lines: Lines) -> NDArray[np.float64]:
    """Takes lines out of a lead by notches, forward and backward; gaps stay gaps."""
    x = fill_gaps(lead)
    padding = min(len(x) - 1, round(2 * sampling_rate))
    for frequency, _ in lines:
        b, a = signal.iirnotch(frequency, NOTCH_Q, sampling_rate)
        x = signal.filtfilt(b, a, x, padlen=padding)
    return np.where(np.isnan(lead), np.nan, x)
