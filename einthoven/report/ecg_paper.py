"""An ECG as a hospital's printer would draw it: what was measured, what was restored, and what was lost.

Colours keep apart for colour-blind readers (Okabe and Ito): measured black, restored blue with a translucent band, the
recording before its noise was removed grey.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from einthoven.ecg.filters import HIGH_PASS_HZ
from einthoven.report.layouts import Strip, place_strips
from einthoven.report.sheet import BLUE, GREY, INK, SKY, Entry, Sheet, extent_of

SPEEDS: tuple[float, ...] = (25.0, 50.0)
"""Paper speeds in mm/s."""
GAINS: tuple[float, ...] = (5.0, 10.0, 20.0)
"""Gains in mm/mV."""
PASS_BAND = f"{HIGH_PASS_HZ:g}-50 Hz"
"""What the bundled prior knows, and restored leads therefore hold."""
MADE: tuple[str, ...] = ("reconstructed", "denoised", "repaired", "generated")
OFFSET_MV = 0.5
"""A lead whose middle is farther from zero is drawn without its offset."""
SHORTEST_S = 0.04
"""Stretches shorter than this are not tinted or hatched."""


def draw_ecg(
    signal: ArrayLike,
    leads: Sequence[str],
    sampling_rate: float,
    *,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    samples: ArrayLike | None = None,
    observed: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    noisy: ArrayLike | None = None,
    layout: str = "3x4+1",
    speed: float = 25.0,
    gain: float = 10.0,
    start: float = 0.0,
    title: str = "",
    note: str = "",
    made: str = "",
) -> Figure:
    """Draws a sheet of an ECG on ECG paper in true size: saved as PDF or SVG it prints at its speed and gain.

    A sheet holds 250 mm of the leads, 10 s at 25 mm/s; of up to three leads, or with `12x1`, as many rows as fit. For
    more of a recording draw further sheets, with `start`. `einthoven.report.layouts.sheet_duration` says how far each
    goes. Where rows would need too much height the gain falls, and the sheet says so.

    Args:
        signal: ECG in mV, shape (n_leads, L) or (L,): as recorded, or restored (a mean); NaN where nothing is known.
        leads: Names of the leads, as many as there are.
        sampling_rate: Sampling rate in Hz.
        lower: Lower edge of the 90 % band in mV, shape (n_leads, L).
        upper: Upper edge of it.
        samples: Single draws of the restored leads in mV, shape (n, n_leads, L), drawn thin; give a few.
        observed: True where a sample was measured, shape (n_leads, L) or (n_leads, 1); None: everywhere, or nowhere
            where there is a band.
        truth: The ECG that the restoration did not see, in mV, shape (n_leads, L), NaN where nobody knows it.
        noisy: The recording before its noise was removed, in mV, shape (n_leads, L), NaN where not recorded.
        layout: `3x4+1` (three rows of four columns and a rhythm strip), `6x2` or `12x1`; it adapts to fewer leads.
        speed: Paper speed, 25 or 50 mm/s.
        gain: 5, 10 or 20 mm/mV.
        start: First time on the sheet in s.
        title: Text above the paper.
        note: How the signal was filtered, for the line below the paper; "": the prior's band where leads are
            restored.
        made: What was done to what is not measured: "reconstructed", "denoised", "repaired" or "generated"; "":
            "denoised" where `noisy` is given, else "reconstructed".

    Returns:
        The figure; `savefig` writes PNG, SVG and PDF, the same bytes for the same drawing.

    Raises:
        ValueError: If shapes do not go together, or layout, speed, gain or start are not possible.
    """
    made = made or ("reconstructed" if noisy is None else "denoised")
    _check_choices(speed, gain, made)
    rate = float(sampling_rate)
    length = np.shape(signal)[-1]
    placed = place_strips(leads, length / rate, layout, float(speed), start)
    window = slice(min(s.window(rate).start for s in placed), max(s.window(rate).stop for s in placed))
    curves = _Curves(leads, (signal, lower, upper, truth, noisy, samples, observed), length, window)
    strips = [replace(s, start=s.start - window.start / rate, stop=s.stop - window.start / rate) for s in placed]
    remarks = curves.remarks(placed, made)
    extents = [
        extent_of(strip, *curves.of_lead(strip.lead), gain=gain, sampling_rate=rate, remark=remark)
        for strip, remark in zip(strips, remarks, strict=True)
    ]
    legend = curves.legend(strips, rate, made, any(extent.cuts_band for extent in extents))
    footer = _footer(placed, length / rate, curves, leads, note, made)
    sheet = Sheet(strips, extents, gain=gain, title=title, footer=footer, legend=legend)
    for strip, remark in zip(strips, remarks, strict=True):
        _draw_strip(sheet, strip, curves, rate)
        sheet.name(strip, leads[strip.lead], remark)
    return sheet.figure


def _check_choices(speed: float, gain: float, made: str) -> None:
    """Raises ValueError where the paper's speed or gain, or the word for what was done, is not known."""
    for name, value, choices in (("speed", speed, SPEEDS), ("gain", gain, GAINS)):
        if value not in choices:
            raise ValueError(f"{name} is {value:g}: choose one of {', '.join(f'{choice:g}' for choice in choices)}")
    if made not in MADE:
        raise ValueError(f"made is {made!r}: choose one of {', '.join(MADE)}")


class _Curves:
    """All curves of the part shown, each (n_leads, L) in mV with its lead's offset taken away, or None.

    `given` holds signal, lower, upper, truth, noisy, samples and observed, as `draw_ecg` takes them, each
    `length` samples long.
    """

    def __init__(self, leads: Sequence[str], given: tuple[ArrayLike | None, ...], length: int, window: slice) -> None:
        signal, lower, upper, truth, noisy, samples, observed = (_cut(values, length, window) for values in given)
        self.signal = np.atleast_2d(np.array(signal, dtype=np.float64))
        if self.signal.ndim != 2 or len(leads) != len(self.signal):
            raise ValueError(f"{len(leads)} lead names for a signal of {len(self.signal)} leads: give one name a lead")
        if (lower is None) != (upper is None):
            raise ValueError("lower and upper belong together: give both edges of the band, or none")
        self.lower, self.upper, self.truth, self.noisy = (
            None if values is None else self._like(name, values)
            for name, values in (("lower", lower), ("upper", upper), ("truth", truth), ("noisy", noisy))
        )
        self.samples = [] if samples is None else [self._like("samples", values) for values in samples]
        measured = np.full((1, 1), lower is None) if observed is None else observed.astype(bool)
        try:
            self.observed = np.broadcast_to(measured, self.signal.shape)
        except ValueError:
            raise ValueError(f"observed has shape {measured.shape}, the signal {self.signal.shape}") from None
        self.lost = np.isnan(self.signal)
        self.restored = ~self.observed & ~self.lost
        self.offsets = self._take_offsets()

    def _like(self, name: str, values: ArrayLike) -> NDArray[np.float64]:
        array = np.atleast_2d(np.array(values, dtype=np.float64))
        if array.shape != self.signal.shape:
            raise ValueError(
                f"{name} has shape {array.shape}, the signal {self.signal.shape}: give all leads and times"
            )
        return array

    def _take_offsets(self) -> NDArray[np.bool_]:
        """Takes the offset of leads off all their curves; says of each lead whether it has one, shape (n_leads,)."""
        middles = np.array([np.median(row[~np.isnan(row)]) if not np.isnan(row).all() else 0.0 for row in self.signal])
        middles[np.abs(middles) <= OFFSET_MV] = 0.0
        if middles.any():
            for curve in (self.signal, self.lower, self.upper, self.truth, self.noisy, *self.samples):
                if curve is not None:
                    curve -= middles[:, None]
        return np.asarray(middles != 0.0)

    def of_lead(self, lead: int) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """The curves of a lead that must be seen whole, and those that may be cut, each of shape (L,)."""
        traces = [curve[lead] for curve in (self.signal, self.truth, self.noisy) if curve is not None]
        bands = [curve[lead] for curve in (self.lower, self.upper, *self.samples) if curve is not None]
        return traces, [np.where(self.restored[lead], band, np.nan) for band in bands]

    def remarks(self, strips: Sequence[Strip], made: str) -> list[str]:
        """Says of each strip what sets it apart: of the leads measured or restored throughout the fewer, and times."""
        lost = self.lost.all(axis=-1)
        whole = np.asarray((~self.restored).all(axis=-1) & ~lost)
        none = np.asarray((~self.observed).all(axis=-1) & ~lost)
        marked, word = (whole, "measured") if whole.sum() <= none.sum() else (none, made)
        if not self.restored.any() or none.all():
            marked = np.zeros_like(marked)
        goes_on = max(strip.start for strip in strips if strip.left == strips[0].left) > strips[0].start
        return [
            ", ".join([word] * bool(marked[strip.lead]) + [f"from {strip.start:g} s"] * goes_on) for strip in strips
        ]

    def legend(self, strips: Sequence[Strip], rate: float, made: str, cuts_band: bool) -> list[Entry]:
        """What is what; empty where all is measured."""
        shown = np.zeros(self.signal.shape, dtype=bool)
        for strip in strips:
            shown[strip.lead, strip.window(rate)] = True
        lost = [Entry("not recorded", GREY, "hatch")] if (self.lost & shown).any() else []
        if not self.restored.any():
            return lost
        has_band = self.lower is not None and self.upper is not None and bool((self.lower < self.upper).any())
        entries = [Entry("recording", GREY, thickness=0.6)] if self.noisy is not None else []
        if (self.observed & ~self.lost & shown).any():
            entries.append(Entry("measured", INK))
        if self.truth is not None:
            entries.append(Entry("true ECG, hidden from the method", INK, thickness=0.6))
        entries.append(Entry(f"{made}{' (mean)' if has_band else ''}", BLUE))
        if self.samples:
            entries.append(Entry("single samples", SKY, thickness=0.5))
        band = f"90 % band{', cut at the edge of its row' if cuts_band else ''}"
        return [*entries, *([Entry(band, BLUE, "band")] if has_band else []), *lost]


def _cut(values: ArrayLike | None, length: int, window: slice) -> NDArray[Any] | None:
    """Cuts the part shown from an array whose last axis has the recording's length."""
    array = None if values is None else np.asarray(values)
    return array if array is None or array.shape[-1:] != (length,) else array[..., window]


def _footer(
    strips: Sequence[Strip], duration: float, curves: _Curves, leads: Sequence[str], note: str, made: str
) -> str:
    """Says below the paper how the signal was filtered, what was done, and which part is shown."""
    is_restored = bool(curves.restored.any())
    filtered = f"restored parts {PASS_BAND}, the rest as recorded" if made == "repaired" else PASS_BAND
    parts = [note or (filtered if is_restored else "")]
    parts.append(f"{made}: research only" if is_restored else "")
    first, last = min(strip.start for strip in strips), max(strip.stop for strip in strips)
    if first > 0.0 or last < duration - 0.05:
        parts.append(f"{first:g} to {last:g} s of {duration:.4g} s")
    shifted = [lead for lead, is_shifted in zip(leads, curves.offsets, strict=True) if is_shifted]
    if shifted:
        parts.append(f"offset taken away: {', '.join(shifted)}")
    return ", ".join(part for part in parts if part)


def _draw_strip(sheet: Sheet, strip: Strip, curves: _Curves, rate: float) -> None:
    lead = strip.lead
    measured, restored = curves.observed[lead] & ~curves.lost[lead], curves.restored[lead]
    for left, right in _stretches(strip, curves.lost[lead], rate):
        sheet.hatch(strip, left, right)
    # A restored stretch reaches to the measured samples beside it, so that the lines meet.
    reach = restored | (np.roll(restored, 1) | np.roll(restored, -1)) if restored.any() else restored
    if measured.any():
        for left, right in _stretches(strip, restored, rate):
            sheet.shade(strip, left, right)
    if curves.noisy is not None:
        sheet.trace(strip, curves.noisy[lead], rate, GREY, 0.6, 3)
    if restored.any():
        if curves.lower is not None and curves.upper is not None:
            edges = [np.where(reach, edge[lead], np.nan) for edge in (curves.lower, curves.upper)]
            sheet.band(strip, edges[0], edges[1], rate)
        for sample in curves.samples:
            sheet.trace(strip, np.where(reach, sample[lead], np.nan), rate, SKY, 0.4, 3.5)
        if curves.truth is not None:
            sheet.trace(strip, np.where(reach, curves.truth[lead], np.nan), rate, INK, 0.6, 4)
        sheet.trace(strip, np.where(reach, curves.signal[lead], np.nan), rate, BLUE, 1.0, 5)
    sheet.trace(strip, np.where(measured, curves.signal[lead], np.nan), rate, INK, 0.9, 5)
    sheet.separate(strip)


def _stretches(strip: Strip, marked: NDArray[np.bool_], rate: float) -> list[tuple[float, float]]:
    """Places in mm from where to where samples (L,) are marked within a strip, but for the shortest."""
    shown = marked[strip.window(rate)]
    x = strip.places(rate, len(shown) + 1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], shown.astype(np.int8), [0]]))).reshape(-1, 2)
    return [
        (float(x[first]), float(min(x[last], strip.right)))
        for first, last in edges
        if last - first >= SHORTEST_S * rate
    ]
