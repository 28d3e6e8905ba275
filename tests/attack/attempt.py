"""An attempt: what a user does with a damaged file or a strange argument, and what may come of it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LONGEST_LINE = 700
"""A message of more characters is no clear line."""
LARGEST_MV = 1000.0
"""No electrode shows more, from its median."""
ODD_NUMBERS = (
    *(0, -1, 1, 2, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 10**12, 10**30, -(2**31), 0.5, 1e-300, 1e30, 1e308),
    *(math.nan, math.inf, -math.inf, True, False),
)
ODD_WORDS = (
    *(
        "",
        " ",
        "-1",
        "0",
        "1e400",
        "nan",
        "inf",
        "-inf",
        "1e30",
        "999999999999999999999",
        "0x10",
        "1_000",
        "\u0661",
        "None",
    ),
    *(
        "../outside/secret",
        "/etc/passwd",
        "~/.profile",
        "${oc.env:HOME}",
        "a\nb",
        "\0",
        "\u202e",
        "x" * 5000,
        "🫀",
        "%s%n",
    ),
    *("__import__('os').system('x')", "!!python/object/apply:os.system ['x']", "C:\\x", "con", "..", "*", "I,I", "µV"),
)
ODD_VALUES = (*ODD_NUMBERS, *ODD_WORDS, None, [], {}, [[]], [None], {"a": {}}, ["I", "I"], list(range(50)))
"""What stands where something else should."""


@dataclass(frozen=True)
class Attempt:
    """One case.

    Attributes:
        call: What the user does.
        names: Words of which a refusal holds one: a part of the file's path, or an argument.
        wrong: Says what is wrong with a result, "" where nothing is.
        what: What was done to the input.
        refused: Whether only a refusal is right.
    """

    call: Callable[[], Any]
    names: Sequence[str]
    wrong: Callable[[Any], str] = lambda result: ""
    what: str = ""
    refused: bool = False


Make = Callable[[np.random.Generator, Path], Attempt]
"""Builds a case in a folder, from a generator."""


@dataclass(frozen=True)
class AttackClass:
    """Cases of one kind.

    Attributes:
        name: Its name.
        draw: Builds a random case.
        known: Cases that were faults once or are likely, each built once.
        share: How many random cases it gets beside others.
    """

    name: str
    draw: Make
    known: Sequence[Make] = ()
    share: float = 1.0


def insane(recording: Any) -> str:
    """Says what no recording may be."""
    signal, rate = recording.signal, recording.sampling_rate
    if signal.ndim != 2 or signal.dtype != np.float64 or not signal.size or len(signal) != len(recording.leads):
        return f"a signal of shape {signal.shape}, {signal.dtype}, for {len(recording.leads)} leads"
    if not (isinstance(rate, float) and math.isfinite(rate) and rate > 0):
        return f"a rate of {rate!r}"
    if len(set(recording.leads)) < len(recording.leads):
        return f"leads {recording.leads}"
    middle = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in signal])
    largest = np.nanmax(np.abs(signal - middle[:, None]), initial=0.0)
    if not largest <= LARGEST_MV:
        return f"{largest:g} mV"
    repr(recording)
    return ""


def differs(truth: np.ndarray, tolerance: float = 0.01) -> Callable[[Any], str]:
    """Returns what says whether a recording, without a note, is another than the one that was written."""

    def wrong(recording: Any) -> str:
        if found := insane(recording):
            return found
        if recording.notes:
            return ""
        if recording.signal.shape != truth.shape:
            return f"shape {recording.signal.shape} in place of {truth.shape}, without a note"
        both = np.isfinite(recording.signal) & np.isfinite(truth)
        off = float(np.max(np.abs(recording.signal - truth)[both], initial=0.0))
        return f"{off:.3g} mV off, without a note" if off > tolerance else ""

    return wrong


def pick(generator: np.random.Generator, choices: Sequence[Any]) -> Any:
    """Returns one of some values, as it is."""
    return choices[int(generator.integers(len(choices)))]
