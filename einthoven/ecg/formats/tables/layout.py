"""How a table of numbers is laid out in a text: delimiter, decimal mark, header, units, what stands above it."""

import csv
import re
from dataclasses import dataclass
from datetime import datetime

HEAD_CHARACTERS = 200_000
"""The layout is found in so much of a text."""
MISSING = ("", "nan", "NaN", "NAN", "na", "NA", "N/A", "null", "NULL", "None", "-", "--", "inf", "-inf")
"""What stands for a missing sample."""
CANDIDATES: tuple[tuple[str, str], ...] = (
    ("\t", "."),
    ("\t", ","),
    (";", "."),
    (";", ","),
    ("|", "."),
    (",", "."),
    (",", ","),
    (" ", "."),
    (" ", ","),
    ("\n", ","),
)
"""Delimiter and decimal mark, in the order of preference; a blank stands for any white space, a line end for none."""
_NUMBER = {
    mark: re.compile(rf"[-+]?(\d+({re.escape(mark)}\d*)?|{re.escape(mark)}\d+)([eE][-+]?\d+)?") for mark in (".", ",")
}
_CLOCK = re.compile(
    r"['\[]?\s*(\d{4}-\d\d-\d\d[ T])?\d+:\d\d(:\d\d)?([.,]\d+)?(Z|[+-]\d\d:?\d\d)?(\s\d\d/\d\d/\d{4})?\s*['\]]?"
)
_RATE = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:hz\b|hertz|герц|гц|赫兹|赫茲|ヘルツ|헤르츠)", re.IGNORECASE)
_RATE_KEY = re.compile(r"\b(?:sampl\w*[ _]?(?:rate|frequency)|fs|frequency)\W+(\d+(?:\.\d+)?)\W*$", re.IGNORECASE)
_UNIT_CELL = re.compile(r"(n|u|µ|μ|m)?V", re.IGNORECASE)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)")


@dataclass(frozen=True)
class Layout:
    """Where the numbers of a table are and what stands above them.

    Attributes:
        delimiter: What separates columns, as in `CANDIDATES`.
        decimal: Decimal mark.
        first_line: Number of the line that the numbers begin in.
        n_columns: Number of columns.
        names: Names of the columns; none without a header.
        units: Units of the columns, where a row below the header holds them.
        above: Cells of all lines above the table.
        sampling_rate: Rate in Hz that is stated above the table.
        unit: Unit of all columns that is stated above the table.
        start_time: Date and time that are stated above the table.
    """

    delimiter: str
    decimal: str
    first_line: int
    n_columns: int
    names: tuple[str, ...]
    units: tuple[str, ...]
    above: tuple[str, ...]
    sampling_rate: float | None
    unit: str
    start_time: datetime | None


def decode(raw: bytes) -> str:
    """Decodes a text in UTF-8, UTF-16 with its mark, or Latin-1; ValueError for what is no text."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw[: len(raw) // 2 * 2].decode("utf-16", errors="replace")
    if b"\0" in raw:
        raise ValueError("no text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start >= len(raw) - 3 and len(raw) > 3:  # a character that the end of the part cuts
            return raw[: error.start].decode("utf-8-sig")
        return raw.decode("latin-1")


def layout_of(text: str, whole: bool) -> Layout | None:
    """Finds the layout of a text, or of its beginning; None where it holds no rows of numbers."""
    lines = text.splitlines()
    if not whole and len(lines) > 1:
        lines.pop()
    found = _best(lines, share=1.0) or _best(lines, share=0.5)
    if found is None:
        return None
    first, delimiter, decimal = found  # rows with a word in their midst may come before
    width = len(split(lines[first], delimiter))
    alike = (number for number, line in enumerate(lines[:first]) if len(split(line, delimiter)) == width)
    first = next((number for number in alike if _is_row(split(lines[number], delimiter), decimal, 0.5)), first)
    if (delimiter, decimal) == (",", ".") and _is_decimal_comma(lines, first):
        delimiter, decimal = "\n", ","
    cells = [cell.strip().strip("'\"# ") for line in lines[:first] for cell in split(line, ",")]
    names, units = _header(lines, first, delimiter, len(split(lines[first], delimiter)))
    return Layout(
        delimiter,
        decimal,
        first,
        len(split(lines[first], delimiter)),
        names,
        units,
        tuple(cells),
        _stated_rate(lines[:first]),
        next((cell for cell in cells if _UNIT_CELL.fullmatch(cell)), "") if not names else "",
        _stated_time(lines[:first]),
    )


def split(line: str, delimiter: str) -> list[str]:
    """Splits a line into cells; quoted ones may hold the delimiter."""
    if delimiter == " ":
        return line.split()
    if delimiter == "\n":
        return [line.strip()]
    if '"' in line:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    return [cell.strip() for cell in line.split(delimiter)]


def _best(lines: list[str], share: float) -> tuple[int, str, str] | None:
    """Returns the first line, delimiter and decimal mark that give most rows of which a share is numbers."""
    best: tuple[int, int, str, str] | None = None
    for delimiter, decimal in CANDIDATES:
        first, n_rows = _longest_run(lines, delimiter, decimal, share)
        if n_rows and (best is None or n_rows > best[0]):
            best = (n_rows, first, delimiter, decimal)
    return best[1:] if best else None


def _longest_run(lines: list[str], delimiter: str, decimal: str, share: float) -> tuple[int, int]:
    """Returns the first line and the number of lines of the longest stretch of rows of numbers of one length."""
    best, first, count, width = (0, 0), 0, 0, 0
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        cells = split(line, delimiter)
        if not _is_row(cells, decimal, share):
            count = 0
            continue
        if count == 0 or len(cells) != width:
            first, count, width = number, 0, len(cells)
        count += 1
        if count > best[1]:
            best = (first, count)
    return best


def _is_row(cells: list[str], decimal: str, share: float) -> bool:
    """Says whether a share of cells is numbers or missing ones; the first may be a time, or a name of many."""
    number = _NUMBER[decimal]
    rest = cells[1:]
    if sum(cell in MISSING or bool(number.fullmatch(cell)) for cell in rest) < share * len(rest):
        return False
    if number.fullmatch(cells[0]) or (rest and _CLOCK.fullmatch(cells[0])):
        return True
    return any(cell not in MISSING for cell in rest) and (cells[0] in MISSING or len(cells) > 100)


def _is_decimal_comma(lines: list[str], first: int) -> bool:
    """Says whether "1,5" is one number: there is no header of two names, and the first part does not count up."""
    rows = [split(line, ",") for line in lines[first:] if line.strip()]
    if {len(row) for row in rows} - {1, 2} or not any(len(row) == 2 for row in rows):
        return False
    if any(len(row) == 2 and not row[1].isdigit() for row in rows):
        return False
    above = lines[first - 1].strip() if first else ""
    if above and len(split(above, ",")) == 2:
        return False
    whole = [float(row[0]) for row in rows if _NUMBER["."].fullmatch(row[0])]
    return len(rows) < 3 or any(later <= earlier for earlier, later in zip(whole, whole[1:], strict=False))


def _header(lines: list[str], first: int, delimiter: str, n_columns: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the names of the columns and, where a second line of the header gives them, their units."""
    units: tuple[str, ...] = ()
    for line in reversed(lines[:first]):
        cells = [cell.strip(" '\"") for cell in split(line.strip().lstrip("#"), delimiter)]
        if len(cells) == n_columns - 1 and n_columns > 2:  # a column of row numbers without a name
            cells = ["", *cells]
        if len(cells) != n_columns or not line.strip():
            break
        if not units and any(_UNIT_CELL.fullmatch(cell) for cell in cells[-1:]) and n_columns > 1:
            units = tuple(cells)
            continue
        return tuple(cells), units
    return (), ()


def _stated_rate(lines: list[str]) -> float | None:
    """Returns the sampling rate that lines above a table state: a number with "Hz" in any language, or a key."""
    for line in lines:
        found = _RATE.search(line) or _RATE_KEY.search(line.strip())
        if found:
            return float(found[1].replace(",", "."))
    return None


def _stated_time(lines: list[str]) -> datetime | None:
    """Returns the first date with a time that lines above a table state."""
    for line in lines:
        found = _DATE.search(line)
        if found:
            try:
                return datetime.fromisoformat(f"{found[1]}T{found[2]}")
            except ValueError:
                continue
    return None
