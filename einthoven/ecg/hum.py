"""Hum of the mains: a steady wave of 50 or 60 Hz in a lead, and how large it is."""

from collections.abc import Sequence
from typing import TypeAlias

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
N_HARMONICS = 3
"""Lines of each of the mains that `find_hum` looks for."""
PIECE_S = 10.0
SHORTEST_S = 2.0

Lines: TypeAlias = list[tuple[float, float]]
"""Lines of the mains in a lead, as frequencies in Hz and amplitudes in mV."""


def mains_hum(ecg: ArrayLike, sampling_rate: float) -> NDArray[np.float64]:
    """Finds the amplitude of the mains' hum in mV, half its height from peak to peak, 0 where there is none.

    Args:
        ecg: ECG in mV, unfiltered, shape (..., L), NaN where missing; a second at least, ten are best.
        sampling_rate: Sampling rate in Hz. Hum that is not far enough below half of it is not looked for.

    Returns:
        Amplitudes at 50 and 60 Hz, shape (..., 2).
    """
    return _peaks(fill_gaps(ecg), sampling_rate, NOTCHES_HZ, LEAST_MV)[0]


def find_hum(lead: NDArray[np.float64], sampling_rate: float, least_mv: float = LEAST_MV) -> Lines:
    """Finds the mains' hum in a lead of any length with its harmonics, which come with their mains only.

    Args:
        lead: Lead in mV, unfiltered, shape (L,), NaN where missing. Of less than two seconds nothing is said.
        sampling_rate: Sampling rate in Hz.
        least_mv: Smallest amplitude that is called hum, in mV, root mean square over pieces of ten seconds.
    """
    x = fill_gaps(lead)
    if len(x) < SHORTEST_S * sampling_rate:
        return []
    hertz = np.outer(NOTCHES_HZ, np.arange(1, N_HARMONICS + 1))
    pieces = np.array_split(x, max(1, round(len(x) / (PIECE_S * sampling_rate))))
    peaks = [_peaks(piece, sampling_rate, hertz.ravel(), least_mv) for piece in pieces]
    power = np.square([amplitude for amplitude, _ in peaks]).reshape(-1, *hertz.shape)
    where = np.array([frequency for _, frequency in peaks]).reshape(power.shape)
    amplitudes = np.sqrt(power.mean(axis=0))
    found = []
    for row, column in np.ndindex(hertz.shape):
        if (amplitudes[row, : column + 1] >= least_mv).all():
            weight = power[:, row, column]
            found.append((float((weight * where[:, row, column]).sum() / weight.sum()), float(amplitudes[row, column])))
    return found


def _peaks(
    x: NDArray[np.float64], sampling_rate: float, hertz: Sequence[float] | NDArray[np.float64], least_mv: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Finds steady waves about some frequencies in signals (..., L): amplitudes, 0 where none is, and frequencies."""
    window = np.hanning(x.shape[-1] + 2)[1:-1]
    n = 4 * x.shape[-1]  # finer than the spectrum's own steps, so that the peak is met
    size = np.abs(np.fft.rfft((x - x.mean(axis=-1, keepdims=True)) * window, n)) * 2 / window.sum()
    frequency = np.fft.rfftfreq(n, 1 / sampling_rate)
    amplitudes = np.zeros((*x.shape[:-1], len(hertz)))
    places = np.broadcast_to(np.asarray(hertz, dtype=np.float64), amplitudes.shape).copy()
    for place, mains in enumerate(hertz):
        distance = np.abs(frequency - mains)
        near, beside = distance <= MAINS_HZ, (distance >= NEIGHBOURS_HZ[0]) & (distance <= NEIGHBOURS_HZ[1])
        if mains + MAINS_HZ >= sampling_rate / 2 or not near.any() or not beside.any():
            continue
        peak = size[..., near].max(axis=-1)
        stands_out = peak >= LEAST_RATIO * np.median(size[..., beside], axis=-1)
        amplitudes[..., place] = np.where((peak >= least_mv) & stands_out, peak, 0.0)
        places[..., place] = frequency[near][size[..., near].argmax(axis=-1)]
    return amplitudes, places


def describe_hum(leads: Sequence[str], amplitudes: NDArray[np.float64], what: str = "removed") -> list[str]:
    """Says in which leads there was hum, amplitudes (n_leads, 2) as `mains_hum` finds them, and what became of it."""
    notes = []
    for mains, column in zip(NOTCHES_HZ, amplitudes.T, strict=True):
        found = [f"{lead} {value:.2f}" for lead, value in zip(leads, column, strict=True) if value]
        if found:
            notes.append(f"mains hum of {mains:g} Hz {what}: {', '.join(found)} mV")
    return notes
