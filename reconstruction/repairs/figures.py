"""Pictures of a repair: the recording before and after on ECG paper, and its noise scores over time."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from einthoven.report.ecg_paper import BLUE, GREY, INK, Page, new_page, place_strips
from reconstruction.repairs.result import HUM_REMOVED, KEPT, LEFT_MISSING, Repair

PAGE_S = 10.0
SPACING = 18.0
"""Least distance of two rows in mm."""
REACH_MV = 0.5
"""How far the recording before is drawn beyond the range of the repaired one: the rest is cut off."""


def draw_repair(repair: Repair, start: float = 0.0) -> Figure:
    """Draws ten seconds from `start` (s) on: what was kept in black, what was repaired in blue with its band.

    The recording before stands in grey behind what was changed. What stays missing is left empty. Leads are drawn about
    their own middle.
    """
    shown, middles = _shown(repair, start), _middles(repair)
    rate, leads = repair.recording.sampling_rate, repair.recording.leads
    done = repair.done[:, shown]
    after = repair.recording.signal[:, shown] - middles
    low, high = repair.lower[:, shown] - middles, repair.upper[:, shown] - middles
    before = _before(repair)[:, shown] - middles
    page = _page(leads, after, rate, np.stack([low, high]))
    for strip in page.strips:
        row = strip.lead
        kept = np.isin(done[row], (KEPT, HUM_REMOVED))
        changed = _widened(~kept)
        reach = _range(after[row])
        old = before[row].clip(reach[0] - REACH_MV, reach[1] + REACH_MV)
        page.trace(strip, np.where(changed, old, np.nan), rate, GREY, 0.5)
        page.band(strip, np.where(kept, np.nan, low[row]), np.where(kept, np.nan, high[row]), rate)
        page.trace(strip, np.where(kept, after[row], np.nan), rate, INK, 0.8)
        page.trace(strip, np.where(changed & (done[row] != LEFT_MISSING), after[row], np.nan), rate, BLUE)
        page.label(strip, leads[row], size=8)
    name = repair.recording.name or "recording"
    page.write_title(f"{name}, repaired: {start:g} to {start + after.shape[-1] / rate:g} s")
    page.write_legend([(GREY, "before", 0.6), (INK, "kept", 0.9), (BLUE, "repaired, not measured", 0.9)], True)
    return page.figure


def draw_before(repair: Repair, start: float = 0.0) -> Figure:
    """Draws ten seconds of the recording as it was, from `start` (s) on; what is off the paper is cut off."""
    shown, rate = _shown(repair, start), repair.before.sampling_rate
    rows = [repair.recording.leads.index(lead) for lead in repair.before.leads]
    x = repair.before.signal[:, shown] - _middles(repair)[rows]
    after = repair.recording.signal[rows, shown] - _middles(repair)[rows]
    limits = [_range(row) for row in after]
    x = np.stack([row.clip(low - REACH_MV, high + REACH_MV) for row, (low, high) in zip(x, limits, strict=True)])
    page = _page(repair.before.leads, x, rate)
    for strip in page.strips:
        page.trace(strip, x[strip.lead], rate, INK, 0.8)
        page.label(strip, repair.before.leads[strip.lead], size=8)
    page.write_title(
        f"{repair.recording.name or 'recording'}, as it was: {start:g} to {start + x.shape[-1] / rate:g} s"
    )
    return page.figure


def draw_scores(repair: Repair) -> Figure:
    """Draws the noise score of each lead over time, before and after, as two maps."""
    leads, findings = repair.before.leads, repair.findings
    edges = findings.edges / repair.before.sampling_rate
    figure = Figure(figsize=(9.0, 1.6 + 0.36 * len(leads)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    known = findings.score[np.isfinite(findings.score)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (20.0, 30.0)
    for axes, values, title in zip(panels, (findings.score, repair.score_after), ("before", "after"), strict=True):
        lines = np.arange(len(leads) + 1)
        image = axes.pcolormesh(edges, lines, values, vmin=low, vmax=high, cmap="cividis")
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("time (s)", fontsize=8)
        axes.tick_params(labelsize=7)
    panels[0].set_yticks(np.arange(len(leads)) + 0.5, leads, fontsize=7)
    panels[0].invert_yaxis()
    bar = figure.colorbar(image, ax=panels, shrink=0.8)
    bar.set_label("noise score (dB), higher is cleaner", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def _shown(repair: Repair, start: float) -> slice:
    """Returns the samples of a page; ValueError where it lies outside the recording."""
    rate, length = repair.recording.sampling_rate, repair.recording.signal.shape[-1]
    first = round(start * rate)
    if not 0 <= first < length:
        raise ValueError(f"start={start:g} s lies outside the recording, which lasts {length / rate:g} s")
    return slice(first, min(first + round(PAGE_S * rate), length))


def _middles(repair: Repair) -> NDArray[np.float64]:
    """Returns the level of each lead in mV, shape (n_leads, 1)."""
    rows = [row[np.isfinite(row)] for row in repair.recording.signal]
    return np.array([[np.median(row) if len(row) else 0.0] for row in rows])


def _before(repair: Repair) -> NDArray[np.float64]:
    """Returns the recording before in the leads of the repaired one, NaN where it lacks them."""
    before = np.full(repair.recording.signal.shape, np.nan)
    before[[repair.recording.leads.index(lead) for lead in repair.before.leads]] = repair.before.signal
    return before


def _page(
    leads: tuple[str, ...], x: NDArray[np.float64], rate: float, edges: NDArray[np.float64] | None = None
) -> Page:
    strips = place_strips(leads, x.shape[-1] / rate, "12x1")
    rows = x[None] if edges is None else np.concatenate([x[None], edges])
    return new_page(strips, [_range(rows[:, strip.lead]) for strip in strips], SPACING)


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)


def _widened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Takes in one sample on either side, so that lines meet."""
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    return wide
