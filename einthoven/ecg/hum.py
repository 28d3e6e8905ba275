"""Hum of the mains: a steady wave of 50 or 60 Hz in a lead, and how large it is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from einthoven.ecg.filters import NOTCHES_HZ, fill_gaps

LEAST_MV = 0.1
"""Smallest amplitude that is called hum: one millimetre on paper."""
MAINS_HZ = 0.5
"""The mains are looked for so far beside their frequency."""
NEIGHBOURS_HZ = (2.0, 6.0)
"""Hum stands out from what lies at these distances on either side ..."""
LEAST_RATIO = 8.0
"""... by so much; the largest value of noise does not by half."""


def mains_hum(ecg: ArrayLike, sampling_rate: float) -> NDArray[np.float64]:
    """Finds the amplitude of the mains' hum in mV, half its height from peak to peak, 0 where there is none.

    Args:
        ecg: ECG in mV, unfiltered, shape (..., L), NaN where missing; a second at least, ten are best.
        sampling_rate: Sampling rate in Hz. Hum that is not far enough below half of it is not looked for.

    Returns:
        Amplitudes at 50 and 60 Hz, shape (..., 2).
    """
    x = fill_gaps(ecg)
    window = np.hanning(x.shape[-1] + 2)[1:-1]
    n = 4 * x.shape[-1]  # finer than the spectrum's own steps, so that the peak is met
    size = np.abs(np.fft.rfft((x - x.mean(axis=-1, keepdims=True)) * window, n)) * 2 / window.sum()
    frequency = np.fft.rfftfreq(n, 1 / sampling_rate)
    amplitudes = np.zeros((*x.shape[:-1], len(NOTCHES_HZ)))
    for place, mains in enumerate(NOTCHES_HZ):
        distance = np.abs(frequency - mains)
        near, beside = distance <= MAINS_HZ, (distance >= NEIGHBOURS_HZ[0]) & (distance <= NEIGHBOURS_HZ[1])
        if mains + MAINS_HZ >= sampling_rate / 2 or not near.any() or not beside.any():
            continue
        peak = size[..., near].max(axis=-1)
        stands_out = peak >= LEAST_RATIO * np.median(size[..., beside], axis=-1)
        amplitudes[..., place] = np.where((peak >= LEAST_MV) & stands_out, peak, 0.0)
    return amplitudes


def describe_hum(leads: Sequence[str], amplitudes: NDArray[np.float64], what: str = "removed") -> list[str]:
    """Says in which leads there was hum, amplitudes (n_leads, 2) as `mains_hum` finds them, and what became of it."""
    notes = []
    for mains, column in zip(NOTCHES_HZ, amplitudes.T, strict=True):
        found = [f"{lead} {value:.2f}" for lead, value in zip(leads, column, strict=True) if value]
        if found:
            notes.append(f"mains hum of {mains:g} Hz {what}: {', '.join(found)} mV")
    return notes
