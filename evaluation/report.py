"""What every evaluation ends with: tables as files for programs and for people, and the choice of what to draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.report.tables import format_row, write_csv, write_parquet
from einthoven.run.files import write_text
from einthoven.statistics import Interval


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    Attributes:
        tables: Tables by the name of their file, `.csv` or `.parquet`, the summary first.
        markdown: The tables for people, with the notes.
    """

    tables: Mapping[str, pd.DataFrame]
    markdown: str

    @property
    def table(self) -> pd.DataFrame:
        """The summary."""
        return next(iter(self.tables.values()))

    def write(self, folder: Path) -> "Report":
        """Writes the tables, and the Markdown under the name of the summary; returns the report."""
        for name, table in self.tables.items():
            (write_parquet if name.endswith(".parquet") else write_csv)(table, folder / name)
        write_text(self.page(folder), self.markdown)
        return self

    def page(self, folder: Path) -> Path:
        """Names the file that the Markdown has in a folder."""
        return (folder / next(iter(self.tables))).with_suffix(".md")


def bullets(lines: Sequence[str]) -> str:
    """Writes lines as a Markdown list; empty ones are left out."""
    return "".join(f"- {line}\n" for line in lines if line)


def result_cell(table: pd.DataFrame, digits: int, **keys: str | None) -> str:
    """Formats the value of the row that the keys name with its interval; a dash where there is no such row."""
    chosen = table[np.all([table[name] == key for name, key in keys.items()], axis=0)] if keys else table
    if chosen.empty:
        return "-"
    return format_row(chosen.iloc[0], digits)


def interval_columns(name: str, interval: Interval) -> dict[str, float]:
    """Gives an interval as columns: `<name>`, `<name>_lower` and `<name>_upper`."""
    return {name: interval.estimate, f"{name}_lower": interval.lower, f"{name}_upper": interval.upper}


def distinct_names(names: Sequence[str], places: Sequence[Path | str], form: str = "{name} {folder}") -> list[str]:
    """Appends the name of their folder to methods of the same name."""
    folders = [Path(place).resolve().name for place in places]
    return [
        name if names.count(name) == 1 else form.format(name=name, folder=folder)
        for name, folder in zip(names, folders, strict=True)
    ]


def common_keys(keys: Sequence[np.ndarray], which: str = "in common: give runs on the same records") -> np.ndarray:
    """Keys, each of shape (n,), of the records that all runs have, in the order of the first; a ValueError if none."""
    common = keys[0][np.all([np.isin(keys[0], other) for other in keys], axis=0)]
    if len(common) == 0:
        raise ValueError(f"the runs have no record {which}")
    return common


def folder_name(method: str) -> str:
    """Returns a method's name as that of a folder."""
    return method.replace("/", "_")


def best_median_worst(values: np.ndarray, highest: bool = False) -> list[tuple[str, int, int]]:
    """Chooses the records to draw by a value of each, shape (N,); NaN leaves a record out.

    Returns:
        "best", "median" and "worst", each with its row and the number of records; none without a value.
    """
    order = [int(row) for row in np.argsort(-values if highest else values) if np.isfinite(values[row])]
    places = {"best": 0, "median": len(order) // 2, "worst": -1} if order else {}
    return [(name, order[place], len(order)) for name, place in places.items()]
