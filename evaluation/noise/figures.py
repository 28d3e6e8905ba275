"""Figures of noise scores: histograms of clean against noisy leads, and scores against the signal-to-noise ratio."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from einthoven.report.figures import COLOURS, new_figure, save_figure
from einthoven.report.sheet import BLUE, ORANGE
from evaluation.noise.comparisons import DoseCurve, Histogram
from preprocessing.cohorts.nstdb import NOISE_TYPES

MAX_BINS, MIN_BINS = 60, 16


def draw_histograms(
    path: Path | str, histograms: Sequence[Histogram], title: str, names: tuple[str, str] = ("clean", "noisy")
) -> None:
    """Draws the scores of clean and noisy leads, one row of panels per method; `names` is what the groups are called.

    The axis spans the inner 99 % of both groups; a bar at its left end stands for what lies below it and for unusable
    leads.
    """
    methods = list(dict.fromkeys(histogram.method for histogram in histograms))
    rows = [[histogram for histogram in histograms if histogram.method == method] for method in methods]
    n_columns = max(len(row) for row in rows)
    figure = new_figure(3.6 * n_columns + 0.6, 2.5 * len(rows) + 0.8)
    figure.suptitle(title, fontsize=11)
    for place, row in enumerate(rows):
        every = np.concatenate([np.concatenate([panel.clean, panel.noisy]) for panel in row])
        smallest = min(min(len(panel.clean), len(panel.noisy)) for panel in row)
        edges = _edges(every[np.isfinite(every)], round(2 * smallest**0.5))
        for column, panel in enumerate(row):
            axes = figure.add_subplot(len(rows), n_columns, place * n_columns + column + 1)
            for values, colour, name in ((panel.clean, BLUE, names[0]), (panel.noisy, ORANGE, names[1])):
                shares = np.full(len(values), 100.0 / max(len(values), 1))
                shown = np.clip(values, edges[0], edges[-1])
                label = f"{name} ({len(values)})"
                axes.hist(shown, edges, weights=shares, color=colour, alpha=0.3, histtype="stepfilled")
                axes.hist(shown, edges, weights=shares, color=colour, histtype="step", linewidth=1.2, label=label)
            axes.set_title(f"{panel.group}: AUROC {panel.auroc:.3f} (chance 0.5)", fontsize=9)
            axes.tick_params(labelsize=8)
            axes.grid(alpha=0.3)
            axes.legend(fontsize=7)
            axes.set_xlabel(f"score of {panel.method} (higher is cleaner)", fontsize=8)
            if column == 0:
                axes.set_ylabel("share of its group (%)", fontsize=8)
    save_figure(figure, path)


def _edges(values: np.ndarray, n_bins: int) -> list[float]:
    """Returns the edges of the bins over the inner 99 % of the values."""
    low, high = np.percentile(values, [0.5, 99.5]) if len(values) else (0.0, 1.0)
    margin = 0.02 * (high - low) or 0.5
    return np.linspace(low - margin, high + margin, int(np.clip(n_bins, MIN_BINS, MAX_BINS)) + 1).tolist()


def draw_dose_response(path: Path | str, curves: Sequence[DoseCurve], title: str) -> None:
    """Draws mean scores against the signal-to-noise ratio, with 95 % intervals over records, one panel per method."""
    methods = list(dict.fromkeys(curve.method for curve in curves))
    n_columns = min(3, len(methods))
    n_rows = -(-len(methods) // n_columns)
    figure = new_figure(4.2 * n_columns, 3.3 * n_rows + 0.5)
    figure.suptitle(title, fontsize=11)
    for place, method in enumerate(methods):
        axes = figure.add_subplot(n_rows, n_columns, place + 1)
        for number, curve in enumerate(curve for curve in curves if curve.method == method):
            colour = COLOURS[number % len(COLOURS)]
            lower, upper = ([getattr(mean, edge) for mean in curve.means] for edge in ("lower", "upper"))
            middle = [mean.estimate for mean in curve.means]
            axes.fill_between(curve.snr_db, lower, upper, color=colour, alpha=0.25, linewidth=0.0)
            axes.plot(
                curve.snr_db,
                middle,
                color=colour,
                marker="o",
                markersize=4,
                linewidth=1.5,
                label=NOISE_TYPES.get(curve.noise_type, curve.noise_type),
            )
            axes.set_xticks(curve.snr_db)
        axes.set_title(method, fontsize=9)
        axes.set_xlabel("signal-to-noise ratio (dB)", fontsize=8)
        axes.set_ylabel("mean score (higher is cleaner)", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save_figure(figure, path)
