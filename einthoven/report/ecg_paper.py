"""ECG paper in true size: 25 mm/s, 10 mm/mV, with the layouts of printed ECGs.

Lengths are millimetres, which are the axes' data unit too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

SPEED = 25.0
"""Paper speed in mm/s."""

GAIN = 10.0
"""Gain in mm/mV."""

MM_PER_INCH = 25.4
PAPER = "#fffaf8"
LIGHT_GRID = "#f7d9d5"
STRONG_GRID = "#eba9a2"
INK = "#1a1a1a"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREY = "#8c8c8c"
_ORDER = {GREY: 3, INK: 4, BLUE: 5, ORANGE: 5}
MARGIN = 10.0
HEADER = 15.0
FOOTER = 10.0
PULSE = 10.0
"""Width in mm of the field left of a row that holds the calibration pulse."""


@dataclass(frozen=True)
class Strip:
    """One lead's place on the paper.

    Attributes:
        lead: Index of the lead in the recording.
        start: First time shown, in s.
        stop: Last time shown, in s.
        left: Place of `start` on the paper, in mm from the left edge.
        row: Number of the row, from the top.
    """

    lead: int
    start: float
    stop: float
    left: float
    row: int

    def window(self, sampling_rate: float) -> slice:
        """Samples shown, the one at `stop` included so that neighbouring strips meet."""
        return slice(round(self.start * sampling_rate), round(self.stop * sampling_rate) + 1)


@dataclass
class Page:
    """A sheet of ECG paper with its strips placed; `baselines` are the rows' zero lines in mm from the bottom edge."""

    figure: Figure
    axes: Axes
    strips: list[Strip]
    baselines: list[float]
    width: float
    height: float

    def trace(
        self, strip: Strip, values: np.ndarray, sampling_rate: float, colour: str = INK, thickness: float = 0.9
    ) -> None:
        """Draws all samples of a lead in mV, shape (L,), in its strip; NaN leaves gaps."""
        x, y = trace_points(strip, values, self.baselines[strip.row], sampling_rate)
        self.axes.plot(x, y, color=colour, linewidth=thickness, solid_joinstyle="round", zorder=_ORDER[colour])

    def band(self, strip: Strip, lower: np.ndarray, upper: np.ndarray, sampling_rate: float) -> None:
        """Fills the band between two edges in mV, each of shape (L,), in translucent blue."""
        x, low = trace_points(strip, lower, self.baselines[strip.row], sampling_rate)
        _, high = trace_points(strip, upper, self.baselines[strip.row], sampling_rate)
        self.axes.fill_between(x, low, high, color=BLUE, alpha=0.25, linewidth=0.0, zorder=2)

    def label(self, strip: Strip, name: str, note: str = "", size: float = 9) -> None:
        """Writes the name of a strip above its start, and a note below."""
        halo = [withStroke(linewidth=2.5, foreground=PAPER)]
        x, y = strip.left + 1.0, self.baselines[strip.row] + 6.5
        self.axes.text(x, y, name, fontsize=size, fontweight="bold", color=INK, zorder=6, path_effects=halo)
        if note:
            self.axes.text(x, y - 13.0, note, fontsize=7, color=INK, zorder=6, path_effects=halo)

    def write_title(self, title: str) -> None:
        """Writes a title above the paper, and speed and gain below."""
        self.axes.text(MARGIN - 5.0, self.height - HEADER + 8.5, title, fontsize=10, color=INK, va="center")
        footer = f"{SPEED:g} mm/s   {GAIN:g} mm/mV"
        self.axes.text(MARGIN - 5.0, FOOTER - 7.8, footer, fontsize=8, color=INK, va="center")

    def write_legend(self, lines: Sequence[tuple[str, str, float]], has_band: bool) -> None:
        """Says below the paper which line is what, by colour, meaning and thickness, and what the band is."""
        handles: list[Line2D | Patch] = [
            Line2D([], [], color=colour, linewidth=thickness, label=meaning) for colour, meaning, thickness in lines
        ]
        if has_band:
            handles.append(Patch(facecolor=BLUE, alpha=0.25, label="90 % band"))
        anchor = ((self.width - 5.0) / self.width, (FOOTER - 7.8) / self.height)
        tight = {"frameon": False, "borderpad": 0.0, "borderaxespad": 0.0, "fontsize": 8, "ncol": len(handles)}
        self.axes.legend(handles=handles, loc="center right", bbox_to_anchor=anchor, **tight)

    def save(self, path: Path | str, dpi: int) -> None:
        """Writes the page; the format follows the suffix (png, pdf, svg)."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.figure.savefig(path, dpi=dpi)


def place_strips(leads: Sequence[str], duration: float, layout: str) -> list[Strip]:
    """Places the named leads of a recording of a duration in s on the paper.

    `3x4` is the standard printout: I, II, III / aVR, aVL, aVF / V1-V3 / V4-V6 in four columns of 2.5 s, consecutive
    in time, and lead II (or the first lead) over the whole width below; it needs twelve. `12x1` shows every lead in a
    row of its own. At most 10 s are shown.
    """
    left = MARGIN + PULSE
    duration = min(duration, 10.0)
    if layout == "12x1":
        return [Strip(lead, 0.0, duration, left, lead) for lead in range(len(leads))]
    if layout != "3x4":
        raise ValueError(f"unknown layout {layout!r}: choose 3x4 or 12x1")
    if len(leads) != 12:
        raise ValueError(f"the 3x4 layout needs twelve leads, but there are {len(leads)}: choose layout 12x1")
    piece = min(2.5, duration)
    strips = []
    for lead in range(12):
        column, row = divmod(lead, 3)
        start = min(2.5 * column, duration - piece)
        strips.append(Strip(lead, start, start + piece, left + column * piece * SPEED, row))
    rhythm = list(leads).index("II") if "II" in leads else 0
    return [*strips, Strip(rhythm, 0.0, duration, left, 3)]


def new_page(strips: Sequence[Strip], extents: Sequence[tuple[float, float]], spacing: float) -> Page:
    """Makes the paper: grid, calibration pulses and the rows' baselines.

    Rows are as far apart as the strips' extents, lowest and highest value in mV, need, `spacing` in mm at least.
    """
    n_rows = 1 + max(strip.row for strip in strips)
    low, high = np.zeros(n_rows), np.zeros(n_rows)
    for strip, (lowest, highest) in zip(strips, extents, strict=True):
        low[strip.row] = min(low[strip.row], lowest * GAIN)
        high[strip.row] = max(high[strip.row], highest * GAIN)
    high = np.maximum(high, GAIN)  # the calibration pulse
    # Neighbours may share up to a third of a row's distance: peaks seldom meet valleys.
    gaps = [max(spacing, 0.67 * (high[row + 1] - low[row])) for row in range(n_rows - 1)]
    gaps = [5.0 * np.ceil(min(gap, 60.0) / 5.0) for gap in gaps]
    top = 5.0 * np.ceil(min(max(high[0], 10.0), 40.0) / 5.0) + HEADER
    bottom = 5.0 * np.ceil(min(max(-low[-1], 5.0), 40.0) / 5.0) + FOOTER
    height = float(top + sum(gaps) + bottom)
    width = 5.0 * np.ceil((max(s.left + (s.stop - s.start) * SPEED for s in strips) + MARGIN) / 5.0)
    baselines = [float(height - top - sum(gaps[:row])) for row in range(n_rows)]
    figure = Figure(figsize=(width / MM_PER_INCH, height / MM_PER_INCH), facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0.0, width)
    axes.set_ylim(0.0, height)
    axes.set_axis_off()
    _rule(axes, float(width), height)
    for baseline in baselines:
        left = MARGIN + 2.0
        pulse = np.array([(0, 0), (1, 0), (1, GAIN), (6, GAIN), (6, 0), (7, 0)]) + (left, baseline)
        axes.plot(*pulse.T, color=INK, linewidth=0.8, solid_joinstyle="miter", zorder=3)
    return Page(figure, axes, list(strips), baselines, float(width), height)


def _rule(axes: Axes, width: float, height: float) -> None:
    bottom, top = FOOTER - 5.0, height - HEADER + 5.0
    left, right = 5.0, width - 5.0
    for pitch, colour, thickness in ((1.0, LIGHT_GRID, 0.35), (5.0, STRONG_GRID, 0.6)):
        lines = [[(x, bottom), (x, top)] for x in np.arange(left, right + 0.01, pitch)]
        lines += [[(left, y), (right, y)] for y in np.arange(bottom, top + 0.01, pitch)]
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=thickness, zorder=0))


def trace_points(
    strip: Strip, values: np.ndarray, baseline: float, sampling_rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Places in mm, each of shape (n,), of a strip's part of all samples of its lead in mV, shape (L,)."""
    window = strip.window(sampling_rate)
    shown = values[window]
    times = np.arange(window.start, window.start + len(shown)) / sampling_rate
    return strip.left + (times - strip.start) * SPEED, baseline + GAIN * shown
