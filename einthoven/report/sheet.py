"""A sheet of ECG paper in true size: grid, calibration pulses, rows that keep clear of each other, and what is drawn.

Lengths are millimetres, which are the axes' data unit too, so that a printout shows the paper speed and the gain.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox, TransformedBbox
from numpy.typing import NDArray

from einthoven.report.figures import Picture
from einthoven.report.layouts import MARGIN, PULSE_S, Strip

GAINS: tuple[float, ...] = (20.0, 10.0, 5.0, 2.5)
"""Gains in mm/mV, the lowest only where rows would not fit otherwise."""
MM_PER_INCH = 25.4
MAX_HEIGHT = 420.0
"""Height of all rows from which on the gain falls, in mm."""
MIN_WIDTH = 120.0
CUT_MV = 5.0
"""No ECG reaches farther from its zero line; what does is cut at the edge of its row."""
BAND_MM = 4.0
"""How far a band may reach beyond its lead's traces before it is cut."""

PAPER = "#fffaf8"
LIGHT_GRID = "#f7d9d5"
STRONG_GRID = "#eba9a2"
INK = "#1a1a1a"
BLUE = "#0072b2"
SKY = "#56b4e9"
ORANGE = "#d55e00"
GREY = "#8c8c8c"

_NAME_MM, _NAME_WIDTH, _TITLE_MM, _LINE_MM = 4.0, 12.0, 5.0, 4.5
_CHARACTER_MM = {10: 2.05, 8: 1.62}
"""Mean width of a character by its size in points."""


class Extent(NamedTuple):
    """What a strip needs, in mV from its zero line: lowest and highest value, and the highest under its name.

    `cuts_band`: whether its band may reach beyond that.
    """

    low: float
    high: float
    under_name: float
    cuts_band: bool = False


class Row(NamedTuple):
    """A row's zero line, its edges, and where its leads' names stand, in mm from the bottom of the sheet."""

    baseline: float
    bottom: float
    top: float
    names: float


@dataclass(frozen=True)
class Entry:
    """A line of the legend: `kind` is "line", "band" or "hatch"."""

    meaning: str
    colour: str
    kind: str = "line"
    thickness: float = 0.9


class Sheet:
    """ECG paper with its strips placed.

    Rows are as high as their traces need. Where the sheet would be higher than `MAX_HEIGHT` the gain falls, and the
    line below the paper says so. Nothing is drawn beyond the edges of its row.

    Args:
        strips: Places of the leads.
        extents: What each strip needs.
        gain: Gain in mm/mV.
        title: Text above the paper.
        footer: Text below the paper, after speed and gain.
        legend: What is what, below the paper.
    """

    def __init__(
        self,
        strips: Sequence[Strip],
        extents: Sequence[Extent],
        *,
        gain: float = 10.0,
        title: str = "",
        footer: str = "",
        legend: Sequence[Entry] = (),
    ) -> None:
        self.strips, self.speed = list(strips), strips[0].speed
        widest = max(strip.right for strip in strips) + MARGIN
        self.width = max(MIN_WIDTH, 5.0 * float(np.ceil(round(widest, 6) / 5.0)))
        self.gain = next((g for g in GAINS if g <= gain and sum(_heights(strips, extents, g)) <= MAX_HEIGHT), GAINS[-1])
        titles = textwrap.wrap(title, int((self.width - 10.0) / _CHARACTER_MM[10]))
        parts = [f"{self.speed:g} mm/s", f"{self.gain:g} mm/mV", *([footer] if footer else [])]
        if self.gain < gain:
            parts.append(f"gain lowered from {gain:g} mm/mV so that rows keep clear")
        if any(max(-extent.low, extent.high) > CUT_MV for extent in extents):
            parts.append(f"cut beyond {CUT_MV:g} mV")
        footers = textwrap.wrap(", ".join(parts), int((self.width - 10.0) / _CHARACTER_MM[8]))
        flow = _flow(legend, self.width)
        n_lines = len(footers) + 1 + max((line for line, _ in flow), default=-1)
        bottom = 2.0 + _LINE_MM * n_lines
        self.rows = self._place_rows(extents, bottom)
        top = bottom + sum(_heights(strips, extents, self.gain))
        self.height = top + 4.0 + _TITLE_MM * len(titles)
        self.figure = Picture(self.width / MM_PER_INCH, self.height / MM_PER_INCH)
        self.figure.set_facecolor(PAPER)
        self.axes: Axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.axes.set_xlim(0.0, self.width)
        self.axes.set_ylim(0.0, self.height)
        self.axes.set_axis_off()
        rule_paper(self.axes, (5.0, self.width - 5.0), (bottom, top), (1.0, 1.0))
        self._draw_pulses()
        for number, text in enumerate(titles):
            self.write(5.0, self.height - 4.0 - _TITLE_MM * number, text, size=10)
        for number, text in enumerate(reversed(footers)):
            self.write(5.0, 3.0 + _LINE_MM * number, text, size=8)
        for entry, (line, left) in zip(legend, flow, strict=True):
            self._draw_entry(entry, left, 3.0 + _LINE_MM * (n_lines - 1 - line))

    def _place_rows(self, extents: Sequence[Extent], bottom: float) -> list[Row]:
        needs = _needs(self.strips, extents, self.gain)
        heights = _heights(self.strips, extents, self.gain)
        baseline, rows = bottom + sum(heights), []
        for (up, _, name), height in zip(needs, heights, strict=False):
            baseline -= height
            rows.append(Row(baseline, 0.0, baseline + up, baseline + name))
        edges = [*(row.top for row in rows[1:]), bottom]
        return [row._replace(bottom=edge) for row, edge in zip(rows, edges, strict=True)]

    def _draw_pulses(self) -> None:
        """Draws 1 mV for 200 ms left of each row."""
        left = self.strips[0].left - PULSE_S * self.speed - 2.0
        for row in self.rows:
            x, y = (calibration_pulse(self.speed, self.gain) + (left, row.baseline)).T
            self.axes.plot(x, y, color=INK, linewidth=0.8, solid_joinstyle="miter", zorder=3)

    def points(self, strip: Strip, values: NDArray[np.floating], sampling_rate: float) -> tuple[np.ndarray, np.ndarray]:
        """Places in mm, each of shape (n,), of a strip's part of all samples of its lead in mV, shape (L,)."""
        shown = values[strip.window(sampling_rate)]
        return strip.places(sampling_rate, len(shown)), self.rows[strip.row].baseline + self.gain * shown

    def trace(
        self,
        strip: Strip,
        values: NDArray[np.floating],
        sampling_rate: float,
        colour: str = INK,
        thickness: float = 0.9,
        order: float = 4,
    ) -> None:
        """Draws all samples of a lead in mV, shape (L,), in its strip; NaN leaves gaps, a sample alone is a dot."""
        x, y = self.points(strip, values, sampling_rate)
        (line,) = self.axes.plot(
            x, y, color=colour, linewidth=thickness, solid_joinstyle="round", solid_capstyle="round", zorder=order
        )
        self._clip(line, strip)
        known = np.concatenate([[False], np.isfinite(y), [False]])
        alone = known[1:-1] & ~known[:-2] & ~known[2:]
        if alone.any():
            (dots,) = self.axes.plot(x[alone], y[alone], ".", color=colour, markersize=2.5 * thickness, zorder=order)
            self._clip(dots, strip)

    def band(self, strip: Strip, lower: NDArray[np.floating], upper: NDArray[np.floating], rate: float) -> None:
        """Fills the band between two edges in mV, each of shape (L,), in translucent blue."""
        x, low = self.points(strip, lower, rate)
        self._clip(
            self.axes.fill_between(
                x, low, self.points(strip, upper, rate)[1], color=BLUE, alpha=0.22, linewidth=0.0, zorder=2
            ),
            strip,
        )

    def shade(self, strip: Strip, left: float, right: float) -> None:
        """Tints a restored stretch of a measured lead, from a place to a place in mm."""
        row = self.rows[strip.row]
        box = Rectangle((left, row.bottom), right - left, row.top - row.bottom, color=SKY, alpha=0.16, linewidth=0)
        box.set_zorder(1)
        self._clip(self.axes.add_patch(box), strip)

    def hatch(self, strip: Strip, left: float, right: float) -> None:
        """Hatches a stretch without signal, from a place to a place in mm."""
        low = self.rows[strip.row].baseline - 2.5
        lines = LineCollection(_hatching(left, right, low, 5.0), colors=GREY, linewidths=0.4, zorder=2)
        self._clip(self.axes.add_collection(lines), strip)

    def name(self, strip: Strip, name: str, remark: str = "") -> None:
        """Writes the name of a strip above the start of its trace, and a remark after it."""
        left, y = strip.left + 1.0, self.rows[strip.row].names
        self.write(left, y, name, size=9, weight="bold", va="bottom")
        if remark:
            self.write(left + 2.0 + 2.1 * len(name), y + 0.2, remark, size=7, va="bottom")

    def separate(self, strip: Strip) -> None:
        """Marks the start of a strip that is not the first of its row."""
        if strip.left > self.strips[0].left:
            baseline = self.rows[strip.row].baseline
            for low, high in ((-4.0, -2.0), (2.0, 4.0)):
                self.axes.plot([strip.left] * 2, [baseline + low, baseline + high], color=INK, linewidth=0.7)

    def write(self, x: float, y: float, text: str, size: float, weight: str = "normal", va: str = "center") -> None:
        """Writes a text, readable on any line, from a place in mm."""
        halo = [withStroke(linewidth=2.0, foreground=PAPER)]
        self.axes.text(x, y, text, fontsize=size, fontweight=weight, color=INK, va=va, zorder=6, path_effects=halo)

    def _draw_entry(self, entry: Entry, left: float, y: float) -> None:
        if entry.kind == "line":
            self.axes.plot([left, left + 7.0], [y, y], color=entry.colour, linewidth=max(entry.thickness, 0.6))
        elif entry.kind == "band":
            self.axes.add_patch(Rectangle((left, y - 1.3), 7.0, 2.6, color=entry.colour, alpha=0.22, linewidth=0))
        else:
            self.axes.add_collection(
                LineCollection(_hatching(left, left + 7.0, y - 1.3, 2.6), colors=GREY, linewidths=0.4)
            )
        self.write(left + 8.5, y, entry.meaning, size=8)

    def _clip(self, artist: Artist, strip: Strip) -> None:
        row = self.rows[strip.row]
        # Half a millimetre on both sides, so that a line is not thinner where it ends.
        box = Bbox.from_extents(strip.left - 0.5, row.bottom, strip.right + 0.5, row.top)
        artist.set_clip_box(TransformedBbox(box, self.axes.transData))


def extent_of(
    strip: Strip,
    curves: Sequence[NDArray[np.floating]],
    bands: Sequence[NDArray[np.floating]] = (),
    *,
    gain: float,
    sampling_rate: float,
    remark: str = "",
) -> Extent:
    """Finds what a strip needs for its curves and, as far as `BAND_MM` beyond them, its bands, each (L,) in mV."""
    window = strip.window(sampling_rate)
    shown = np.stack([np.asarray(curve[window], dtype=np.float64) for curve in (*curves, *bands)])
    name_width = _NAME_WIDTH + _CHARACTER_MM[8] * len(remark)
    below_name = strip.places(sampling_rate, shown.shape[-1]) <= strip.left + name_width
    (low, high), (low_edge, high_edge) = _span(shown[: len(curves)]), _span(shown[len(curves) :])
    lowest, highest = low - BAND_MM / gain, high + BAND_MM / gain
    low, high = min(low, max(low_edge, lowest)), max(high, min(high_edge, highest))
    under_name = min(_span(shown[:, below_name])[1], high)
    return Extent(low, high, under_name, low_edge < lowest or high_edge > highest)


def _span(values: NDArray[np.floating]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (min(float(finite.min()), 0.0), max(float(finite.max()), 0.0)) if len(finite) else (0.0, 0.0)


def _needs(strips: Sequence[Strip], extents: Sequence[Extent], gain: float) -> list[tuple[float, float, float]]:
    """Gives of each row what it needs above and below its zero line and where its names stand, in mm."""
    needs = [(gain, 3.0, gain / 2.0)] * (1 + max(strip.row for strip in strips))
    for strip, extent in zip(strips, extents, strict=True):
        low, high, under = (float(np.clip(value, -CUT_MV, CUT_MV)) * gain for value in extent[:3])
        up, down, name = needs[strip.row]
        needs[strip.row] = (max(up, high), max(down, -low), max(name, under + 1.5))
    return [(max(up, name + _NAME_MM) + 1.0, down + 1.0, name) for up, down, name in needs]


def _heights(strips: Sequence[Strip], extents: Sequence[Extent], gain: float) -> list[float]:
    """Distances in mm: the paper's top to the first zero line, each to the next, and the last to the paper's bottom."""
    needs = _needs(strips, extents, gain)
    above, below = [up for up, _, _ in needs] + [0.0], [0.0] + [down for _, down, _ in needs]
    return [5.0 * float(np.ceil((up + down) / 5.0)) for up, down in zip(above, below, strict=True)]


def _flow(legend: Sequence[Entry], width: float) -> list[tuple[int, float]]:
    """Places the entries of a legend: line and left edge in mm of each."""
    places, line, left = [], 0, 5.0
    for entry in legend:
        needed = 8.5 + _CHARACTER_MM[8] * len(entry.meaning)
        if left > 5.0 and left + needed > width - 5.0:
            line, left = line + 1, 5.0
        places.append((line, left))
        left += needed + 6.0
    return places


def _hatching(left: float, right: float, low: float, height: float) -> list[NDArray[np.float64]]:
    """Ends of oblique lines within a box in mm, each of shape (2, 2)."""
    starts = np.arange(left - height, right, 1.5)
    first, last = np.maximum(starts, left), np.minimum(starts + height, right)
    return list(np.stack([np.stack([x, low + x - starts], axis=-1) for x in (first, last)], axis=1))


def calibration_pulse(speed: float, gain: float) -> NDArray[np.float64]:
    """Returns the corners, shape (6, 2), of 1 mV for 200 ms in mm, at a speed in mm/s and a gain in mm/mV."""
    width = PULSE_S * speed
    return np.array([(-1, 0), (0, 0), (0, gain), (width, gain), (width, 0), (width + 1, 0)], dtype=np.float64)


def rule_paper(axes: Axes, x: tuple[float, float], y: tuple[float, float], mm: tuple[float, float]) -> None:
    """Draws the grid, a line each 1 mm and a strong one each 5 mm; `mm` is a millimetre in the axes' own units."""
    for pitch, colour, thickness in ((1.0, LIGHT_GRID, 0.35), (5.0, STRONG_GRID, 0.6)):
        across, up = (
            np.arange(low, high + 0.01 * unit, pitch * unit) for (low, high), unit in zip((x, y), mm, strict=True)
        )
        lines = [[(place, y[0]), (place, y[1])] for place in across] + [[(x[0], place), (x[1], place)] for place in up]
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=thickness, zorder=0))
