"""The benchmark's table, how time and memory scale with the size of the work, and a picture of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, StrMethodFormatter

from einthoven.report.figures import COLOURS, new_figure, save_figure
from einthoven.report.tables import markdown_table, write_csv
from einthoven.run.files import write_text


def write_report(table: pd.DataFrame, folder: Path, note: str) -> str:
    """Writes `benchmark.csv`, `benchmark.md` and, where something grew, `scaling.csv` and `scaling.png`.

    Of a table as `measure` returns it. Returns the Markdown: a table for each part, one of the slopes, and the note,
    what was measured on.
    """
    write_csv(table, folder / "benchmark.csv")
    parts = [describe_rows(rows.drop(columns="part")) for _, rows in table.groupby("part", sort=False)]
    slopes = fit_slopes(table)
    if not slopes.empty:
        write_csv(slopes, folder / "scaling.csv")
        _draw_scaling(table, slopes, folder / "scaling.png")
        parts.append(describe_rows(slopes))
    text = "\n".join([*parts, f"- {note}\n"])
    write_text(folder / "benchmark.md", text)
    return text


SLOPES = ["case", "axis", "smallest", "largest", "slope", "seconds_per_record", "memory_mb", "memory_mb_per_unit"]
"""Columns of the fitted slopes."""


def fit_slopes(table: pd.DataFrame) -> pd.DataFrame:
    """Fits how time grows with each size: time ~ size^slope, by least squares of the logarithms.

    Returns:
        One row for all that was measured at two sizes at least: columns `case`, `axis`, `smallest`, `largest` (sizes),
        `slope` (1: proportional, 0: the size costs nothing, -1 for workers: ideal), and of the largest
        `seconds_per_record`, `memory_mb` and `memory_mb_per_unit`, by how much the peak rose for each unit of size.
    """
    rows = []
    measured = table.reindex(columns=[*table.columns.union(["n_records", "seconds", "peak_memory_mb"])])
    measured = measured.dropna(subset=["size", "seconds"])
    for (_, case, axis), group in measured.groupby(["part", "case", "axis"], sort=False):
        group = group.sort_values("size")
        first, last = group.iloc[0], group.iloc[-1]
        if len(group) > 1:
            slope = float(np.polyfit(np.log(group["size"]), np.log(group["seconds"]), 1)[0])
            per_record, memory = last["seconds"] / last["n_records"], last["peak_memory_mb"]
            per_unit = (memory - first["peak_memory_mb"]) / (last["size"] - first["size"])
            rows.append((case, axis, first["size"], last["size"], slope, per_record, memory, per_unit))
    return pd.DataFrame(rows, columns=SLOPES)


def _draw_scaling(table: pd.DataFrame, slopes: pd.DataFrame, path: Path) -> None:
    """Draws time against each size on logarithmic axes, one panel a size, with the slopes in the legends."""
    axes = list(dict.fromkeys(slopes["axis"]))
    columns = min(3, len(axes))
    rows = -(-len(axes) // columns)
    figure = new_figure(4.6 * columns, 3.9 * rows)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel, axis in zip(panels, axes, strict=False):
        here = table[(table["axis"] == axis) & table["seconds"].notna()]
        for number, (case, group) in enumerate(here.groupby("case", sort=False)):
            slope = slopes[(slopes["case"] == case) & (slopes["axis"] == axis)]["slope"]
            label = f"{case} ({slope.iloc[0]:.2f})" if len(slope) else str(case)
            group = group.sort_values("size")
            panel.plot(group["size"], group["seconds"], "o-", color=COLOURS[number % len(COLOURS)], label=label)
        sizes = sorted(set(here["size"]))
        panel.set(xscale="log", yscale="log", xlabel=axis.replace("_", " "), ylabel="time (s)")
        panel.minorticks_off()
        panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.set_xticks(sizes, [f"{size:g}" for size in sizes], fontsize=8, rotation=30)
        panel.grid(alpha=0.3, which="both")
        panel.legend(fontsize=7, frameon=False, title="case (slope)", title_fontsize=7)
    for panel in panels[len(axes) :]:
        panel.set_axis_off()
    save_figure(figure, path)


def describe_rows(table: pd.DataFrame) -> str:
    """Returns rows of a table as `measure` returns it, in Markdown; columns without a value are left out."""
    table = table.mask(table == "").dropna(axis="columns", how="all")
    cells: Sequence[Sequence[str]] = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return markdown_table([str(column).replace("_", " ") for column in table.columns], cells)


def _cell(value: object) -> str:
    if value is None or value != value:  # not measured
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100.0 or value.is_integer() else f"{value:.3g}"
