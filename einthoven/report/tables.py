"""Tables of results: Markdown and LaTeX for people, CSV and Parquet for programs."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from einthoven.run.files import atomic_write
from einthoven.statistics import Interval

_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}"}
)


@dataclass(frozen=True)
class Row:
    """One line of the Markdown table: a name in the column `metric`, what people read, and digits after the point."""

    metric: str
    label: str
    digits: int


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Writes a Markdown table, columns padded to equal width; the first is aligned left, the others right."""
    table = [[str(cell).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    if any(len(row) != len(header) for row in table):
        raise ValueError(f"every row of a table needs {len(header)} cells, as many as its header")
    widths = [max(3, *(len(row[column]) for row in table)) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for row in (table[0], rule, *table[1:]):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def latex_table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str) -> str:
    """Writes a LaTeX `table` with booktabs' rules; the first column is aligned left, the others right.

    It needs the packages `booktabs` and `graphicx`, which shrinks a table that is too wide. All text is plain, `label`
    what to refer to it by.
    """
    first, *others = (" & ".join(str(cell).translate(_LATEX) for cell in row) + r" \\" for row in (header, *rows))
    fit = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    start = [r"\begin{table}", r"\centering", rf"\caption{{{caption.translate(_LATEX)}}}", rf"\label{{{label}}}", fit]
    body = [
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"\toprule",
        first,
        r"\midrule",
        *others,
        r"\bottomrule",
    ]
    return "\n".join([*start, *body, r"\end{tabular}}", r"\end{table}", ""])


def format_interval(interval: Interval, digits: int) -> str:
    """Formats an estimate with its interval, as `0.123 (0.120-0.126)`, without edges that are NaN; or as a dash."""
    if not np.isfinite(interval.estimate):
        return "-"
    if not np.isfinite([interval.lower, interval.upper]).all():
        return f"{interval.estimate:.{digits}f}"
    between = " to " if interval.lower < 0.0 else "-"
    return f"{interval.estimate:.{digits}f} ({interval.lower:.{digits}f}{between}{interval.upper:.{digits}f})"


def format_row(
    row: "Mapping[Hashable, Any] | pd.Series[Any]", digits: int, columns: Sequence[str] = ("value", "lower", "upper")
) -> str:
    """Formats the value of a table's row with its interval, from three of its columns."""
    return format_interval(Interval(*(float(row[column]) for column in columns)), digits)


def results_table(table: pd.DataFrame, rows: Sequence[Row], point_estimates: Sequence[str] = ()) -> str:
    """Writes results as Markdown: one row a metric, one column a method, 95 % intervals in brackets.

    Args:
        table: Columns `method`, `metric`, `value`, `lower`, `upper`; metrics without a value for any method are left
            out.
        rows: The lines to write, in order.
        point_estimates: Methods without samples: what would repeat their mean's value is shown as a dash.
    """
    methods = list(dict.fromkeys(table["method"]))
    by_key = table.set_index(["metric", "method"])
    lines = []
    for row in rows:
        cells = []
        for method in methods:
            if (row.metric, method) not in by_key.index or (method in point_estimates and "sample" in row.metric):
                cells.append("-")
                continue
            cells.append(format_row(by_key.loc[(row.metric, method)], row.digits))
        if set(cells) != {"-"}:
            lines.append([row.label, *cells])
    return markdown_table(["", *methods], lines)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Writes a table as CSV, atomically, numbers with six significant digits."""
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Writes a table as Parquet, atomically."""
    with atomic_write(path) as temporary:
        table.to_parquet(temporary, index=False)
