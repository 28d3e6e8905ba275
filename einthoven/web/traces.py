"""Signals on disk, and what of them a picture of some pixels needs: samples where few, else least and greatest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from einthoven.ecg.filters import fill_gaps

BLOCK = 256
"""Samples of which the overview keeps least and greatest."""
WIDTHS = (16, 4000)
SAMPLES_PER_PIXEL = 2
"""Up to so many samples a pixel they are sent themselves."""
LONGEST_FILTERED_S = 120.0
LOW_PASS_HZ = (15.0, 150.0)
_LONGEST_S = 1e9
_MARGIN_S = 2.0
_CHUNK = 1 << 20


@dataclass(frozen=True)
class View:
    """What of a signal is asked for.

    Attributes:
        start: Where it begins, in s.
        duration: How long it is, in s; None: to the end.
        width: Pixels.
        low_pass: Edge of a low-pass in Hz; 0: none.
    """

    start: float = 0.0
    duration: float | None = None
    width: int = 1000
    low_pass: float = 0.0

    def check(self) -> None:
        """Raises ValueError where a number cannot be."""
        if not 0 <= self.start <= _LONGEST_S:
            raise ValueError("start must be a time in s, 0 or more")
        if self.duration is not None and not 0 < self.duration <= _LONGEST_S:
            raise ValueError("duration must be a time in s, more than 0")
        if not WIDTHS[0] <= self.width <= WIDTHS[1]:
            raise ValueError(f"width must be {WIDTHS[0]} to {WIDTHS[1]} pixels")
        if self.low_pass and not LOW_PASS_HZ[0] <= self.low_pass <= LOW_PASS_HZ[1]:
            raise ValueError(f"low_pass must be 0 or {LOW_PASS_HZ[0]:g} to {LOW_PASS_HZ[1]:g} Hz")


def save_signal(file: Path, signal: NDArray[np.floating]) -> None:
    """Writes a signal (n_leads, L) in mV as `.npy`, and beside it its overview: least and greatest of each block."""
    np.save(file, signal)
    blocks = -(-signal.shape[-1] // BLOCK)
    overview = np.full((2, signal.shape[0], blocks), np.nan, dtype=np.float32)
    for first in range(0, signal.shape[-1], _CHUNK):  # `_CHUNK` is whole blocks
        low, high = _extremes(signal[:, first : first + _CHUNK], BLOCK)
        overview[:, :, first // BLOCK : first // BLOCK + low.shape[-1]] = low, high
    np.save(_overview(file), overview)


def cut(file: Path, leads: Sequence[str], wanted: Sequence[str], sampling_rate: float, view: View) -> dict[str, Any]:
    """Returns what a picture needs of a signal that `save_signal` wrote, as plain values in uV.

    Args:
        file: Its file.
        leads: Its leads.
        wanted: Those to return.
        sampling_rate: Its rate in Hz.
        view: What is asked for.

    Raises:
        ValueError: If the view is not possible.
    """
    view.check()
    signal = np.load(file, mmap_mode="r", allow_pickle=False)
    length = signal.shape[-1]
    first = min(int(view.start * sampling_rate + 1e-6), length - 1)
    count = length - first if view.duration is None else max(1, round(view.duration * sampling_rate))
    last = min(first + count, length)
    rows = [leads.index(lead) for lead in wanted]
    size = (last - first) / view.width
    found: dict[str, Any] = {"start": first / sampling_rate, "duration": (last - first) / sampling_rate, "unit": "uV"}
    if not view.low_pass and size >= 2 * BLOCK:
        overview = np.load(_overview(file), mmap_mode="r", allow_pickle=False)
        block = max(1, round(size / BLOCK))
        low, high = (part[rows, first // BLOCK : -(-last // BLOCK)] for part in overview)
        low, high = _extremes(low, block)[0], _extremes(high, block)[1]
        step, found["start"] = block * BLOCK / sampling_rate, first // BLOCK * BLOCK / sampling_rate
    else:
        part = _filtered(signal, rows, first, last, sampling_rate, view)
        if size <= SAMPLES_PER_PIXEL:
            samples = {lead: _micro(row) for lead, row in zip(wanted, part, strict=True)}
            return {**found, "kind": "samples", "step": 1 / sampling_rate, "leads": samples}
        block = max(1, int(np.ceil(size)))
        low, high = _extremes(part, block)
        step = block / sampling_rate
    values = {
        lead: {"min": _micro(least), "max": _micro(most)} for lead, least, most in zip(wanted, low, high, strict=True)
    }
    return {**found, "kind": "minmax", "step": step, "leads": values}


def _filtered(
    signal: NDArray[np.floating], rows: list[int], first: int, last: int, rate: float, view: View
) -> NDArray[np.float64]:
    """Returns some leads' samples `first` to `last`, low-passed where that is asked for, shape (n, L)."""
    if not view.low_pass or view.low_pass >= 0.45 * rate:
        return np.asarray(signal[rows, first:last], dtype=np.float64)
    if last - first > LONGEST_FILTERED_S * rate:
        raise ValueError(f"low_pass is for windows of at most {LONGEST_FILTERED_S:g} s")
    begin, end = max(0, first - round(_MARGIN_S * rate)), min(signal.shape[-1], last + round(_MARGIN_S * rate))
    part = np.asarray(signal[rows, begin:end], dtype=np.float64)
    sections = butter(4, view.low_pass, fs=rate, output="sos")
    if part.shape[-1] > 30:
        filtered = sosfiltfilt(sections, fill_gaps(part), axis=-1)
        part = np.where(np.isnan(part), np.nan, filtered)
    return part[:, first - begin : last - begin]


def _extremes(values: NDArray[np.floating], block: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Returns least and greatest of blocks of values (n, L), each (n, blocks); NaN where a block is all NaN."""
    starts = np.arange(0, values.shape[-1], block)
    return np.fmin.reduceat(values, starts, axis=-1), np.fmax.reduceat(values, starts, axis=-1)


def _micro(values: NDArray[np.floating]) -> list[int | None]:
    """Returns values in mV as whole uV, None where NaN."""
    known = np.isfinite(values)
    whole = np.round(np.where(known, values, 0.0) * 1000).clip(-(2**31), 2**31 - 1).astype(np.int64)
    plain: list[int | None] = whole.tolist()
    for place in np.flatnonzero(~known):
        plain[place] = None
    return plain


def _overview(file: Path) -> Path:
    return file.with_name(f"{file.stem}.overview.npy")
