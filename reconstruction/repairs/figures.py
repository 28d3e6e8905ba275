"""Pictures of a repair: the recording before and after on ECG paper, and its noise scores over time."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from einthoven.report.ecg_paper import draw_ecg
from einthoven.report.figures import new_figure
from reconstruction.repairs.result import HUM_REMOVED, KEPT, Repair

PAGE_S = 10.0
LAYOUT = "12x1"
REACH_MV = 0.5
"""How far the recording before is drawn beyond the range of the repaired one: the rest is cut off."""


def draw_repair(repair: Repair, start: float = 0.0) -> Figure:
    """Draws ten seconds from `start` (s) on: what was kept in black, what was repaired in blue with its band.

    The recording before stands in grey behind what was changed; what stays missing is empty. Each lead lies about its
    own middle.
    """
    middles = _middles(repair)
    after = repair.recording.signal - middles
    kept = np.isin(repair.done, (KEPT, HUM_REMOVED))
    before = np.full(after.shape, np.nan)
    before[_rows(repair)] = _within(repair.before.signal - middles[_rows(repair)], after[_rows(repair)])
    before[kept] = np.nan
    return draw_ecg(
        after,
        repair.recording.leads,
        repair.recording.sampling_rate,
        lower=repair.lower - middles,
        upper=repair.upper - middles,
        observed=kept,
        noisy=before if np.isfinite(before).any() else None,
        layout=LAYOUT,
        start=start,
        title=f"{repair.recording.name or 'recording'}, after",
        made="repaired",
    )


def draw_before(repair: Repair, start: float = 0.0) -> Figure:
    """Draws ten seconds of the recording as it was, from `start` (s) on; what is off the paper is cut off."""
    rows = _rows(repair)
    middles = _middles(repair)[rows]
    x = _within(repair.before.signal - middles, repair.recording.signal[rows] - middles)
    title = f"{repair.recording.name or 'recording'}, before"
    rate = repair.before.sampling_rate
    return draw_ecg(x, repair.before.leads, rate, layout=LAYOUT, start=start, title=title)


def draw_scores(repair: Repair) -> Figure:
    """Draws the noise score of each lead over time, before and after, as two maps."""
    leads, findings = repair.before.leads, repair.findings
    edges = findings.edges / repair.before.sampling_rate
    figure = new_figure(9.0, 1.6 + 0.36 * len(leads))
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


def _rows(repair: Repair) -> list[int]:
    """Returns the rows of the repaired recording that the one before has too."""
    return [repair.recording.leads.index(lead) for lead in repair.before.leads]


def _middles(repair: Repair) -> NDArray[np.float64]:
    """Returns the level of each lead in mV, shape (n_leads, 1)."""
    rows = [row[np.isfinite(row)] for row in repair.recording.signal]
    return np.array([[np.median(row) if len(row) else 0.0] for row in rows])


def _within(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cuts off what reaches far beyond the range of the repaired leads, all in mV, shape (n_leads, L)."""
    known = np.isfinite(after)
    low, high = (np.where(known, after, 0.0).min(axis=-1), np.where(known, after, 0.0).max(axis=-1))
    return np.asarray(before.clip(low[:, None] - REACH_MV, high[:, None] + REACH_MV))
