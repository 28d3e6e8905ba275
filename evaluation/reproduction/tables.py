"""The tables of a reproduction: the results of its evaluations, one row a method, as Markdown, CSV and LaTeX."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Grid:
    """A table to show, methods in its first column, and the section that it belongs to; None: what papers report."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    section: Section | None = None

    @property
    def headline(self) -> str:
        """The title with a capital letter."""
        return self.title[:1].upper() + self.title[1:]


def _as_is(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(part="")


def _denoising(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(part=table["noise_type"] + ", " + table["level"])


def _noise(table: pd.DataFrame) -> pd.DataFrame:
    metric = (table["metric"] + " " + table["group"].fillna("")).str.strip()
    part = table["set"].map(lambda name: PTBXL_SETS.get(name, name))
    return table.assign(part=part, metric=metric, n_records=table["n_clean"] + table["n_noisy"].fillna(0))


def _classification(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={"dataset": "method"}).assign(part="")


def _comparison(table: pd.DataFrame) -> pd.DataFrame:
    method = table["dataset"] + " ECGs, trained on " + table["classifier"]
    method += ", against real ECGs, trained on " + table["reference_classifier"]
    return table.assign(part="", method=method, metric=table["metric"] + " " + table["statistic"])


def _chosen(rows: Sequence[Row], metrics: str) -> tuple[Row, ...]:
    by_metric = {row.metric: row for row in rows}
    return tuple(by_metric[metric] for metric in metrics.split())


def _in_parts(metrics: Sequence[tuple[str, str]], parts: Sequence[str]) -> tuple[Row, ...]:
    return tuple(Row(f"{key} {part}", f"{name}, {part}", 3) for key, name in metrics for part in parts)


_SCORES = (("auroc", "AUROC"), ("w1", "W1"))
_AUCS = (("macro_auroc", "macro AUROC"), ("macro_average_precision", "macro average precision"))
_GROUPS = ("static", "baseline", "burst", "macro average", "all records", "records without unusable leads")
_STATISTICS = ("value", "reference", "ratio", "difference")

_RECONSTRUCTION = (
    "mae_mean mae_median rmse_mean mae_sample rmse_sample pearson_mean crps crps_below_ridge coverage "
    "amplitude_variance_ratio_sample network_calls seconds"
)
_DENOISING = "output_snr snr_above_best ssd mad prd cosine rmse crps coverage network_calls seconds"

KINDS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], tuple[Row, ...]]] = {
    "reconstruction": (_as_is, _chosen(INPAINTING_METRICS, _RECONSTRUCTION)),
    "quality": (_as_is, GENERATION_ROWS),
    "denoising": (_denoising, _chosen(DENOISING_METRICS, _DENOISING)),
    "noise": (_noise, _in_parts(_SCORES, _GROUPS)),
    "classification": (_classification, tuple(Row(key, name, 3) for key, name in _AUCS)),
    "comparison": (_comparison, _in_parts(_AUCS, _STATISTICS)),
}
"""Kinds of sections: what makes the results of an evaluation rows with the columns `COLUMNS`, but for the table and the
section, and the metrics to show, in order."""


def _read_section(plan: Plan, section: Section) -> pd.DataFrame | None:
    """Reads the results of a section, as `KINDS` says; None while no stage of it has any."""
    parts = []
    for label, name in section.stages.items():
        if (result := plan.stages[name].result).is_file():
            table = KINDS[section.kind][0](pd.read_csv(result))
            parts.append(table.assign(method=f"{label}: " + table["method"].astype(str)) if label else table)
    return pd.concat(parts, ignore_index=True) if parts else None


def _make_grids(section: Section, table: pd.DataFrame) -> list[Grid]:
    """Makes a grid of each part of a section: a row a method, a column a metric, 95 % intervals in brackets."""
    grids = []
    for part, rows in table.groupby("part", sort=False):
        columns = {row.metric: row for row in KINDS[section.kind][1] if row.metric in set(rows["metric"])}
        if not columns:  # whatever else was measured, such as the dose response of noise scores
            columns = {metric: Row(metric, metric, 3) for metric in rows["metric"].unique()}
        # What single samples give is not shown of methods without samples.
        repeated = rows["method"].isin(_point_estimates(rows)) & rows["metric"].str.contains("sample")
        rows = rows[rows["metric"].isin(list(columns)) & ~repeated]
        intervals = rows[["value", "lower", "upper"]].astype(float).itertuples(index=False)
        digits = [columns[metric].digits for metric in rows["metric"]]
        cells = [format_interval(Interval(*one), n) for one, n in zip(intervals, digits, strict=True)]
        shown = rows.assign(cell=cells).drop_duplicates(["method", "metric"], keep="last")
        shown = shown.pivot(index="method", columns="metric", values="cell")
        shown = shown.reindex(index=rows["method"].unique(), columns=list(columns))
        shown = shown.mask(shown == "-").dropna(how="all").dropna(how="all", axis="columns").fillna("-")
        header = ("method", *(columns[metric].label for metric in shown.columns))
        title = ": ".join(filter(None, (section.title, str(part))))
        grids.append(Grid(title, header, tuple(shown.itertuples(name=None)), section))
    return grids


def reported_grid(table: str) -> Grid | None:
    """Returns what papers report for a table's job; None where nothing is known."""
    rows = pd.read_csv(REPORTED, keep_default_na=False, dtype=str)
    rows = rows[rows["table"] == table].drop(columns="table")
    title = f"{TABLES[table]}, as papers report it, on other records or by another protocol"
    return None if rows.empty else Grid(title, tuple(rows.columns), tuple(rows.itertuples(index=False, name=None)))


def write_tables(plan: Plan, folder: Path) -> dict[str, list[Grid]]:
    """Writes each table that has results as `<table>.md`, `.csv` and `.tex` into a folder, and returns its grids."""
    written: dict[str, list[Grid]] = {}
    for table, sections in plan.sections.items():
        read = [(section, found) for section in sections if (found := _read_section(plan, section)) is not None]
        if not read:
            continue
        grids = [grid for section, found in read for grid in _make_grids(section, found)]
        grids += [reported] if (reported := reported_grid(table)) else []
        text = "\n".join(f"## {grid.headline}\n\n{markdown_table(grid.header, grid.rows)}" for grid in grids)
        write_text(folder / f"{table}.md", f"# {TABLES[table]}\n\n{text}")
        numbers = pd.concat([found.assign(table=table, section=section.title) for section, found in read])
        write_csv(numbers[[column for column in COLUMNS if column in numbers]], folder / f"{table}.csv")
        tables = [
            latex_table(grid.header, grid.rows, grid.headline, f"tab:{table}-{number}")
            for number, grid in enumerate(grids, start=1)
        ]
        write_text(folder / f"{table}.tex", "\n".join(tables))
        written[table] = grids
    return written


def _point_estimates(rows: pd.DataFrame) -> set[str]:
    """Names the methods without samples: those without a band, where others have one."""
    covered = rows.loc[(rows["metric"] == "coverage") & rows["value"].notna(), "method"]
    return set(rows["method"]) - set(covered) if (rows["metric"] == "coverage").any() else set()
