"""Tables as text: CSV, TSV and TXT with or without header, and the export of the Apple Watch."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.tables.columns import Table, name_leads, recording_of_table
from einthoven.ecg.formats.tables.layout import HEAD_CHARACTERS, MISSING, Layout, decode, layout_of
from einthoven.ecg.formats.tables.times import is_counter, is_unnamed_time
from einthoven.ecg.leads import parse_lead
from einthoven.ecg.recording import Recording, Source

WIDE_ROWS, WIDE_COLUMNS = 16, 100
"""A table of at most so many rows and at least so many columns has a lead in each row."""
MOST_COLUMNS = 200_000
"""A table of more columns takes pandas minutes."""


def matches(head: bytes, path: Path) -> bool:
    """Says whether a file begins as a text that has numbers in rows."""
    if head.lstrip()[:1] in (b"<", b"{"):
        return False
    try:
        return layout_of(decode(head), False) is not None
    except ValueError:
        return False


def read_table(path: Path, options: ReadOptions) -> Recording:
    """Reads a table of numbers with a sample in each row and a lead in each column, or the other way round.

    Delimiter, decimal point or comma, header, units and a column of times are recognised. Blank cells are missing
    samples, and so are rows that the times skip.

    Raises:
        ValueError: If the file holds no table, its rows differ in length, no column is a lead, or neither the file nor
            `options.sampling_rate` says the sampling rate.
    """
    try:
        text = decode(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no table: it holds bytes that are no text") from error
    end = text.find("\n", HEAD_CHARACTERS)  # a row is never cut
    layout = layout_of(text if end < 0 else text[:end], True)
    if layout is None:
        raise ValueError(f"{path} is no table of numbers")
    if layout.n_columns > MOST_COLUMNS:
        raise ValueError(f"{path} has {layout.n_columns} columns: write a sample in each row and a lead in each column")
    names, columns = _columns(path, text, layout)
    names, notes = _named(names, columns, layout, options)
    table = Table(names, columns, layout.units, layout.unit, layout.sampling_rate, layout.start_time)
    return recording_of_table(table, options, Source("CSV", path), notes)


def _columns(path: Path, text: str, layout: Layout) -> tuple[list[str], list[NDArray[np.generic]]]:
    """Returns names, empty without a header, and columns of a table, a lead in each."""
    separator = {" ": r"\s+", "\n": "\x1f"}.get(layout.delimiter, layout.delimiter)
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            decimal=layout.decimal,
            header=None,
            names=range(layout.n_columns),
            index_col=False,
            skiprows=layout.first_line,
            na_values=list(MISSING),
            skipinitialspace=True,
            low_memory=False,
            comment="#",
        )
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path} cannot be read as a table: {str(error).strip().splitlines()[-1]}") from error
    if len(table) <= WIDE_ROWS and layout.n_columns >= WIDE_COLUMNS:
        values = table.to_numpy()
        has_names = not all(_is_number(value) for value in values[:, 0])
        names = [str(value) if has_names else "" for value in values[:, 0]]
        return names, list(values[:, 1:] if has_names else values)
    return list(layout.names) or [""] * layout.n_columns, [table[column].to_numpy() for column in table]


def _named(
    names: list[str], columns: list[NDArray[np.generic]], layout: Layout, options: ReadOptions
) -> tuple[list[str], list[str]]:
    """Names the columns of a table without a header, beside the first if that holds times."""
    if any(names):
        return names, []
    if len(names) == 1:
        lead = next((lead for lead in map(_lead_in, layout.above) if lead), "")
        return ([lead], []) if lead else name_leads(columns, options, "column")
    has_times = is_unnamed_time("", columns[0])
    signals = columns[has_times:]
    first = ["time"] if has_times and not is_counter("", columns[0]) else [""] * has_times
    named, notes = name_leads(signals, options, "column")
    return [*first, *named], notes


def _lead_in(cell: str) -> str:
    """Returns the lead that a cell such as "Ableitung I" names, or nothing."""
    words = cell.split()
    return words[-1] if 0 < len(words) <= 3 and parse_lead(words[-1]) else ""


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True
