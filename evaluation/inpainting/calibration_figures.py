"""Figures of calibration: nominal against empirical coverage, and true against reconstructed amplitude."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from einthoven.report.figures import COLOURS, new_figure, save_figure
from einthoven.report.sheet import BLUE, ORANGE


def draw_coverage(
    path: Path | str, levels: Sequence[float], coverage: np.ndarray, leads: Sequence[str], title: str
) -> None:
    """Draws how much of the truth lies in bands of growing nominal level; the diagonal is perfect calibration.

    Args:
        path: File to write.
        levels: Nominal levels in (0, 1).
        coverage: Empirical coverage in [0, 1], shape (levels, leads).
        leads: Names of the leads.
        title: Title of the figure.
    """
    figure = new_figure(6.0, 5.6)
    axes = figure.add_subplot()
    axes.plot([0, 100], [0, 100], color="0.6", linewidth=1.0, linestyle="--", label="perfectly calibrated")
    for place, lead in enumerate(leads):
        dashed = "-" if place < len(COLOURS) else "--"
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(100 * np.asarray(levels), 100 * coverage[:, place], dashed, color=colour, linewidth=1.0, label=lead)
    mean = 100 * np.nanmean(coverage, axis=1)
    axes.plot(100 * np.asarray(levels), mean, color="black", linewidth=2.2, marker="o", markersize=4, label="mean")
    axes.set(
        xlim=(0, 100),
        ylim=(0, 100),
        xlabel="nominal level of the band (%)",
        ylabel="true samples inside the band (%)",
        title=title,
    )
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save_figure(figure, path)


def draw_amplitudes(
    path: Path | str, truth: np.ndarray, sample: np.ndarray, mean: np.ndarray, leads: Sequence[str], title: str
) -> None:
    """Draws reconstructed against true amplitudes, one panel a lead, with regression lines.

    `truth`, one `sample` of each record, and the `mean` are in mV, each of shape (n, leads).
    """
    n_columns = 3 if len(leads) <= 9 else 4
    n_rows = -(-len(leads) // n_columns)
    figure = new_figure(3.0 * n_columns, 3.0 * n_rows + 0.6)
    figure.suptitle(title, fontsize=11)
    for place, lead in enumerate(leads):
        axes = figure.add_subplot(n_rows, n_columns, place + 1)
        shown = np.concatenate([truth[:, place], sample[:, place], mean[:, place]])
        highest = 1.05 * float(np.nanmax(shown)) if np.isfinite(shown).any() else 1.0
        axes.plot([0, highest], [0, highest], color="0.6", linewidth=1.0, linestyle="--", label="equal")
        _scatter(axes, truth[:, place], sample[:, place], BLUE, "single sample")
        _scatter(axes, truth[:, place], mean[:, place], ORANGE, "mean")
        axes.set(xlim=(0, highest), ylim=(0, highest))
        axes.set_aspect("equal")
        axes.set_title(lead, fontsize=10, fontweight="bold")
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="upper left")
    figure.supxlabel("true amplitude (mV)", fontsize=10)
    figure.supylabel("reconstructed amplitude (mV)", fontsize=10)
    save_figure(figure, path)


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, label: str) -> None:
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    axes.scatter(x, y, s=7, color=colour, alpha=0.45, linewidths=0.0)
    if len(x) >= 2 and np.ptp(x) > 0.0:
        slope, offset = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, offset + slope * ends, color=colour, linewidth=1.5, label=f"{label}, slope {slope:.2f}")
