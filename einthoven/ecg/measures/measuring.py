"""`measure`: rate, intervals, axes, amplitudes and ST levels of an ECG, each with an interval where it is uncertain.

A result that holds samples of what the ECG may be is measured sample by sample: the median of the samples is the value,
and the 90 % interval is that of the predictive distribution that they are drawn from (`predictive_band`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.arguments import check_number
from einthoven.ecg.adapters import ECGLike, as_recording
from einthoven.ecg.filters import HIGH_PASS_HZ
from einthoven.ecg.measures.pacing import is_paced
from einthoven.ecg.measures.result import Measures, lay_out
from einthoven.ecg.measures.values import (
    ANGLES,
    OF_CONDUCTION,
    ST_LEVELS,
    Key,
    Values,
    all_keys,
    measure_samples,
    measure_signal,
)
from einthoven.ecg.recording import Recording
from einthoven.statistics import predictive_band

PACED = "paced"
LONGEST_S = 60.0
"""No more than this much is measured, unless more is asked for."""
ST_HIGH_PASS_HZ = 0.05
"""A faster high-pass changes the ST segment (AHA recommendations, Kligfield et al., Circulation 115, 1306, 2007)."""
MOST_MISSING = 0.5
"""A measure that no more than this share of the samples has is not measurable."""


@dataclass(frozen=True)
class _Given:
    """What is measured.

    Attributes:
        samples: Samples in mV, shape (n_samples, n_leads, L).
        recording: Their leads, rate and name.
        before: What a result was made from, or the recording itself; None: unknown.
        high_pass_hz: Cut-off of the high-pass that each lead went through, shape (n_leads,); 0 where none is known.
        notes: What was assumed.
    """

    samples: NDArray[np.floating[Any]]
    recording: Recording
    before: Recording | None
    high_pass_hz: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def measure(
    ecg: ECGLike,
    sampling_rate: float | None = None,
    leads: str | Sequence[str] | None = None,
    *,
    high_pass_hz: float | None = None,
    paced: bool | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> Measures:
    """Measures an ECG: see the module.

    Args:
        ecg: What `reconstruct`, `denoise` or `repair` returned; a `Recording`; or what `as_recording` takes: an array
            in mV, shape (n_leads, L), NaN where missing, ...
        sampling_rate: Sampling rate in Hz; only for what does not know its own.
        leads: Lead names; only for what does not know its own.
        high_pass_hz: Cut-off of the recording device's high-pass in Hz, where it is known: above 0.05 Hz it moves ST
            levels, which are then not measured.
        paced: Whether the heart is paced: then rate, QRS axis and amplitudes alone are measured. None: spikes before
            the QRS complexes tell, at 400 Hz or more.
        start: First time to measure in s.
        duration: Seconds to measure; None: up to a minute.

    Returns:
        The measures, over leads and lead by lead.

    Raises:
        ValueError: If an argument is not usable, or neurokit2 is not installed.
    """
    check_number("start", start, 0.0)
    if duration is not None:
        check_number("duration", duration)
    if high_pass_hz is not None:
        check_number("high_pass_hz", high_pass_hz, 0.0, 1e6)
    given = _cut(_given(ecg, sampling_rate, leads, high_pass_hz), start, duration)
    recording = given.recording
    if len(given.samples) == 1:
        found = [measure_signal(given.samples[0], recording.sampling_rate, recording.leads)]
    else:
        found = measure_samples(given.samples, recording.signal, recording.sampling_rate, recording.leads)
    beats = tuple(values.beat for values in found if values.beat is not None)
    if paced is None:
        before = given.before
        paced = bool(beats) and before is not None and is_paced(before.signal, before.sampling_rate, beats[0].peaks_s)
    rows = []
    for key in all_keys(recording.leads):
        cut_off = given.high_pass_hz[recording.leads.index(key[1])] if key[1] else 0.0
        if paced and key[0] in OF_CONDUCTION:
            rows.append((*key, np.nan, np.nan, np.nan, PACED))
        elif key[0] in ST_LEVELS and cut_off > ST_HIGH_PASS_HZ:
            rows.append((*key, np.nan, np.nan, np.nan, f"ST after a high-pass of {cut_off:g} Hz"))
        else:
            rows.append((*key, *summarise(found, key)))
    seconds = recording.signal.shape[-1] / recording.sampling_rate
    return Measures(lay_out(rows), beats, len(found), seconds, recording.name, given.notes)


def summarise(found: Sequence[Values], key: Key) -> tuple[float, float, float, str]:
    """Returns median, lower and upper edge over samples, and the reason where most samples lack the measure.

    Without samples the edges are NaN. Angles are taken about their mean direction.
    """
    numbers = np.array([values.numbers[key] for values in found if key in values.numbers])
    if len(numbers) <= MOST_MISSING * len(found):
        reasons = Counter(values.reasons[key] for values in found if key in values.reasons)
        return np.nan, np.nan, np.nan, reasons.most_common(1)[0][0]
    if len(found) == 1:
        return float(numbers[0]), np.nan, np.nan, ""
    centre = 0.0
    if key[0] in ANGLES:
        centre = float(np.angle(np.exp(1j * np.radians(numbers)).mean(), deg=True))
        numbers = (numbers - centre + 180.0) % 360.0 - 180.0
    lower, upper = predictive_band(numbers) if len(numbers) > 1 else (np.array(np.nan), np.array(np.nan))
    return float(np.median(numbers)) + centre, float(lower) + centre, float(upper) + centre, ""


def _given(
    ecg: ECGLike, sampling_rate: float | None, leads: str | Sequence[str] | None, high_pass_hz: float | None
) -> _Given:
    """Returns what is to be measured: a result's samples, or a recording."""
    known = 0.0 if high_pass_hz is None else high_pass_hz
    if not (np.isfinite(known) and known >= 0):
        raise ValueError(f"high_pass_hz is {high_pass_hz!r}: give the device's high-pass in Hz, or leave it out")
    if not (hasattr(ecg, "recording") and hasattr(ecg, "lower")):
        recording = as_recording(ecg, sampling_rate, leads)
        return _Given(recording.signal[None], recording, recording, np.full(len(recording.leads), known))
    if sampling_rate is not None or leads is not None:
        raise ValueError("a result knows its sampling rate and leads: leave sampling_rate and leads out")
    recording, samples = ecg.recording, getattr(ecg, "samples", None)
    before = getattr(ecg, "given", None)
    changed = np.ones(len(recording.leads), dtype=bool)
    notes: tuple[str, ...] = ()
    if hasattr(ecg, "done"):  # a repair, whose other samples are as they were recorded
        before, changed = ecg.before, (ecg.done != 0).any(axis=-1)
    if samples is None:
        samples = recording.signal[None]
        if changed.any():
            notes = ("no samples were kept, so nothing says how sure the measures are",)
    return _Given(samples, recording, before, np.where(changed, max(known, HIGH_PASS_HZ), known), notes)


def _cut(given: _Given, start: float, duration: float | None) -> _Given:
    """Takes the stretch that is to be measured."""
    recording = given.recording
    rate, length = recording.sampling_rate, recording.signal.shape[-1]
    if not 0 <= start < length / rate:
        raise ValueError(f"start={start:g} s does not lie in the recording of {length / rate:g} s")
    if duration is not None and not duration > 0:
        raise ValueError(f"duration={duration:g} s must be positive")
    rest = length / rate - start
    seconds = min(rest, LONGEST_S if duration is None else duration)
    notes = given.notes
    if duration is None and rest > LONGEST_S:
        told = f"measured from {start:g} to {start + seconds:g} s of {length / rate:.0f} s: start and duration choose"
        notes = (*notes, told)
    span = slice(round(start * rate), round((start + seconds) * rate))
    cut = replace(recording, signal=recording.signal[:, span])
    before = given.before and replace(given.before, signal=given.before.signal[:, span])
    return replace(given, samples=given.samples[..., span], recording=cut, before=before, notes=notes)
