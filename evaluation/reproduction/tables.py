"""The tables of a reproduction: the results of its evaluations, one row a method, as Markdown, CSV and LaTeX."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from einthoven.report.tables import Row, format_interval, latex_table, markdown_table, write_csv
from einthoven.run.files import write_text
from einthoven.statistics import Interval
from evaluation.denoising.scores import METRICS as DENOISING_METRICS
from evaluation.generation.tables import ROWS as GENERATION_ROWS
from evaluation.inpainting.scores import METRICS as INPAINTING_METRICS
from evaluation.noise.comparisons import PTBXL_SETS
from evaluation.reproduction.plan import TABLES, Plan, Section

REPORTED = Path(__file__).with_name("reported_results.csv")
"""What papers report: table, method, job, reported, source."""
COLUMNS = ("table", "section", "part", "method", "metric", "value", "lower", "upper", "n_records")

Reader = Callable[[Path], pd.DataFrame]


@dataclass(frozen=True)
class Grid:
    """A table to show.

    Attributes:
        title: What it is about.
        header: Names of the columns; the first one holds the methods.
        rows: Cells of each row.
        section: The section that it belongs to; None for what papers report.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    section: Section | None = None


@dataclass(frozen=True)
class Kind:
    """How the results of a kind of section are read and shown.

    Attributes:
        read: From a run folder to rows with the columns `COLUMNS` but for the table and the section.
        columns: The metrics to show, in order.
    """

    read: Reader
    columns: tuple[Row, ...]


def _chosen(rows: Sequence[Row], *metrics: str) -> tuple[Row, ...]:
    by_metric = {row.metric: row for row in rows}
    return tuple(by_metric[metric] for metric in metrics)


def read_methods(folder: Path) -> pd.DataFrame:
    """Reads an evaluation with one row a method and metric: of reconstructions, or of generated ECGs."""
    return pd.read_csv(folder / "table.csv").assign(part="")


def read_denoising(folder: Path) -> pd.DataFrame:
    """Reads an evaluation of `evaluation.evaluate_denoising`; a part is a noise and a level."""
    table = pd.read_csv(folder / "table.csv")
    return table.assign(part=table["noise_type"] + ", " + table["level"])


def read_noise(folder: Path) -> pd.DataFrame:
    """Reads an evaluation of `evaluation.evaluate_noise`; a part is a set of leads, a metric ends with its group."""
    table = pd.read_csv(folder / "table.csv", keep_default_na=True)
    metric = (table["metric"] + " " + table["group"].fillna("")).str.strip()
    n_records = table["n_clean"] + table["n_noisy"].fillna(0)
    part = [PTBXL_SETS.get(name, name) for name in table["set"]]
    return table.assign(part=part, metric=metric, n_records=n_records)


def read_classification(folder: Path) -> pd.DataFrame:
    """Reads the scores of `evaluation.downstream_classifier`; a method is what was tested on."""
    return pd.read_csv(folder / "scores.csv").rename(columns={"dataset": "method"}).assign(part="")


def read_comparison(folder: Path) -> pd.DataFrame:
    """Reads a comparison of `evaluation.downstream_classifier`; a metric has its statistic behind it."""
    table = pd.read_csv(folder / "comparison.csv")
    method = table["dataset"] + " ECGs, trained on " + table["classifier"]
    method += ", against real ECGs, trained on " + table["reference_classifier"]
    return table.assign(part="", method=method, metric=table["metric"] + " " + table["statistic"])


_NOISE_COLUMNS = tuple(
    Row(f"{metric} {group}", f"{label}, {group}", 3)
    for metric, label in (("auroc", "AUROC"), ("w1", "W1"))
    for group in ("static", "baseline", "burst", "macro average", "all records", "records without unusable leads")
)

KINDS: dict[str, Kind] = {
    "reconstruction": Kind(
        read_methods,
        _chosen(
            INPAINTING_METRICS,
            *("mae_mean", "rmse_mean", "mae_sample", "rmse_sample", "pearson_mean", "crps", "crps_below_ridge"),
            *("coverage", "amplitude_variance_ratio_sample", "network_calls", "seconds"),
        ),
    ),
    "quality": Kind(read_methods, GENERATION_ROWS),
    "denoising": Kind(
        read_denoising,
        _chosen(
            DENOISING_METRICS,
            *("output_snr", "snr_above_best", "ssd", "mad", "prd", "cosine", "rmse", "crps", "coverage"),
            *("network_calls", "seconds"),
        ),
    ),
    "noise": Kind(read_noise, _NOISE_COLUMNS),
    "classification": Kind(
        read_classification,
        (Row("macro_auroc", "macro AUROC", 3), Row("macro_average_precision", "macro average precision", 3)),
    ),
    "comparison": Kind(
        read_comparison,
        tuple(
            Row(f"{metric} {statistic}", f"{label}, {statistic}", 3)
            for metric, label in (
                ("macro_auroc", "macro AUROC"),
                ("macro_average_precision", "macro average precision"),
            )
            for statistic in ("value", "reference", "ratio", "difference")
        ),
    ),
}
"""Kinds of sections."""


def read_section(plan: Plan, section: Section) -> pd.DataFrame | None:
    """Reads the results of a section.

    Args:
        plan: The plan.
        section: The section.

    Returns:
        Rows with `part`, `method`, `metric`, `value`, `lower`, `upper` and, where known, `n_records`; None while a
        stage of it has no results.
    """
    parts = []
    for label, name in section.stages.items():
        stage = plan.stages[name]
        if not stage.result.is_file():
            continue
        table = KINDS[section.kind].read(stage.folder)
        if label:
            table = table.assign(method=f"{label}: " + table["method"].astype(str))
        parts.append(table)
    return pd.concat(parts, ignore_index=True) if parts else None


def make_grids(section: Section, table: pd.DataFrame) -> list[Grid]:
    """Makes a grid of each part of a section: a row a method, a column a metric, 95 % intervals in brackets.

    Args:
        section: The section.
        table: Its results.
    """
    grids = []
    for part, rows in table.groupby("part", sort=False):
        columns = {row.metric: row for row in KINDS[section.kind].columns if row.metric in set(rows["metric"])}
        if not columns:  # whatever else was measured, such as the dose response of noise scores
            columns = {metric: Row(metric, metric, 3) for metric in rows["metric"].unique()}
        # What single samples give is not shown of methods without samples.
        repeated = rows["method"].isin(_point_estimates(rows)) & rows["metric"].str.contains("sample")
        rows = rows[rows["metric"].isin(list(columns)) & ~repeated]
        intervals = rows[["value", "lower", "upper"]].astype(float).itertuples(index=False)
        cells = [
            format_interval(Interval(*interval), columns[metric].digits)
            for metric, interval in zip(rows["metric"], intervals, strict=True)
        ]
        shown = (
            rows.assign(cell=cells)
            .drop_duplicates(["method", "metric"], keep="last")
            .pivot(index="method", columns="metric", values="cell")
        )
        shown = shown.reindex(index=rows["method"].unique(), columns=list(columns))
        shown = shown.mask(shown == "-").dropna(how="all").dropna(how="all", axis="columns").fillna("-")
        header = ("method", *(columns[metric].label for metric in shown.columns))
        title = ": ".join(filter(None, (section.title, str(part))))
        grids.append(Grid(title, header, tuple(shown.itertuples(name=None)), section))
    return grids


def reported_grid(table: str) -> Grid | None:
    """Returns what papers report for a table's job; None where nothing is known."""
    rows = pd.read_csv(REPORTED, keep_default_na=False)
    rows = rows[rows["table"] == table]
    if rows.empty:
        return None
    columns = ["method", "job", "reported", "source"]
    cells = tuple(tuple(str(cell) for cell in row) for row in rows[columns].itertuples(index=False))
    return Grid("as papers report it, on other records or by another protocol", tuple(columns), cells)


def write_tables(plan: Plan, folder: Path) -> dict[str, list[Grid]]:
    """Writes each table that has results as `<table>.md`, `<table>.csv` and `<table>.tex`.

    Args:
        plan: The plan.
        folder: Where to write.

    Returns:
        The grids of each table that has any.
    """
    written: dict[str, list[Grid]] = {}
    for table, sections in plan.sections.items():
        grids: list[Grid] = []
        numbers = []
        for section in sections:
            found = read_section(plan, section)
            if found is not None:
                grids += make_grids(section, found)
                named = found.assign(table=table, section=section.title)
                numbers.append(named[[column for column in COLUMNS if column in named]])
        if not grids:
            continue
        reported = reported_grid(table)
        grids += [replace(reported, title=f"{TABLES[table]}, {reported.title}")] if reported else []
        text = "\n".join(f"## {_headline(grid)}\n\n{markdown_table(grid.header, grid.rows)}" for grid in grids)
        write_text(folder / f"{table}.md", f"# {TABLES[table]}\n\n{text}")
        write_csv(pd.concat(numbers, ignore_index=True), folder / f"{table}.csv")
        tables = [
            latex_table(grid.header, grid.rows, _headline(grid), f"tab:{table}-{number}")
            for number, grid in enumerate(grids, start=1)
        ]
        write_text(folder / f"{table}.tex", "\n".join(tables))
        written[table] = grids
    return written


def _point_estimates(rows: pd.DataFrame) -> set[str]:
    """Names the methods without samples: those without a band, where others have one."""
    covered = rows.loc[(rows["metric"] == "coverage") & rows["value"].notna(), "method"]
    return set(rows["method"]) - set(covered) if (rows["metric"] == "coverage").any() else set()


def _headline(grid: Grid) -> str:
    return grid.title[:1].upper() + grid.title[1:]
