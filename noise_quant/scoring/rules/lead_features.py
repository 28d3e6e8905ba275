"""Plain features of leads, which tell what noise is like: fast, slow, sudden, or only in the shape of the beats.

All are of the lead at 100 Hz, so that recordings of any rate are comparable.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from noise_quant.scoring.rules.beats import RATE_HZ, beat_likeness, slow_copy

MIN_S = 5.0
"""In less there are too few beats to compare."""
FAST_HZ = 30.0
SLOW_HZ = 0.7
MOMENT_S, BEAT_S = 0.1, 0.8
QUIET_PERCENTILE = 30.0
"""Of the moments of a second: a QRS complex takes less than the others."""
BASELINE_HZ, ECG_HZ = 1.0, 40.0
_LEAST_POWER = 1e-9
_INNER_PERCENTILES = (0.5, 99.5)

FEATURES = ("fast_mv", "fast_peak_mv", "drift_mv", "swing_mv", "drift_db", "jump_mv", "range_mv", "beats")


def lead_features(ecg: NDArray[np.float64], sampling_rate: float) -> dict[str, NDArray[np.float64]]:
    """Computes the features of leads.

    Args:
        ecg: ECG in mV, unfiltered, shape (C, L); values that are not finite count as 0.
        sampling_rate: Sampling rate in Hz.

    Returns:
        `FEATURES`, each of shape (C,), NaN where the ECG is shorter than `MIN_S`: `fast_mv`, the RMS above 30 Hz
        between the waves, the median over seconds; `fast_peak_mv`, the same of the worst second; `drift_mv`, the
        standard deviation of the baseline, medians of 0.8 s; `swing_mv`, the largest change below 0.7 Hz within a
        second; `drift_db`, the power below 1 Hz to that of 1 to 40 Hz; `jump_mv`, the largest step from a tenth of a
        second to the next; `range_mv`, the range without the outermost 1 % of samples; `beats`, their likeness
        (`beat_likeness`).
    """
    if ecg.shape[-1] < MIN_S * sampling_rate:
        return {name: np.full(len(ecg), np.nan) for name in FEATURES}
    x = slow_copy(ecg, sampling_rate)
    fast, slow = _filtered(x, FAST_HZ, "highpass"), _filtered(x, SLOW_HZ, "lowpass")
    quiet = _quiet_levels(np.sqrt((_pieces(fast, MOMENT_S) ** 2).mean(axis=-1)))
    second = round(RATE_HZ)
    return {
        "fast_mv": np.median(quiet, axis=-1),
        "fast_peak_mv": quiet.max(axis=-1),
        "drift_mv": np.median(_pieces(x, BEAT_S), axis=-1).std(axis=-1),
        "swing_mv": np.abs(slow[:, second:] - slow[:, :-second]).max(axis=-1),
        "drift_db": _drift_db(x),
        "jump_mv": np.abs(np.diff(np.median(_pieces(x, MOMENT_S), axis=-1), axis=-1)).max(axis=-1),
        "range_mv": np.ptp(np.percentile(x, _INNER_PERCENTILES, axis=-1), axis=0),
        "beats": beat_likeness(x),
    }


def _quiet_levels(rms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Takes a low percentile of the moments of each second, every half second: (C, moments) to (C, seconds)."""
    n = round(1.0 / MOMENT_S)
    seconds = np.lib.stride_tricks.sliding_window_view(rms, n, axis=-1)[:, :: n // 2]
    return np.asarray(np.percentile(seconds, QUIET_PERCENTILE, axis=-1))


def _drift_db(x: NDArray[np.float64]) -> NDArray[np.float64]:
    hertz, density = signal.periodogram(x, RATE_HZ, window="hann")
    baseline = density[:, hertz < BASELINE_HZ].sum(axis=-1)
    ecg = density[:, (hertz >= BASELINE_HZ) & (hertz < ECG_HZ)].sum(axis=-1)
    return np.asarray(10 * np.log10((baseline * hertz[1] + _LEAST_POWER) / (ecg * hertz[1] + _LEAST_POWER)))


def _pieces(x: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Cuts leads, shape (C, L), into pieces, shape (C, pieces, samples), without what is left over."""
    n = round(seconds * RATE_HZ)
    return x[:, : x.shape[-1] // n * n].reshape(len(x), -1, n)


def _filtered(x: NDArray[np.float64], hertz: float, kind: Literal["highpass", "lowpass"]) -> NDArray[np.float64]:
    return np.asarray(signal.sosfiltfilt(signal.butter(2, hertz, kind, fs=RATE_HZ, output="sos"), x, axis=-1))
