"""A heart rate that cannot be, at the sampling rate that is stated: what another sampling rate would make of it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

SLOWEST_BPM, FASTEST_BPM = 40.0, 200.0
"""Heart rates beyond these are noted: none of the first hundred records of PTB-XL's fold 9 is."""
LIKELY_BPM, LIKELY_FACTOR = 72.0, 1.5
"""Most resting ECGs have a heart rate within this factor of this one."""
USUAL_RATES_HZ = (100.0, 250.0, 500.0, 1000.0)
OTHER_RATES_HZ = (125.0, 128.0, 200.0, 240.0, 256.0, 300.0, 360.0, 400.0, 512.0, 2000.0)
LONGEST_S = 30.0
"""No more than this much is looked at."""
# Wide limits: a wrong rate moves the QRS complexes' band and width by up to a factor of five.
_BAND_HZ = (5.0, 100.0)
_WIDTH_S, _REFRACTORY_S = 0.06, 0.13
_LEAST_BEATS = 4
_LARGEST_SPREAD = 0.3
"""Interquartile range of the beats' distances by their median beyond which nothing is said."""
_LARGEST_FLOOR = 0.62
"""Between beats the strength is below this share of theirs; in noise it is not."""
_SMALLEST_MV = 1e-4


def rate_note(ecg: NDArray[np.float64], sampling_rate: float) -> str | None:
    """Says that a regular heart rate is implausible at the stated sampling rate, and which rate would fit.

    Args:
        ecg: ECG in mV, shape (n_leads, L), NaN where nothing was measured.
        sampling_rate: Sampling rate in Hz, as stated.

    Returns:
        A sentence; None where the heart rate is plausible, or cannot be told.
    """
    beats = beat_distance(ecg, sampling_rate)
    if beats is None or SLOWEST_BPM <= 60.0 * sampling_rate / beats <= FASTEST_BPM:
        return None
    stated = f"the heart rate is {60.0 * sampling_rate / beats:.0f} beats a minute, which is unusual"
    for rates in (USUAL_RATES_HZ, OTHER_RATES_HZ):
        likely = {rate: 60.0 * rate / beats for rate in rates}
        best = min(rates, key=lambda rate, bpm=likely: abs(np.log(bpm[rate] / LIKELY_BPM)))
        if LIKELY_BPM / LIKELY_FACTOR <= likely[best] <= LIKELY_BPM * LIKELY_FACTOR:
            return f"{stated}: {sampling_rate:g} Hz stated; {best:g} Hz would give {likely[best]:.0f} beats a minute"
    return f"{stated}: check the sampling rate, {sampling_rate:g} Hz stated"


def beat_distance(ecg: NDArray[np.float64], sampling_rate: float) -> float | None:
    """Estimates the median distance of beats in samples, from the QRS complexes of all leads together.

    Arguments are those of `rate_note`. Returns None where fewer than four beats, or no regular ones, are found.
    """
    length = min(ecg.shape[-1], round(LONGEST_S * sampling_rate))
    if length < 1.0 * sampling_rate or sampling_rate <= 4 * _BAND_HZ[0]:
        return None
    x = np.nan_to_num(ecg[:, :length], nan=0.0, posinf=0.0, neginf=0.0)
    high = min(_BAND_HZ[1], 0.4 * sampling_rate)
    band = signal.butter(2, (_BAND_HZ[0], high), "bandpass", fs=sampling_rate, output="sos")
    strength = np.abs(signal.sosfiltfilt(band, x, axis=-1))
    strength = ndimage.uniform_filter1d(strength, max(1, round(_WIDTH_S * sampling_rate)), axis=-1)
    usual = np.percentile(strength, 98, axis=-1, keepdims=True)
    there = usual[:, 0] > _SMALLEST_MV
    if not there.any():
        return None
    pulses = np.median(strength[there] / usual[there], axis=0)
    top = np.percentile(pulses, 98)
    apart = max(1, round(_REFRACTORY_S * sampling_rate))
    peaks, _ = signal.find_peaks(pulses, height=0.35 * top, distance=apart, prominence=0.2 * top)
    if len(peaks) < _LEAST_BEATS or np.median(pulses) > _LARGEST_FLOOR * top:
        return None
    low, middle, up = np.percentile(np.diff(peaks), (25, 50, 75))
    return float(middle) if up - low <= _LARGEST_SPREAD * middle else None
