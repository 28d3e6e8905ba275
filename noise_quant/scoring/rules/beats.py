"""How alike the beats of a lead are: noise makes them differ, whatever its frequency."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from einthoven.ecg.filters import resample

RATE_HZ = 100.0
"""Rate that beats are looked at, so that recordings of any rate are comparable."""
FEWEST_BEATS = 3
_LEAST_MV, _LARGEST_MV = 1e-3, 1e4
_BAND_HZ, _QRS_HZ = (1.0, 40.0), (5.0, 30.0)
_PULSE_S, _REFRACTORY_S = 0.06, 0.25
_BEFORE_S, _AFTER_S = 0.15, 0.3


def slow_copy(ecg: NDArray[np.float64], sampling_rate: float) -> NDArray[np.float64]:
    """Returns leads, (C, L), at `RATE_HZ`, bounded, without their medians; values that are not finite count as 0."""
    x = np.clip(np.nan_to_num(ecg, nan=0.0, posinf=0.0, neginf=0.0), -_LARGEST_MV, _LARGEST_MV)
    x = x if sampling_rate == RATE_HZ else resample(x, sampling_rate, RATE_HZ)
    return np.asarray(x - np.median(x, axis=-1, keepdims=True))


def beat_likeness(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlates the beats of each lead with their median.

    Where the beats are is told by all leads together, so that a noisy lead is measured at the true beats.

    Args:
        x: Leads as `slow_copy` returns them, in mV, shape (C, n).

    Returns:
        Mean correlation over beats, at most 1, shape (C,): 0 where fewer than `FEWEST_BEATS` are found.
    """
    band = _band_pass(x, _BAND_HZ)
    before, after = round(_BEFORE_S * RATE_HZ), round(_AFTER_S * RATE_HZ)
    peaks = _peaks(band)
    peaks = peaks[(peaks >= before) & (peaks + after <= band.shape[-1])]
    if len(peaks) < FEWEST_BEATS:
        return np.zeros(len(x))
    beats = np.stack([band[:, peak - before : peak + after] for peak in peaks], axis=1)
    median = np.median(beats, axis=1, keepdims=True)
    beats, median = (y - y.mean(axis=-1, keepdims=True) for y in (beats, median))
    scale = np.sqrt((beats**2).sum(axis=-1) * (median**2).sum(axis=-1))
    return np.asarray(((beats * median).sum(axis=-1) / np.maximum(scale, _LEAST_MV**2)).mean(axis=-1))


def _peaks(band: NDArray[np.float64]) -> NDArray[np.int64]:
    """Finds beats, as sample numbers, where the leads, shape (C, L), are fast together."""
    strength = ndimage.uniform_filter1d(np.abs(_band_pass(band, _QRS_HZ)), round(_PULSE_S * RATE_HZ), axis=-1)
    pulses = np.median(strength / np.maximum(np.percentile(strength, 98, axis=-1, keepdims=True), _LEAST_MV), axis=0)
    top = np.percentile(pulses, 98)
    distance = round(_REFRACTORY_S * RATE_HZ)
    peaks, _ = signal.find_peaks(pulses, height=0.35 * top, distance=distance, prominence=0.2 * top)
    return np.asarray(peaks)


def _band_pass(x: NDArray[np.float64], hertz: tuple[float, float]) -> NDArray[np.float64]:
    return np.asarray(signal.sosfiltfilt(signal.butter(2, hertz, "bandpass", fs=RATE_HZ, output="sos"), x, axis=-1))
