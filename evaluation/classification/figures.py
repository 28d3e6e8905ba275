"""Pictures of a classifier's scores."""

from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.report.figures import COLOURS, new_figure, save_figure


def draw_class_scores(path: Path | str, table: pd.DataFrame, metric: str, label: str) -> None:
    """Draws a metric of each class, with its interval, for each data set; frequent classes on top.

    The table has a row per data set, class and metric: `dataset`, `class`, `metric`, `value`, `lower`, `upper`,
    `n_positives`; `label` is what the axis says.
    """
    rows = table[table["metric"] == metric]
    counts = rows.groupby("class", sort=False)["n_positives"].max().sort_values(kind="stable")
    datasets = list(dict.fromkeys(rows["dataset"]))
    figure = new_figure(7.0, 1.5 + 0.25 * max(len(counts), 3))
    axes = figure.add_subplot()
    places = pd.Series(np.arange(len(counts)), index=counts.index)
    for number, dataset in enumerate(datasets):
        found = rows[rows["dataset"] == dataset]
        at = places[found["class"]].to_numpy() + 0.6 * ((number + 0.5) / len(datasets) - 0.5)
        colour = COLOURS[number % len(COLOURS)]
        axes.hlines(at, found["lower"], found["upper"], color=colour, linewidth=1.0, alpha=0.6)
        axes.plot(found["value"], at, "o", color=colour, markersize=3.5, label=dataset)
    axes.set_yticks(np.arange(len(counts)), [f"{name} ({count})" for name, count in counts.items()], fontsize=8)
    axes.set_ylim(-0.6, max(len(counts), 1) - 0.4)
    axes.set_xlabel(f"{label}, 95 % intervals over records (in brackets: positive records)")
    axes.axvline(0.5, color="0.7", linewidth=0.8, zorder=0)
    axes.grid(axis="x", alpha=0.3)
    if datasets:
        axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=2, frameon=False)
    save_figure(figure, path)
