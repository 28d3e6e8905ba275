"""The average beat of each lead, drawn with its waves."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from einthoven.ecg.measures.beats import BEAT_RATE
from einthoven.ecg.measures.marking import MarkedBeat

if TYPE_CHECKING:
    from einthoven.ecg.measures.result import Measures

WAVES = (("P on", "P off", "#56b4e9"), ("QRS on", "QRS off", "#e69f00"), ("T on", "T off", "#009e73"))
MOST_BEATS = 10
_COLUMNS = 4
_HEAD_IN = 1.6
"""Height of the text above the beats."""


def draw_beats(measures: "Measures") -> Figure:
    """Draws the average beat of each lead (of up to ten samples, one over the other), in mV over ms from the R peak."""
    beats = measures.beats[:MOST_BEATS]
    leads = beats[0].leads if beats else ()
    n_rows = max(1, -(-len(leads) // _COLUMNS))
    height = _HEAD_IN + 1.9 * n_rows
    figure = Figure(figsize=(11.0, height))
    FigureCanvasAgg(figure)
    figure.subplots_adjust(0.05, 0.4 / height, 0.99, 1 - _HEAD_IN / height, wspace=0.18, hspace=0.3)
    title, facts = measures.facts()
    figure.suptitle(
        "\n".join([title, *(f"{name}: {text}" for name, text in facts.items())]), fontsize=9, y=1 - 0.08 / height
    )
    for row, lead in enumerate(leads):
        axes = figure.add_subplot(n_rows, _COLUMNS, row + 1)
        axes.set_title(lead, fontsize=9, loc="left", pad=2)
        axes.tick_params(labelsize=7)
        if not any(beat.usable[row] for beat in beats):
            axes.text(0.5, 0.5, "not measurable", ha="center", va="center", transform=axes.transAxes, fontsize=8)
            continue
        for beat in beats:
            times = (np.arange(beat.beat.shape[-1]) - beat.peak) * 1000.0 / BEAT_RATE
            axes.plot(times, beat.beat[row], color="black", lw=0.9, alpha=1.0 if len(beats) == 1 else 0.4)
        for start, stop, colour in WAVES:
            span = _span(beats, start, stop)
            if span is not None:
                axes.axvspan(*span, color=colour, alpha=0.25, lw=0)
        axes.axhline(0.0, color="0.7", lw=0.5)
        if row // _COLUMNS == n_rows - 1:
            axes.set_xlabel("ms", fontsize=7)
        if row % _COLUMNS == 0:
            axes.set_ylabel("mV", fontsize=7)
    if not leads:
        figure.text(0.5, 0.4, "fewer than three beats", ha="center")
    return figure


def _span(beats: tuple[MarkedBeat, ...], start: str, stop: str) -> tuple[float, float] | None:
    """Returns the median places of two marks over leads and samples in ms; None where there are none."""
    edges = [(beat.over_leads.get(start, np.nan), beat.over_leads.get(stop, np.nan)) for beat in beats]
    found = np.array([edge for edge in edges if np.isfinite(edge).all()])
    if not len(found):
        return None
    first, last = np.median(found, axis=0) * 1000.0 / BEAT_RATE
    return float(first), float(last)
