"""Stretches in which a lead shows no heart: flat, held, saturated, disconnected or out of range.

They are found in files when these are read, and in arrays by whatever takes them, by the same rules. The limits are
those of `einthoven.ecg.checks`: a clean lead has none of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from einthoven.ecg.checks import CONSTANT_MV, FLAT_MV, FLAT_WINDOW_S, LARGEST_RANGE_MV, RAIL_DISTANCE_MV, SATURATED_S
from einthoven.ecg.long_signals import release

FLAT = "flat"
SATURATED = "saturated"
DISCONNECTED = "disconnected"
OUT_OF_RANGE = "out of range"

DISCONNECTED_S = 4.0
"""A stretch of so long without a change of more than `FLAT_MV` holds no beat: the lead is disconnected."""
SMALLEST_RANGE_MV = 0.02
"""Ten seconds that span less are no ECG."""
ABSURD_MV = 1000.0
"""A sample farther from the middle of its lead is no voltage, but a fill value or damage."""
BLOCK_S = 10.0
"""Range is judged in blocks of so many seconds, each with what the last of them leaves over."""
_CHUNK = 1 << 18
"""Samples looked at together: memory does not grow with length."""


@dataclass(frozen=True)
class Lost:
    """A stretch of a lead in which nothing was measured.

    Attributes:
        lead: Name of the lead.
        first: Its first sample.
        last: The sample after its last.
        reason: "flat", "saturated", "disconnected" or "out of range".
    """

    lead: str
    first: int
    last: int
    reason: str


def lost_stretches(
    signal: NDArray[np.float64], sampling_rate: float, leads: Sequence[str], *, saturated: bool = True
) -> tuple[Lost, ...]:
    """Finds the stretches in which leads show no heart.

    Args:
        signal: ECG in mV, shape (n_leads, L), NaN where nothing was measured.
        sampling_rate: Sampling rate in Hz.
        leads: Names of the leads.
        saturated: Whether to look for the recorder's limits too, where less than a second is spent at them; not where
            cut waves are to be restored from the limit itself.

    Returns:
        The stretches, by lead and time; those of one lead do not overlap.
    """
    found: list[Lost] = []
    for name, lead in zip(leads, signal, strict=True):
        reasons = np.zeros(len(lead), dtype=np.uint8)
        extremes = _extremes(lead)
        absurd = _absurd(lead, extremes)
        if absurd.any():
            lead = np.where(absurd, np.nan, lead)
            extremes = _extremes(lead)
        _mark_flat(lead, sampling_rate, reasons, extremes, saturated)
        _mark_range(lead, sampling_rate, reasons)
        reasons[absurd & (reasons == 0)] = _REASONS.index(OUT_OF_RANGE)
        found.extend(Lost(name, first, last, _REASONS[code]) for first, last, code in _runs(reasons))
        release(signal)
    return tuple(found)


def without_lost(
    signal: NDArray[np.float64], sampling_rate: float, leads: Sequence[str], *, saturated: bool = True
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Makes lost stretches missing; arguments as for `lost_stretches`.

    Returns:
        The signal with NaN there, the same array where nothing is lost, and a note for each lead and reason.
    """
    lost = lost_stretches(signal, sampling_rate, leads, saturated=saturated)
    if not lost:
        return signal, ()
    signal = signal.copy()
    erase(signal, leads, lost)
    return signal, describe_lost(lost, sampling_rate, signal.shape[-1])


def erase(signal: NDArray[np.float64], leads: Sequence[str], lost: Sequence[Lost]) -> None:
    """Writes NaN into the stretches of a signal of shape (n_leads, L), in place."""
    for stretch in lost:
        signal[list(leads).index(stretch.lead), stretch.first : stretch.last] = np.nan


def describe_lost(lost: Sequence[Lost], sampling_rate: float, length: int) -> tuple[str, ...]:
    """Says where leads of `length` samples are lost and why, a note for each lead and reason."""
    grouped: dict[tuple[str, str], list[Lost]] = {}
    for stretch in lost:
        grouped.setdefault((stretch.lead, stretch.reason), []).append(stretch)
    notes = []
    for (lead, reason), stretches in grouped.items():
        seconds = sum(stretch.last - stretch.first for stretch in stretches) / sampling_rate
        first, last = stretches[0].first / sampling_rate, stretches[-1].last / sampling_rate
        if stretches[0].first == 0 and stretches[0].last == length:
            when = "throughout"
        elif len(stretches) == 1:
            when = f"from {first:.1f} to {last:.1f} s"
        else:
            when = f"in {len(stretches)} stretches, {seconds:.1f} s in all, from {first:.1f} to {last:.1f} s"
        notes.append(f"lead {lead} is {reason} {when}: taken as not measured")
    return tuple(notes)


_REASONS = ("", FLAT, SATURATED, DISCONNECTED, OUT_OF_RANGE)


def _mark_flat(
    lead: NDArray[np.float64],
    rate: float,
    reasons: NDArray[np.uint8],
    extremes: tuple[float, float, float],
    saturated: bool,
) -> None:
    """Marks where a lead does not change: for a second, for longer but for noise, or at the recorder's limits."""
    kinds = [(DISCONNECTED, DISCONNECTED_S, FLAT_MV), (FLAT, FLAT_WINDOW_S, CONSTANT_MV)]
    low, middle, high = extremes
    rails = [value for value in (low, high) if abs(value - middle) >= RAIL_DISTANCE_MV]
    if saturated and rails:
        kinds.insert(0, (SATURATED, SATURATED_S, CONSTANT_MV))
    for reason, seconds, extent in kinds:
        n = max(2, round(seconds * rate))
        for start, piece in _pieces(lead, n):
            flat = _unchanging(piece, n, extent)
            if reason == SATURATED:
                flat &= np.any([np.abs(piece - value) <= CONSTANT_MV for value in rails], axis=0)
            reasons[start : start + len(piece)][flat] = _REASONS.index(reason)


def _mark_range(lead: NDArray[np.float64], rate: float, reasons: NDArray[np.uint8]) -> None:
    """Marks blocks that span too much or too little, without their outermost 1 % of samples."""
    n = max(1, round(BLOCK_S * rate))
    count = max(1, len(lead) // n)
    for block in range(count):
        place = slice(block * n, len(lead) if block == count - 1 else (block + 1) * n)
        values = lead[place][(reasons[place] == 0) & np.isfinite(lead[place])]
        if len(values) < FLAT_WINDOW_S * rate:
            continue
        extent = float(np.ptp(np.percentile(values, [0.5, 99.5])))
        if extent > LARGEST_RANGE_MV:
            reasons[place] = _REASONS.index(OUT_OF_RANGE)
        elif extent < SMALLEST_RANGE_MV and len(values) >= DISCONNECTED_S * rate:
            reasons[place] = _REASONS.index(DISCONNECTED)


def _absurd(lead: NDArray[np.float64], extremes: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Returns which samples are no voltage of an electrode, such as fill values of 1e30."""
    low, middle, high = extremes
    if high - middle <= ABSURD_MV and middle - low <= ABSURD_MV:
        return np.zeros(len(lead), dtype=bool)
    with np.errstate(invalid="ignore"):
        return np.abs(lead - middle) > ABSURD_MV


def _extremes(lead: NDArray[np.float64]) -> tuple[float, float, float]:
    """Returns smallest, middle and largest value, which may be infinite; of a lead without any, three zeros."""
    values = lead[:: 1 + len(lead) // _CHUNK]
    values = values[np.isfinite(values)]
    low, high = (float(function.reduce(lead, initial=np.nan)) for function in (np.fmin, np.fmax))
    if np.isnan(low):
        return 0.0, 0.0, 0.0
    return low, float(np.median(values)) if len(values) else 0.0, high


def _pieces(lead: NDArray[np.float64], n: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yields pieces of a lead that overlap by n samples, with their first sample."""
    step = max(_CHUNK, 2 * n)
    for start in range(0, len(lead), step):
        first = max(0, start - n)
        yield first, lead[first : start + step]


def _unchanging(lead: NDArray[np.float64], n: int, extent: float) -> NDArray[np.bool_]:
    """Returns the samples of a piece that lie in n samples in a row which change by no more than `extent`."""
    if len(lead) < n:
        return np.zeros(len(lead), dtype=bool)
    measured = np.isfinite(lead)
    high = maximum_filter1d(np.where(measured, lead, np.inf), n)
    low = minimum_filter1d(np.where(measured, lead, -np.inf), n)
    starts = (high - low <= extent)[n // 2 : len(lead) - (n - 1) // 2]  # by the first sample of each n
    count = np.zeros(len(lead) + 1, dtype=np.int32)
    places = np.flatnonzero(starts)
    np.add.at(count, places, 1)
    np.add.at(count, places + n, -1)
    unchanging: NDArray[np.bool_] = np.cumsum(count[:-1]) > 0
    return unchanging


def _runs(reasons: NDArray[np.uint8]) -> Iterator[tuple[int, int, int]]:
    """Yields first sample, sample after the last, and code of the runs of lost samples; the code that most have."""
    edges = np.flatnonzero(np.diff(reasons != 0, prepend=False, append=False)).tolist()
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        yield first, last, int(np.bincount(reasons[first:last]).argmax())
