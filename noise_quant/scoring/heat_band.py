"""Noise scores over time: a band of colours for each lead, behind its trace."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from einthoven.ecg.recording import Recording
from einthoven.report.figures import new_figure
from noise_quant.scoring.lead_scores import LeadScores

LIMITS_DB = (15.0, 35.0)
"""Ends of the colours, the same in all pictures, so that these can be compared."""
COLOUR_MAP = "viridis"
MOST_NUMBERS = 10
"""With more segments the scores are not written."""
TRACE_POINTS = 4000
"""Points of a trace at most; longer ones are drawn by their extremes."""
_ROW_IN, _WIDTH_IN, _REST_IN = 0.55, 10.0, 1.6
_TRACE_SHARE = 0.9


def draw_heat_band(
    scores: LeadScores, leads: Sequence[str], rows: Sequence[int], recording: Recording | None = None
) -> Figure:
    """Draws scores over time.

    Args:
        scores: The scores, shape (C, S).
        leads: Names of the C leads.
        rows: Which leads to draw, from top to bottom.
        recording: What was scored, for the traces; None: they are left out.
    """
    figure = new_figure(_WIDTH_IN, _REST_IN + _ROW_IN * len(rows))
    axes = figure.add_subplot()
    colours = ScalarMappable(Normalize(*LIMITS_DB), COLOUR_MAP)
    spans = np.stack([scores.start_s, scores.stop_s - scores.start_s], axis=1)
    for place, row in enumerate(rows):
        lost, height = np.isnan(scores.psnr[row]), (place - 0.5, 1.0)
        axes.broken_barh(spans[~lost], height, facecolors=colours.to_rgba(scores.psnr[row, ~lost], alpha=0.6))
        axes.broken_barh(spans[lost], height, facecolors="0.93", edgecolors="0.75", hatch="////", linewidth=0.0)
        if len(spans) <= MOST_NUMBERS:
            _write_scores(axes, scores, row, place)
        if recording is not None:
            _draw_trace(axes, recording.signal[row], recording.sampling_rate, place)
    axes.set_xlim(float(scores.start_s[0]), float(scores.stop_s[-1]))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [leads[row] for row in rows])
    axes.set_xlabel("time (s)")
    axes.set_title("Noise scores" + (f" of {recording.name}" if recording is not None and recording.name else ""))
    figure.colorbar(colours, ax=axes, label="PSNR (dB): higher is cleaner; hatched: not usable", pad=0.01)
    return figure


def _write_scores(axes: Axes, scores: LeadScores, row: int, place: int) -> None:
    """Writes each score of a lead, or why there is none, at the end of its segment."""
    halo = {"facecolor": "white", "alpha": 0.7, "linewidth": 0.0, "pad": 1.0}
    look: dict[str, Any] = {"fontsize": 7, "ha": "right", "va": "center", "clip_on": True, "bbox": halo}
    for stop, value, reason in zip(scores.stop_s, scores.psnr[row], scores.reason[row], strict=True):
        axes.text(stop, place - 0.35, reason or f"{value:.1f}", **look)


def _draw_trace(axes: Axes, lead: NDArray[np.float64], sampling_rate: float, place: int) -> None:
    """Draws a lead in mV, shape (L,), as high as its row, without its outermost 1 % of samples."""
    there = lead[np.isfinite(lead)]
    if not len(there):
        return
    low, high = np.percentile(there, (0.5, 99.5))
    times, values = _thinned(lead, sampling_rate)
    heights = np.clip((values - (low + high) / 2) / max(high - low, 0.1), -0.5, 0.5)
    axes.plot(times, place - _TRACE_SHARE * heights, color="black", linewidth=0.5)


def _thinned(lead: NDArray[np.float64], sampling_rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns times and values of a trace that looks the same: lowest and highest value of each short stretch."""
    n = max(1, 2 * len(lead) // TRACE_POINTS)
    times = np.arange(len(lead)) / sampling_rate
    if n < 2:
        return times, lead
    stretches = lead[: len(lead) // n * n].reshape(-1, n)
    return np.repeat(times[: len(stretches) * n : n], 2), np.stack([stretches.min(1), stretches.max(1)], 1).ravel()
