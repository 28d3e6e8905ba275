"""The report on a classifier: its probabilities, their scores on each data set, and comparisons of runs, as files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from einthoven.checked_files import read_csv, read_table
from einthoven.report.figures import COLOURS, new_figure, save_figure
from einthoven.report.tables import format_row, markdown_table
from evaluation.classification.classifier import Classifier
from evaluation.classification.data_sets import REAL
from evaluation.classification.scores import (
    AUROC,
    AVERAGE_PRECISION,
    MACRO,
    METRICS,
    Predictions,
    compare_predictions,
    score_predictions,
)
from evaluation.report import Report, bullets

PREDICTIONS = "predictions.parquet"
LABELS = {f"{MACRO}_{name}": f"macro {label}" for name, (label, _) in METRICS.items()}
INTERVALS = "in brackets 95 % bootstrap intervals over records"
NAMES = (
    "trained on generated ECGs, tested on real ones: TSTR; trained on real ECGs, tested on generated ones: TRTS "
    "(Esteban et al. 2017, arXiv 1706.02633)"
)


def write_report(
    classifier: Classifier,
    predictions: Mapping[str, Predictions],
    folder: Path,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> str:
    """Scores the predictions of a classifier by data set, and writes what was found; returns the Markdown table.

    Writes `predictions.parquet` (a row per data set, record and class: `classifier`, `dataset`, `ecg_id`, `class`,
    `label`, `probability`), `scores.csv` (macro averages: `dataset`, `metric`, `value`, `lower`, `upper`, `n_records`,
    `n_classes`), `per_class.csv`, `per_class.png` and `scores.md`. Exclusive classes have the average precision too.
    """
    metrics = _metrics(classifier.exclusive)
    found = [
        score_predictions(values, metrics, n_resamples, seed).assign(dataset=name)
        for name, values in predictions.items()
    ]
    scores = pd.concat(found, ignore_index=True)
    is_macro = scores["class"] == MACRO
    keys = ["value", "lower", "upper", "n_records"]
    macro = scores[is_macro].assign(metric=f"{MACRO}_" + scores["metric"])[["dataset", "metric", *keys, "n_classes"]]
    per_class = scores[~is_macro][["dataset", "class", "metric", *keys, "n_positives"]]
    _draw_class_scores(folder / "per_class.png", per_class, metrics[-1], METRICS[metrics[-1]][0])
    header = ["data set", *(LABELS[metric] for metric in dict.fromkeys(macro["metric"])), "records", "classes"]
    notes = bullets([f"classifier trained on: {classifier.describe()}", NAMES, INTERVALS])
    tables = {"scores.csv": macro, "per_class.csv": per_class, PREDICTIONS: _frame(classifier.describe(), predictions)}
    return Report(tables, f"{_grid(macro, ['dataset'], header)}\n{notes}").write(folder).markdown


def _draw_class_scores(path: Path | str, table: pd.DataFrame, metric: str, label: str) -> None:
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
    _draw_chance(axes, metric, counts, rows, places)
    axes.grid(axis="x", alpha=0.3)
    if datasets:
        axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=2, frameon=False)
    save_figure(figure, path)


def _draw_chance(
    axes: Axes, metric: str, counts: "pd.Series[int]", rows: pd.DataFrame, places: "pd.Series[int]"
) -> None:
    """Marks what guessing reaches: one half for an AUROC, the share of positive records for an average precision."""
    if metric == AUROC:
        axes.axvline(0.5, color="0.4", linewidth=1.0, linestyle="--", zorder=0, label="chance")
    elif metric == AVERAGE_PRECISION and len(counts):
        shares = counts / rows.groupby("class", sort=False)["n_records"].max().reindex(counts.index)
        axes.plot(shares, places, "|", color="0.4", markersize=9, zorder=0, label="chance (share of positive records)")


def compare_runs(paths: Sequence[Path | str], folder: Path, *, n_resamples: int = 1000, seed: int = 0) -> str:
    """Compares every data set of a run with the real ECGs of another, or of the same, record by record.

    Writes `comparison.csv` (`classifier`, `dataset`, `reference_classifier`, `reference`, `metric`, `statistic`,
    `value`, `lower`, `upper`, `n_records`, `n_classes`) and `comparison.md`, and returns the Markdown table.

    Args:
        paths: One or two run folders of `evaluation.downstream_classifier`; the last holds the reference.
        folder: Where to write.
        n_resamples: Number of bootstrap draws.
        seed: Seed of the draws.
    """
    if not 1 <= len(paths) <= 2:
        raise ValueError("compare takes one or two run folders: 'compare=[RUN,RUN_OF_THE_REFERENCE]'")
    name, first = _read_predictions(paths[0])
    reference_name, others = _read_predictions(paths[-1])
    reference = others[REAL]
    metrics = _metrics(AVERAGE_PRECISION in _scored(paths[0]))
    tables = [
        compare_predictions(values, reference, metrics, n_resamples, seed).assign(dataset=dataset)
        for dataset, values in first.items()
        if not (dataset == REAL and len({Path(path).resolve() for path in paths}) == 1)
    ]
    if not tables:
        raise ValueError(f"{paths[0]} holds predictions of real ECGs alone: give a second run to compare it with")
    table = pd.concat(tables, ignore_index=True)
    table = table.assign(classifier=name, reference_classifier=reference_name, reference=REAL)
    keys = ["classifier", "dataset", "reference_classifier", "reference", "metric", "statistic"]
    table = table[[*keys, "value", "lower", "upper", "n_records", "n_classes"]]
    header = [f"trained on {name}", "value", f"real ECGs, trained on {reference_name}", "ratio", "difference"]
    shown = table.assign(metric=table["metric"].map(LABELS))
    grid = _grid(shown, ["dataset", "metric"], [*header, "records", "classes"])
    notes = bullets([f"{INTERVALS}, both drawn together"])
    return Report({"comparison.csv": table}, f"{grid}\n{notes}").write(folder).markdown


def _read_predictions(path: Path | str) -> tuple[str, dict[str, Predictions]]:
    """Reads from a run folder what the classifier was trained on, and its predictions by data set."""
    file = Path(path) / PREDICTIONS
    if not file.is_file():
        raise ValueError(f"{path} holds no {PREDICTIONS}: give a finished run of evaluation.downstream_classifier")
    table = read_table(file, "run evaluation.downstream_classifier again")
    found = {}
    for dataset, rows in table.groupby("dataset", sort=False):
        classes = tuple(str(name) for name in dict.fromkeys(rows["class"]))
        shape = (-1, len(classes))
        found[str(dataset)] = Predictions(
            classes,
            rows["ecg_id"].to_numpy().reshape(shape)[:, 0],
            rows["label"].to_numpy().reshape(shape),
            rows["probability"].to_numpy().reshape(shape),
        )
    return str(table["classifier"].iloc[0]), found


def _metrics(with_precision: bool) -> tuple[str, ...]:
    return (AUROC, AVERAGE_PRECISION) if with_precision else (AUROC,)


def _scored(path: Path | str) -> set[str]:
    """Names the metrics in a run's scores."""
    return {str(name).removeprefix(f"{MACRO}_") for name in read_csv(Path(path) / "scores.csv")["metric"]}


def _frame(classifier: str, predictions: Mapping[str, Predictions]) -> pd.DataFrame:
    """Lays predictions out, one row per data set, record and class, records and classes in their order."""
    parts = []
    for name, found in predictions.items():
        n, k = found.probabilities.shape
        keys = {"ecg_id": np.repeat(found.ecg_ids, k), "class": np.tile(found.classes, n)}
        values = {"label": found.labels.ravel().astype(np.int8), "probability": found.probabilities.ravel()}
        parts.append(pd.DataFrame({"classifier": classifier, "dataset": name, **keys, **values}))
    return pd.concat(parts, ignore_index=True)


def _grid(table: pd.DataFrame, keys: list[str], header: Sequence[str]) -> str:
    """Writes a row a group of results, a column a result, and the numbers of records and classes."""
    rows = []
    for key, group in table.groupby(keys, sort=False):
        cells = [format_row(row, 3) for row in group.to_dict("records")]
        rows.append([", ".join(map(str, key)), *cells, *(str(group[n].iloc[0]) for n in ("n_records", "n_classes"))])
    return markdown_table(header, rows)
