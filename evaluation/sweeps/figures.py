"""The picture of a sweep: its objective against each setting, and over two settings as a map."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from einthoven.report.figures import new_figure, save_figure
from einthoven.report.sheet import ORANGE

PER_ROW = 3


def draw_sweep(table: pd.DataFrame, parameters: Sequence[str], objective: str, name: str, path: Path) -> None:
    """Draws the objective of each job against each setting; the best job, the first, is marked.

    Of two settings, jobs with the same value of the other one share a line; two that are numbers also get a map.

    Args:
        table: One row a job, the best first; jobs without a value of the objective are left out.
        parameters: Columns of the settings.
        objective: Column of the objective.
        name: Its name, with the unit.
        path: File to write.
    """
    table = table[np.isfinite(table[objective])]
    has_map = len(parameters) == 2 and all(pd.api.types.is_numeric_dtype(table[key]) for key in parameters)
    n_panels = len(parameters) + has_map
    n_rows, n_columns = -(-n_panels // PER_ROW), min(n_panels, PER_ROW)
    figure = new_figure(4.2 * n_columns, 3.6 * n_rows)
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axes, key in zip(panels, parameters, strict=False):
        others = [other for other in parameters if other != key] if len(parameters) == 2 else []
        for value, rows in table.groupby(others[0]) if others else [("", table)]:
            rows = rows.sort_values(key, kind="stable")
            label = f"{value:.4g}" if isinstance(value, float) else str(value)
            axes.plot(rows[key], rows[objective], "o-" if others else "o", markersize=4.0, linewidth=1.2, label=label)
        if others and table[others[0]].nunique() < len(table):
            axes.legend(title=_short(others[0]), fontsize=7, title_fontsize=7, frameon=False)
        axes.plot(table[key].iloc[:1], table[objective].iloc[:1], "*", color=ORANGE, markersize=14.0, zorder=5)
        axes.set_title("star: the best job", fontsize=8, loc="right", color=ORANGE)
        axes.set(xlabel=_short(key), ylabel=name, xscale=_scale(table[key]))
        axes.grid(alpha=0.3)
    if has_map:
        _draw_map(figure, panels[n_panels - 1], table, parameters, objective, name)
    for axes in panels[n_panels:]:
        axes.set_axis_off()
    save_figure(figure, path)


def _draw_map(figure: Figure, axes: Axes, table: pd.DataFrame, keys: Sequence[str], objective: str, name: str) -> None:
    """Draws the objective as colours over two settings, interpolated between the jobs."""
    across, up, values = (table[key].to_numpy(dtype=np.float64) for key in (*keys, objective))
    spread = np.stack([across - across.mean(), up - up.mean()])
    if len(values) >= 4 and np.linalg.matrix_rank(spread) == 2:
        axes.tricontourf(across, up, values, levels=12, cmap="viridis_r", alpha=0.85)
    shown = axes.scatter(across, up, c=values, cmap="viridis_r", edgecolors="white", s=45, zorder=4)
    axes.plot(across[:1], up[:1], "*", color=ORANGE, markersize=16.0, markeredgecolor="white", zorder=5)
    axes.margins(0.06)
    (x, x_scale), (y, y_scale) = ((_short(key), _scale(table[key])) for key in keys)
    axes.set(xlabel=x, ylabel=y, xscale=x_scale, yscale=y_scale)
    figure.colorbar(shown, ax=axes, label=name)


def _scale(values: "pd.Series[float] | pd.Series[str]") -> str:
    """Names the scale of an axis: logarithmic where numbers span decades."""
    if not pd.api.types.is_numeric_dtype(values):
        return "linear"  # of names, at whole numbers
    low, high = float(values.min()), float(values.max())
    return "log" if low > 0.0 and high > 20.0 * low else "linear"


def _short(key: str) -> str:
    """The last two parts of a key."""
    return ".".join(key.split(".")[-2:])
