"""Where each lead stands on a sheet of ECG paper: the layouts of printed ECGs, for any leads and any length.

Lengths are millimetres, times are seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from einthoven.ecg.leads import LEADS

LAYOUTS: tuple[str, ...] = ("3x4+1", "6x2", "12x1")
"""Three rows of four columns with a rhythm strip below; six rows of two columns; one row a lead."""
ROW_MM = 250.0
"""Length of a whole row: 10 s at 25 mm/s."""
MARGIN = 10.0
PULSE_S = 0.2
"""Width of the calibration pulse."""
MAX_ROWS = 12
"""Rows that a sheet holds where a recording goes on in further rows."""
SHORTEST_SPLIT = 0.6
"""Share of a row from which on the columns follow each other in time; a shorter recording repeats in them."""


@dataclass(frozen=True)
class Strip:
    """One lead's place on the paper.

    Attributes:
        lead: Index of the lead in the recording.
        start: First time shown, in s from the first sample of the recording.
        stop: Last time shown, in s.
        left: Place of `start` on the paper, in mm from the left edge.
        row: Number of the row, from the top.
        speed: Paper speed in mm/s.
    """

    lead: int
    start: float
    stop: float
    left: float
    row: int
    speed: float

    @property
    def right(self) -> float:
        """Place of `stop` on the paper, in mm from the left edge."""
        return self.left + (self.stop - self.start) * self.speed

    def window(self, sampling_rate: float) -> slice:
        """Samples shown, the one at `stop` included so that neighbouring strips meet."""
        return slice(round(self.start * sampling_rate), round(self.stop * sampling_rate) + 1)

    def places(self, sampling_rate: float, n: int) -> np.ndarray:
        """Places of the `n` samples shown, in mm from the left edge, shape (n,)."""
        times = (self.window(sampling_rate).start + np.arange(n)) / sampling_rate
        return self.left + (times - self.start) * self.speed


def first_column(speed: float) -> float:
    """Left edge of the traces in mm: right of the margin and of the calibration pulse."""
    return MARGIN + 5.0 * float(np.ceil((PULSE_S * speed + 3.0) / 5.0))


def sheet_duration(n_leads: int, layout: str, speed: float = 25.0) -> float:
    """Seconds of a recording that one sheet holds: one row, or several where there are few leads, a row each."""
    rows = max(1, MAX_ROWS // n_leads) if _is_one_column(n_leads, layout) else 1
    return rows * ROW_MM / speed


def place_strips(
    leads: Sequence[str], duration: float, layout: str = "3x4+1", speed: float = 25.0, start: float = 0.0
) -> list[Strip]:
    """Places the leads of a recording on a sheet.

    Leads of the twelve keep their usual places (I, II, III / aVR, aVL, aVF / V1-V3 / V4-V6); columns of which no lead
    is there are left out. Up to three leads have a row each, and go on in the rows below where the recording is longer.
    Columns follow each other in time. Of a recording too short for that each shows what it can.

    Args:
        leads: Names of the leads.
        duration: Length of the recording in s.
        layout: `3x4+1`, `6x2` or `12x1`.
        speed: Paper speed in mm/s.
        start: First time on the sheet in s.

    Raises:
        ValueError: If there is no such layout, or nothing of the recording lies at or after `start`.
    """
    layout = "3x4+1" if layout == "3x4" else layout  # its name until version 0.9
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
    if not 0.0 <= start < duration:
        raise ValueError(f"start is {start:g} s, but the recording has {duration:g} s: choose one from 0 to its end")
    row_s, left = ROW_MM / speed, first_column(speed)
    if _is_one_column(len(leads), layout):
        stop = min(duration, start + sheet_duration(len(leads), layout, speed))
        starts = start + row_s * np.arange(max(1, np.ceil((stop - start) / row_s - 1e-9)))
        return [
            Strip(lead, first, min(first + row_s, stop), left, system * len(leads) + lead, speed)
            for system, first in enumerate(starts.tolist())
            for lead in range(len(leads))
        ]
    columns = _columns(leads, 3 if layout == "3x4+1" else 6)
    shown = min(row_s, duration - start)
    split = shown / len(columns)
    piece = split if shown >= SHORTEST_SPLIT * row_s else min(row_s / len(columns), shown)
    n_pieces = max(1, int(shown / piece + 1e-9))
    strips = []
    for number, column in enumerate(columns):
        first = start + (number % n_pieces) * piece
        place = left + number * piece * speed
        strips += [Strip(lead, first, first + piece, place, row, speed) for row, lead in column]
    if layout == "3x4+1":
        rhythm = list(leads).index("II") if "II" in leads else 0
        n_rows = 1 + max(strip.row for strip in strips)
        stop = start + min(shown, len(columns) * piece)
        strips.append(Strip(rhythm, start, stop, left, n_rows, speed))
    return strips


def _is_one_column(n_leads: int, layout: str) -> bool:
    return layout == "12x1" or n_leads <= 3


def _columns(leads: Sequence[str], n_rows: int) -> list[list[tuple[int, int]]]:
    """Gives the columns, each a list of (row, index of the lead)."""
    known = set(leads) <= set(LEADS) and len(set(leads)) == len(leads)
    columns: dict[int, list[tuple[int, int]]] = {}
    for index, lead in enumerate(leads):
        column, row = divmod(LEADS.index(lead) if known else index, n_rows)
        columns.setdefault(column, []).append((row, index))
    used = sorted({row for column in columns.values() for row, _ in column})
    return [[(used.index(row), index) for row, index in columns[number]] for number in sorted(columns)]
