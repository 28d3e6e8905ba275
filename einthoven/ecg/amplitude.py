"""How high the beats of a lead are."""

import warnings

import numpy as np
from numpy.typing import NDArray

AMPLITUDE_WINDOW = 1.25
"""Length in seconds of the windows whose peak-to-peak values an amplitude is the median of."""


def amplitude(ecg: np.ndarray, where: np.ndarray, sampling_rate: float) -> NDArray[np.float64]:
    """Amplitude of each lead: the median over windows of the peak-to-peak value of its chosen samples, in mV.

    The windows are consecutive, about 1.25 s long (a whole number of them fills the record), so that most hold a QRS
    complex down to 30 beats a minute, and the median ignores a lone artefact or extrasystole, which the range of the
    record would not. Windows with fewer than half of their samples chosen are left out; NaN where none is left.

    Args:
        ecg: ECGs in mV, shape (..., C, L).
        where: The samples that are chosen, a mask that broadcasts to that shape.
        sampling_rate: Sampling rate in Hz.

    Returns:
        Amplitudes in mV, shape (..., C).
    """
    length = ecg.shape[-1]
    n_windows = max(1, round(length / (AMPLITUDE_WINDOW * sampling_rate)))
    edges = np.linspace(0, length, n_windows + 1).astype(int)
    where = np.broadcast_to(where, ecg.shape)
    heights = []
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        counted = where[..., start:stop]
        window = ecg[..., start:stop]
        height = np.where(counted, window, -np.inf).max(axis=-1) - np.where(counted, window, np.inf).min(axis=-1)
        heights.append(np.where(counted.mean(axis=-1) >= 0.5, height, np.nan))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all-NaN leads are a documented outcome
        return np.asarray(np.nanmedian(np.stack(heights), axis=0), dtype=np.float64)
