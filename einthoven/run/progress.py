"""How far long work has come: a bar in a terminal, and elsewhere a line every half a minute."""

import sys
from collections.abc import Collection, Iterator
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

LINE_EVERY_S = 30.0
"""Seconds between two lines where there is no terminal, such as in a log file."""
_LINE = "{n_fmt} of {total_fmt}{unit}s, {rate_noinv_fmt}, {elapsed} gone, {remaining} left{postfix}"

ItemT = TypeVar("ItemT")


def show_progress(
    total: int, unit: str, description: str | None = None, *, done: int = 0, shown: bool = True, keep: bool = True
) -> "tqdm[Any]":
    """Shows on the standard error how far work has come; to be used in a `with` block.

    Args:
        total: Units of work in all.
        unit: What a unit is, such as "record".
        description: What the work is.
        done: Units that were done before.
        shown: False: shows nothing, as in the processes beside the first.
        keep: Whether the bar stays on the screen at the end.

    Returns:
        A bar, whose `update(n)` counts units and whose `write(text)` prints a line beside it.
    """
    settings: dict[str, Any] = {"total": total, "unit": f" {unit}", "initial": done, "disable": not shown}
    settings |= {"leave": keep, "smoothing": 0.1}
    if sys.stderr.isatty():
        return tqdm(desc=description, **settings)
    every: dict[str, Any] = {"mininterval": LINE_EVERY_S, "maxinterval": LINE_EVERY_S, "delay": LINE_EVERY_S}
    name = f"{description}: " if description else ""
    return tqdm(bar_format=name + _LINE, file=_Lines(sys.stderr), **every, **settings)


def track(items: Collection[ItemT], unit: str, description: str | None = None, *, keep: bool = True) -> Iterator[ItemT]:
    """Yields items and shows how many of them are done: see `show_progress`."""
    with show_progress(len(items), unit, description, keep=keep) as bar:
        for item in items:
            yield item
            bar.update()


class _Lines:
    """A text stream on which tqdm's rewritten lines become lines one below the other."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            self._stream.write(f"{line}\n")

    def flush(self) -> None:
        self._stream.flush()
