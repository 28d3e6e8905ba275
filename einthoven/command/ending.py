"""What a script prints at its end: what it found, the files that it made, the next command; it fits a terminal."""

import re
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from einthoven.command.help import WIDTH

_RULE = re.compile(r"[\s|:-]+")


@dataclass(frozen=True)
class Outcome:
    """What a script has done.

    Attributes:
        text: What it found, to be printed.
        made: Files and folders that it wrote, what to look at first; those that are not there are not named.
        then: Words of the command that comes next, behind `einthoven`; none: there is no such.
        objective: What a sweep minimises.
        failed: Whether the script ends with exit status 1.
    """

    text: str
    made: Sequence[Path | str] = ()
    then: Sequence[str] = ()
    objective: float | None = None
    failed: bool = False


def describe_ending(outcome: Outcome) -> list[str]:
    """Names the files that a script made, and, unless they are all missing, the next command, a line each."""
    made = [path for path in outcome.made if Path(path).exists()]
    lines = [f"{'     ' if place else 'made:'} {path}" for place, path in enumerate(made)]
    if outcome.then and (made or not outcome.made):
        lines.append(f"next: {shlex.join(['einthoven', *outcome.then])}")
    return lines


def fit_terminal(text: str, width: int = WIDTH) -> str:
    """Fits a text into a number of columns; a Markdown table that is too wide becomes several, below each other.

    Args:
        text: Tables and other lines.
        width: Columns.

    Returns:
        The text; lines of several columns and commands are left as they are.
    """
    lines: list[str] = []
    for is_table, group in groupby(text.split("\n"), lambda line: line.startswith("|")):
        rows = list(group)
        if is_table and max(map(len, rows)) > width:
            lines += _split_table(rows, width)
        else:
            lines += [one for row in rows for one in _wrapped(row, width)]
    return "\n".join(lines)


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width or "  " in line or line.startswith(("python ", "einthoven ")):
        return [line]
    indent = "  " if line.startswith("- ") else ""
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _split_table(rows: Sequence[str], width: int) -> Iterator[str]:
    """Yields tables of some columns each; every one begins with the first column."""
    cells = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows if not _RULE.fullmatch(row)]
    sizes = [max(len(row[column]) for row in cells) for column in range(min(map(len, cells)))]
    start = 1
    while start < len(sizes):
        stop, total = start + 1, sizes[0] + sizes[start] + 2
        while stop < len(sizes) and total + sizes[stop] + 2 <= width:
            total += sizes[stop] + 2
            stop += 1
        if start > 1:
            yield ""
        for row in cells:
            chosen = [0, *range(start, stop)]
            yield "  ".join(f"{row[column]:<{sizes[column]}}" for column in chosen).rstrip()
        start = stop
