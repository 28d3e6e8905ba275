"""How work grows with its size: points, slopes on logarithmic axes, a table and a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, StrMethodFormatter

from einthoven.report.figures import COLOURS, new_figure, save_figure
from einthoven.report.tables import markdown_table, write_csv
from einthoven.run.files import write_text

GROWTH = "growth"
"""Name of the part of the benchmark."""

POINTS = ["work", "axis", "points"]
"""Columns of measurements at several sizes."""

AXES: dict[str, str] = {
    "records": "records",
    "leads": "leads",
    "seconds": "length (s)",
    "length": "length (samples at 100 Hz)",
    "samples": "samples of the posterior",
    "workers": "workers",
}
"""Sizes that grow, and what the picture calls them."""


def growth_points(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Lists measured points.

    Args:
        found: For each work and size: `work`, `axis` and `points`, each with `value`, `seconds`, `n_records`,
            `peak_memory_mb` and, where something was written, `n_bytes`.

    Returns:
        One row a point: columns `work`, `axis`, `value`, `seconds`, `n_records`, `seconds_per_record`,
        `peak_memory_mb`, `n_bytes` (NaN where nothing was written).
    """
    rows = [
        {
            "work": one["work"],
            "axis": one["axis"],
            "value": float(point["value"]),
            "seconds": float(point["seconds"]),
            "n_records": int(point["n_records"]),
            "seconds_per_record": float(point["seconds"]) / int(point["n_records"]),
            "peak_memory_mb": float(point["peak_memory_mb"]),
            "n_bytes": float(point.get("n_bytes", np.nan)),
        }
        for one in found
        for point in one["points"]
    ]
    return pd.DataFrame(rows)


def fit_slopes(points: pd.DataFrame) -> pd.DataFrame:
    """Fits how the time of each work grows with each size: time ~ size^slope, by least squares of the logarithms.

    Args:
        points: As `growth_points` returns them.

    Returns:
        One row a work and size: columns `work`, `axis`, `smallest`, `largest` (values), `slope` (1: proportional, 0:
        the size costs nothing, -1 for workers: ideal), `seconds_per_record` at the largest, `memory_mb` at the
        largest, and `memory_mb_per_unit`, by how much the peak of memory rose from the smallest to the largest, for
        each unit; the slope is NaN where fewer than two sizes were measured.
    """
    rows = []
    for (work, axis), group in points.groupby(["work", "axis"], sort=False):
        group = group.sort_values("value")
        first, last = group.iloc[0], group.iloc[-1]
        few = len(group) < 2
        slope = np.nan if few else np.polyfit(np.log(group["value"]), np.log(group["seconds"]), 1)[0]
        rise = np.nan if few else (last["peak_memory_mb"] - first["peak_memory_mb"]) / (last["value"] - first["value"])
        rows.append(
            {
                "work": work,
                "axis": axis,
                "smallest": first["value"],
                "largest": last["value"],
                "slope": float(slope),
                "seconds_per_record": last["seconds_per_record"],
                "memory_mb": last["peak_memory_mb"],
                "memory_mb_per_unit": float(rise),
            }
        )
    return pd.DataFrame(rows)


def growth_table(slopes: pd.DataFrame) -> str:
    """Writes the slopes as Markdown."""
    header = [
        "work",
        "grows with",
        "from - to",
        "slope of time",
        "seconds per record at the largest",
        "peak memory there (MB)",
        "of it per unit (MB)",
    ]
    cells = [
        [
            str(row["work"]),
            AXES.get(str(row["axis"]), str(row["axis"])),
            f"{row['smallest']:g} - {row['largest']:g}",
            _number(row["slope"], 2),
            f"{row['seconds_per_record']:.3g}",
            _number(row["memory_mb"], 0),
            "-" if row["axis"] == "workers" else _number(row["memory_mb_per_unit"], 2),
        ]
        for _, row in slopes.iterrows()
    ]
    return markdown_table(header, cells)


def draw_growth(points: pd.DataFrame, slopes: pd.DataFrame, path: Path | str) -> None:
    """Draws time against each size on logarithmic axes, one panel a size, with the fitted slopes in the legends.

    Args:
        points: As `growth_points` returns them.
        slopes: As `fit_slopes` returns them.
        path: File to write.
    """
    axes_names = [axis for axis in AXES if axis in set(points["axis"])]
    works = list(dict.fromkeys(points["work"]))
    n_columns = min(3, len(axes_names))
    n_rows = -(-len(axes_names) // n_columns)
    figure = new_figure(4.6 * n_columns, 3.9 * n_rows)
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for panel, axis in zip(panels, axes_names, strict=False):
        for work in works:
            group = points[(points["work"] == work) & (points["axis"] == axis)].sort_values("value")
            if group.empty:
                continue
            slope = slopes[(slopes["work"] == work) & (slopes["axis"] == axis)]["slope"].iloc[0]
            colour = COLOURS[works.index(work) % len(COLOURS)]
            label = f"{work} ({_number(slope, 2)})"
            panel.plot(group["value"], group["seconds"], "o-", color=colour, markersize=4.0, linewidth=1.3, label=label)
        values = sorted(set(points[points["axis"] == axis]["value"]))
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.minorticks_off()
        panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.set_xticks(values, [f"{value:g}" for value in values], fontsize=8, rotation=30)
        panel.set_xlabel(AXES[axis])
        panel.set_ylabel("seconds")
        panel.grid(alpha=0.3, which="both")
        panel.legend(fontsize=7, frameon=False, title="work (slope)", title_fontsize=7)
    for panel in panels[len(axes_names) :]:
        panel.set_axis_off()
    save_figure(figure, path)


def write_growth(points: pd.DataFrame, folder: Path, note: str) -> str:
    """Writes `growth.csv` (points), `growth_slopes.csv`, `growth.md` and `growth.png`.

    Args:
        points: As `growth_points` returns them.
        folder: Where to write.
        note: What they were measured on.

    Returns:
        The Markdown table, with the note.
    """
    slopes = fit_slopes(points)
    write_csv(points, folder / "growth.csv")
    write_csv(slopes, folder / "growth_slopes.csv")
    draw_growth(points, slopes, folder / "growth.png")
    markdown = f"{growth_table(slopes)}\n- {note}\n"
    write_text(folder / "growth.md", markdown)
    return markdown


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"
