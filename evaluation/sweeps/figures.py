"""The picture of a sweep: its objective against each setting, and over two settings as a map."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from einthoven.report.ecg_paper import BLUE, GREY, ORANGE
from einthoven.report.figures import COLOURS, new_figure, save_figure

PER_ROW = 3
FEW = 7
"""Up to so many values of a setting get a line of their own."""


def draw_sweep(table: pd.DataFrame, parameters: Sequence[str], objective: str, name: str, path: Path) -> None:
    """Draws the objective of each job against each setting; the best job, the first, is marked.

    Where two settings differ and the other one has few values, its jobs are joined by a line; two settings that are
    numbers also get a map.

    Args:
        table: One row a job, the best first.
        parameters: Columns of the settings.
        objective: Column of the objective; jobs without a value are left out.
        name: Its name, with the unit.
        path: File to write.
    """
    table = table[np.isfinite(table[objective])]
    numeric = [key for key in parameters if pd.api.types.is_numeric_dtype(table[key])]
    has_map = len(parameters) == len(numeric) == 2
    n_panels = len(parameters) + has_map
    n_rows, n_columns = -(-n_panels // PER_ROW), min(n_panels, PER_ROW)
    figure = new_figure(4.2 * n_columns, 3.6 * n_rows)
    panels = figure.subplots(n_rows, n_columns, squeeze=False).flat
    for axes, key in zip(panels, parameters, strict=False):
        others = [other for other in parameters if other != key]
        _draw_parameter(axes, table, key, others[0] if len(others) == 1 else None, objective)
        axes.set_ylabel(name)
    if has_map:
        _draw_map(figure, panels[n_panels - 1], table, numeric, objective, name)
    for axes in list(panels)[n_panels:]:
        axes.set_axis_off()
    save_figure(figure, path)


def _draw_parameter(axes: Axes, table: pd.DataFrame, key: str, other: str | None, objective: str) -> None:
    """Draws the objective against one setting; jobs with the same value of the other one share a line."""
    places, labels = _places(table[key])
    values = table[objective].to_numpy()
    groups = [] if other is None else list(dict.fromkeys(table[other].sort_values()))
    if 1 < len(groups) <= FEW and len(groups) < len(table):
        for number, group in enumerate(groups):
            rows = np.flatnonzero(table[other] == group)
            rows = rows[np.argsort(places[rows], kind="stable")]
            colour = COLOURS[number % len(COLOURS)]
            label = f"{group:.4g}" if isinstance(group, float) else str(group)
            axes.plot(places[rows], values[rows], "o-", color=colour, markersize=4.0, linewidth=1.2, label=label)
        axes.legend(title=_short(str(other)), fontsize=7, title_fontsize=7, frameon=False)
    else:
        axes.plot(places, values, "o", color=BLUE, markersize=5.0, alpha=0.8)
    axes.plot(places[:1], values[:1], "*", color=ORANGE, markersize=14.0, zorder=5)
    if labels is not None:
        axes.set_xticks(range(len(labels)), labels, rotation=20, ha="right", fontsize=8)
    else:
        _scale(axes, "x", places)
    axes.set_xlabel(_short(key))
    axes.grid(alpha=0.3)


def _draw_map(figure: Figure, axes: Axes, table: pd.DataFrame, keys: Sequence[str], objective: str, name: str) -> None:
    """Draws the objective as colours over two settings, interpolated between the jobs."""
    across, up = (table[key].to_numpy(dtype=np.float64) for key in keys)
    values = table[objective].to_numpy(dtype=np.float64)
    planes = [np.log(places) if _spans_decades(places) else places for places in (across, up)]
    spread = np.stack([plane - plane.mean() for plane in planes])
    if len(values) >= 4 and np.linalg.matrix_rank(spread) == 2:
        axes.tricontourf(across, up, values, levels=12, cmap="viridis_r", alpha=0.85)
    shown = axes.scatter(across, up, c=values, cmap="viridis_r", edgecolors="white", linewidths=0.8, s=45, zorder=4)
    axes.plot(across[:1], up[:1], "*", color=ORANGE, markersize=16.0, markeredgecolor="white", zorder=5)
    axes.use_sticky_edges = False
    axes.margins(0.06)
    _scale(axes, "x", across)
    _scale(axes, "y", up)
    axes.set_xlabel(_short(keys[0]))
    axes.set_ylabel(_short(keys[1]))
    axes.tick_params(color=GREY)
    figure.colorbar(shown, ax=axes, label=name)


def _places(values: pd.Series) -> tuple[np.ndarray, list[str] | None]:
    """Where the jobs stand on an axis, and the names of its ticks where the setting is no number."""
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=np.float64), None
    names = sorted({str(value) for value in values})
    return np.array([names.index(str(value)) for value in values], dtype=np.float64), names


def _scale(axes: Axes, name: Literal["x", "y"], places: np.ndarray) -> None:
    """Makes an axis logarithmic where the numbers span decades, and names the numbers where there are few."""
    axis, few = (axes.xaxis if name == "x" else axes.yaxis), sorted(set(places.tolist()))
    if _spans_decades(places):
        axes.set(**{f"{name}scale": "log"})
    if len(few) <= FEW:
        axis.set_ticks(few, [f"{value:g}" for value in few], minor=False)
        axis.set_ticks([], minor=True)


def _spans_decades(places: np.ndarray) -> bool:
    return bool(len(places)) and bool(places.min() > 0.0 and places.max() / places.min() > 20.0)


def _short(key: str) -> str:
    """The last two parts of a key."""
    return ".".join(key.split(".")[-2:])
