"""Filtering and resampling, as the prior was trained.

The steps are those of RhythmDiff (Bedin et al., Phil. Trans. R. Soc. A 383:20240330, 2025): mirror padding; notches at
50 and 60 Hz (Q = 50, zero phase); Butterworth high-pass of order 5 at 0.6 Hz (zero phase); polyphase resampling. Unlike
the published code, sample k of the output lies at time k / target_rate exactly: there is no shift by one sample.
All filters run in float64, over all leads and records at once.
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

HIGH_PASS_HZ = 0.6
HIGH_PASS_ORDER = 5
NOTCHES_HZ = (50.0, 60.0)
NOTCH_Q = 50.0
PADDING_S = 6.0
"""Mirrored seconds on each side: seven time constants of the high-pass (0.86 s), the slowest filter here."""

STEPS: tuple[str, ...] = (
    f"mirror padding {PADDING_S:g} s",
    *(f"notch {notch:g} Hz, Q {NOTCH_Q:g}, zero phase, where below the source's Nyquist rate" for notch in NOTCHES_HZ),
    f"Butterworth high-pass order {HIGH_PASS_ORDER} at {HIGH_PASS_HZ:g} Hz, zero phase",
    "polyphase resampling, output sample k at time k / rate",
)
"""What `clean_signal` does, in words, for manifests and messages."""


def clean_signal(ecg: ArrayLike, source_rate: float, target_rate: float) -> NDArray[np.float64]:
    """Filters and resamples ECGs; gaps (NaN) are bridged by `fill_gaps` first.

    The notches are applied only below the source's Nyquist rate.

    Args:
        ecg: ECG in mV, shape (..., L), of two samples at least.
        source_rate: Its sampling rate in Hz, at least 2 Hz.
        target_rate: Sampling rate of the result in Hz.

    Returns:
        ECG in mV, shape (..., round(L * target_rate / source_rate)), float64.
    """
    x = fill_gaps(ecg)
    up, down = _ratio(source_rate, target_rate)
    padded, blocks = _mirror(x, source_rate, down)
    filtered = signal.sosfiltfilt(_cascade(float(source_rate)), padded, axis=-1, padlen=0)
    return _polyphase(filtered, up, down, blocks, round(x.shape[-1] * target_rate / source_rate))


def resample(ecg: ArrayLike, source_rate: float, target_rate: float, length: int | None = None) -> NDArray[np.float64]:
    """Resamples ECGs by a polyphase filter, with mirrored edges and without shift.

    Args:
        ecg: ECG in mV, shape (..., L), of two samples at least, without NaN.
        source_rate: Its sampling rate in Hz.
        target_rate: Sampling rate of the result in Hz.
        length: Samples of the result; by default round(L * target_rate / source_rate). A little more is taken from the
            mirrored edge; ValueError for much more.

    Returns:
        ECG in mV, shape (..., length), float64.
    """
    x = np.asarray(ecg, dtype=np.float64)
    n_out = round(x.shape[-1] * target_rate / source_rate) if length is None else length
    up, down = _ratio(source_rate, target_rate)
    if up == down and n_out == x.shape[-1]:
        return x.copy()
    padded, blocks = _mirror(x, source_rate, down)
    return _polyphase(padded, up, down, blocks, n_out)


def fill_gaps(ecg: ArrayLike) -> NDArray[np.float64]:
    """Bridges NaN by linear interpolation; a gap at an end takes the nearest value, a lead without values zeros.

    The ECG is in mV, shape (..., L); returns a copy in float64.
    """
    x = np.array(ecg, dtype=np.float64)
    missing = np.isnan(x)
    if not missing.any():
        return x
    flat, gaps = x.reshape(-1, x.shape[-1]), missing.reshape(-1, x.shape[-1])
    time = np.arange(x.shape[-1])
    for row in np.flatnonzero(gaps.any(axis=1)):
        known = ~gaps[row]
        flat[row] = np.interp(time, time[known], flat[row, known]) if known.any() else 0.0
    return flat.reshape(x.shape)


def high_pass_power(frequency: ArrayLike) -> NDArray[np.float64]:
    """Returns what share of a signal's power the zero-phase high-pass of `clean_signal` leaves, by frequency in Hz."""
    ratio = HIGH_PASS_HZ / np.maximum(np.asarray(frequency, dtype=np.float64), 1e-9)
    return np.asarray((1 + ratio ** (2 * HIGH_PASS_ORDER)) ** -2.0)


@lru_cache(maxsize=32)
def _cascade(source_rate: float) -> NDArray[np.float64]:
    """Returns the second-order sections (n, 6) of all filters that apply at a rate in Hz."""
    if source_rate <= 2 * HIGH_PASS_HZ:
        raise ValueError(f"a rate of {source_rate:g} Hz is too low for the {HIGH_PASS_HZ:g} Hz high-pass")
    sections = [signal.butter(HIGH_PASS_ORDER, HIGH_PASS_HZ, "highpass", fs=source_rate, output="sos")]
    for notch in NOTCHES_HZ:
        if notch < source_rate / 2:
            sections.append(signal.tf2sos(*signal.iirnotch(notch, NOTCH_Q, fs=source_rate)))
    return np.concatenate(sections)


def _ratio(source_rate: float, target_rate: float) -> tuple[int, int]:
    """Returns (up, down) with up / down = target_rate / source_rate, to 1e-7."""
    if not (source_rate > 0 and target_rate > 0):
        raise ValueError(f"sampling rates must be positive numbers of Hz, got {source_rate!r} and {target_rate!r}")
    exact = Fraction(target_rate).limit_denominator(10_000) / Fraction(source_rate).limit_denominator(10_000)
    fraction = exact.limit_denominator(5_000)
    return fraction.numerator, fraction.denominator


def _mirror(x: NDArray[np.float64], source_rate: float, down: int) -> tuple[NDArray[np.float64], int]:
    """Mirrors both ends by whole blocks of `down` samples, so that the start stays on the output's grid."""
    if x.shape[-1] < 2:
        raise ValueError(f"an ECG of {x.shape[-1]} sample(s) cannot be filtered; give at least two")
    blocks = int(np.ceil(PADDING_S * source_rate / down))
    widths = [(0, 0)] * (x.ndim - 1) + [(blocks * down, blocks * down)]
    return np.pad(x, widths, mode="reflect"), blocks


def _polyphase(padded: NDArray[np.float64], up: int, down: int, blocks: int, length: int) -> NDArray[np.float64]:
    """Resamples a mirrored signal and cuts out `length` samples from the original start."""
    resampled = padded if up == down else signal.resample_poly(padded, up, down, axis=-1)
    start = blocks * up
    if start + length > resampled.shape[-1]:
        raise ValueError(f"{length} samples are more than the signal and its mirrored edge hold; ask for fewer")
    return np.ascontiguousarray(resampled[..., start : start + length])
