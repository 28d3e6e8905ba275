"""The typical beat of a few leads, whatever their unit, rate and length: what the networks look at.

Each window of ten seconds gives one: filtered as for the prior, at 100 Hz, the median of the beats that its R peaks
mark, over its own standard deviation, which stands beside it, as the unit may be unknown.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.filters import clean_signal, resample
from einthoven.ecg.lost import without_lost
from einthoven.ecg.measures.beats import BEAT_RATE, AverageBeat, find_r_peaks, whole_beats
from einthoven.extras import extra
from reconstruction.measurement.checks import MIN_DURATION_S, MIN_RATE_HZ

RATE_HZ, BEFORE_S, AFTER_S = 100.0, 0.35, 0.5
N_SAMPLES = round((BEFORE_S + AFTER_S) * RATE_HZ)
WINDOW_S, MOST_WINDOWS = 10.0, 6
"""Of a long recording so many windows, evenly spread, are looked at."""
FEWEST_BEATS = 2
LEAST_ALIKE = 0.5
"""Median correlation of the beats with their median below which they are noise."""
USUAL_RR_S = 0.8
USUAL_RANGE = 1.5
"""Range, in mV, that signals of any unit are brought to before flat and wild stretches are looked for."""


def beat_features(
    ecg: NDArray[np.float64],
    sampling_rate: float,
    names: Sequence[str],
    rows: NDArray[np.float64] | None = None,
) -> NDArray[np.float32]:
    """Returns the typical beats of a recording.

    Args:
        ecg: Leads in one unit, whichever it is, shape (n_leads, L), NaN where missing.
        sampling_rate: Sampling rate in Hz.
        names: Names of the leads, for messages.
        rows: What R peaks are looked for in, and the median is taken of: mixtures of the leads, shape (n, n_leads), of
            rank n_leads; None: the leads.

    Returns:
        For each window with usable beats the beat of each lead, all over the largest standard deviation, and the
        logarithms of the time between beats over `USUAL_RR_S` and of that deviation, shape (windows, n_leads *
        N_SAMPLES + 2).

    Raises:
        ValueError: If the recording is too short, its rate too low, a lead flat, or no window has usable beats.
    """
    if not sampling_rate >= MIN_RATE_HZ:
        raise ValueError(f"the sampling rate is {sampling_rate:g} Hz, but {MIN_RATE_HZ:g} Hz or more are needed")
    length = ecg.shape[-1]
    if length < MIN_DURATION_S * sampling_rate - 1:
        raise ValueError(f"the recording lasts {length / sampling_rate:.2f} s, but {MIN_DURATION_S:g} s are needed")
    with extra("measures"):
        import neurokit2  # noqa: F401  # a missing package is no fault of the windows
    mix = np.eye(len(ecg)) if rows is None else rows
    found, problem = [], ""
    for first, last in window_spans(length, sampling_rate):
        try:
            part, scale = _usable(np.array(ecg[:, first:last], dtype=np.float64), sampling_rate, names)
            features = _features(part, sampling_rate, mix)
            features[-1] -= np.log(scale)
            found.append(features)
        except ValueError as error:
            problem = problem or str(error)
    if not found:
        raise ValueError(f"{', '.join(names)}: no usable beats: {problem}")
    return np.stack(found).astype(np.float32)


def window_spans(length: int, sampling_rate: float) -> list[tuple[int, int]]:
    """Returns the windows that are looked at, as first sample and the one after the last."""
    n = round(WINDOW_S * sampling_rate)
    if length <= n:
        return [(0, length)]
    firsts = np.linspace(0, length - n, min(MOST_WINDOWS, length // n)).astype(np.int64).tolist()
    return [(first, first + n) for first in firsts]


def _usable(part: NDArray[np.float64], rate: float, names: Sequence[str]) -> tuple[NDArray[np.float64], float]:
    """Brings a window to the range of an ECG in mV, and makes missing what shows no heart; returns the factor too."""
    if not np.isfinite(part).any(axis=-1).all():
        raise ValueError("all samples are missing")
    part[np.isinf(part)] = np.nan
    part -= np.nanmedian(part, axis=-1, keepdims=True)
    limits = np.nanpercentile(part, [0.5, 99.5], axis=-1)
    extent = float(np.max(limits[1] - limits[0]))
    if not extent > 0:
        raise ValueError("it is flat")
    scale = USUAL_RANGE / extent
    left, notes = without_lost(part * scale, rate, names, saturated=False)
    if np.isnan(left).all(axis=-1).any():
        raise ValueError("; ".join(notes))
    return left, scale


def _features(part: NDArray[np.float64], rate: float, mix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the features of one window."""
    fine = resample(clean_signal(part, rate, RATE_HZ), RATE_HZ, BEAT_RATE)
    nearest = np.minimum(np.round(np.arange(fine.shape[-1]) * rate / BEAT_RATE).astype(np.int64), part.shape[-1] - 1)
    lost = np.asarray(np.isnan(part).any(axis=0))[None, nearest]
    sought = mix @ fine
    peaks = find_r_peaks(sought, np.broadcast_to(~lost, sought.shape), BEAT_RATE)
    beats, place, rr_ms = whole_beats(sought, peaks)
    beats = beats[~whole_beats(lost.astype(np.float64), peaks)[0].astype(bool).any(axis=(1, 2))]
    if len(beats) < FEWEST_BEATS:
        raise ValueError(f"{len(beats)} whole beats without gaps, but {FEWEST_BEATS} are needed")
    middle = np.median(beats, axis=0)
    if _likeness(beats, middle) < LEAST_ALIKE:
        raise ValueError("the beats that were found are unlike each other: noise, or no ECG")
    wave = AverageBeat(np.linalg.pinv(mix) @ middle, place, rr_ms).window(-BEFORE_S, AFTER_S, RATE_HZ)
    size = wave.std(axis=-1).max() + 1e-6
    return np.append(wave.ravel() / size, np.log([np.median(rr_ms) / 1000 / USUAL_RR_S, size]))


def with_small_waves(waves: NDArray[np.floating]) -> NDArray[np.float32]:
    """Returns waves x, (..., n), and beside them asinh(8 x) / 3, in which small ones are larger, shape (..., 2 n)."""
    return np.concatenate([waves, np.arcsinh(8.0 * waves) / 3.0], axis=-1).astype(np.float32)


def _likeness(beats: NDArray[np.float64], middle: NDArray[np.float64]) -> float:
    """Returns the median correlation of beats (m, n_leads, n) with one, (n_leads, n)."""
    flat, one = beats.reshape(len(beats), -1), middle.ravel()
    flat, one = flat - flat.mean(axis=-1, keepdims=True), one - one.mean()
    sizes = np.linalg.norm(flat, axis=-1) * np.linalg.norm(one)
    return float(np.median(flat @ one / np.maximum(sizes, 1e-12)))
