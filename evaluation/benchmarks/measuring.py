"""Measures cases, each alone in a process of its own: time and peak memory."""

import itertools
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from statistics import median
from types import ModuleType
from typing import Any

import pandas as pd
import torch

from einthoven.run.memory import descendants, peak_memory_mb, resident_memory_mb
from einthoven.run.progress import track

Calls = Mapping[str, Callable[[], object]]
"""What is timed, by name; a call may return a dictionary of numbers, of which `seconds` replaces the time it took."""
Build = Callable[..., Calls]
KEYS = ["part", "case", "axis", "size"]
"""What names a row of the table."""


@dataclass(frozen=True)
class Case:
    """Something to measure.

    Attributes:
        part: The part of the benchmark that it belongs to.
        build: A function of a module that prepares the calls: reads weights, simulates ECGs. That is not timed.
        arguments: Its arguments, plain values.
        axis: What grows, where the same is measured at several sizes; else empty.
        size: How large it is here.
        n_repeats: Timed calls, of which the median counts; where there are several, one more goes before them. 0: one
            call, for its memory alone.
        n_threads: Threads of torch; None: as torch chooses.
    """

    part: str
    build: Build
    arguments: dict[str, Any] = field(default_factory=dict)
    axis: str = ""
    size: float = float("nan")
    n_repeats: int = 1
    n_threads: int | None = None


def list_cases(config: Mapping[str, Any], parts: Sequence[str], functions: Mapping[str, Build]) -> list[Case]:
    """Lists the cases of some parts.

    Args:
        config: By part: a group of cases, or groups by name. A group has `measure`, the name of a function, its
            arguments and, where wanted, `n_repeats` and `n_threads` (see `Case`), `each` (lists of an argument's
            values, a case for each) and `grow` (lists of sizes; one argument grows at a time).
        parts: Parts to measure; "scaling.score" is the group `score` of a part. An unknown one is a ValueError.
        functions: The functions by name.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for part, section in config.items():
        named = {"": section} if "measure" in section else section
        groups |= {f"{part}.{name}".strip("."): [group] for name, group in named.items()}
        groups[part] = list(named.values())
    if unknown := [part for part in parts if part not in groups]:
        raise ValueError(f"unknown benchmark.parts {', '.join(unknown)}: choose from {', '.join(groups)}")
    chosen = [(part.partition(".")[0], group) for part in parts for group in groups[part]]
    return [case for part, group in chosen for case in _cases(part, group, functions)]


def _cases(part: str, group: Mapping[str, Any], functions: Mapping[str, Build]) -> Iterator[Case]:
    fixed = dict(group)
    build, each, grow = functions[fixed.pop("measure")], fixed.pop("each", {}), fixed.pop("grow", {"": [float("nan")]})
    how = {name: fixed.pop(name) for name in ("n_repeats", "n_threads") if name in fixed}
    for values in itertools.product(*each.values()):
        arguments = {**fixed, **dict(zip(each, values, strict=True))}
        if arguments.get("device") == "cuda" and not torch.cuda.is_available():
            continue
        for axis, sizes in grow.items():
            for size in sizes:
                yield Case(part, build, {**arguments, axis: size} if axis else arguments, axis, size, **how)


def measure(cases: Sequence[Case]) -> pd.DataFrame:
    """Measures cases one after the other; rows of the same part, case, axis and size become one.

    Returns:
        One row a call: columns `KEYS`, `seconds`, `times_as_fast` (as the last call of the same case), what the call
        returned, `records_per_minute`, `peak_memory_mb`, `working_memory_mb` (see `measure_alone`), and `note`, why it
        could not be measured. If none could, a ValueError says so.
    """
    rows: list[dict[str, Any]] = []
    for case in track(cases, "case", "benchmark"):
        where = {"part": case.part, "axis": case.axis, "size": case.size}
        rows += [{**where, **row} for row in measure_alone(case)]
    table = pd.DataFrame(rows)
    if "note" in table and table["note"].notna().all():
        raise ValueError(f"nothing could be measured: {table['note'].iloc[0]}")
    table = table.groupby(KEYS, sort=False, dropna=False, as_index=False).first()
    if "n_records" in table:
        table["records_per_minute"] = 60 * table["n_records"] / table["seconds"]
    return table


def measure_alone(case: Case) -> list[dict[str, Any]]:
    """Measures a case in a fresh process.

    Calls of one case take turns, so that what disturbs the machine disturbs all of them and their ratio holds.

    Returns:
        One row a call; of a case that failed one row with a `note`. `peak_memory_mb` is the largest resident memory of
        the process, and of those that it had started and that ran at one time, added up (without /proc: of the process
        alone); it holds the imports of whoever measures, about 0.4 GB with torch. `working_memory_mb` is by how much it
        rose since the case was built. On a GPU both are what torch's allocator held.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=run_case, args=(sender, case))
    process.start()
    sender.close()
    of_others = 0.0
    try:
        while not receiver.poll(0.1):
            of_others = max(of_others, sum(map(peak_memory_mb, descendants(process.pid or 0))))
        rows: list[dict[str, Any]] = receiver.recv()
    except EOFError:
        rows = [{"case": case.build.__name__, "note": "its process died: perhaps memory ran out"}]
    finally:
        process.join()
    for row in rows:
        if "peak_memory_mb" in row:
            row["peak_memory_mb"] += of_others
    return rows


def run_case(sender: Connection, case: Case) -> None:
    """Measures a case in this process and sends its rows, or one with a note if it fails."""
    # Processes that the case starts would otherwise import the script that measures, and weigh what it weighs.
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        sender.send(rows_of(case))
    except Exception as error:
        text = (str(error) or type(error).__name__).splitlines()[0]
        sender.send([{"case": case.build.__name__, "note": f"not measured: {text}"}])


def rows_of(case: Case) -> list[dict[str, Any]]:
    """Measures a case in this process: see `measure_alone`."""
    if case.n_threads is not None:
        torch.set_num_threads(case.n_threads)
    calls = case.build(**case.arguments)
    before = _memory_mb(resident_memory_mb())
    rows: dict[str, dict[str, Any]] = {name: {"case": name} for name in calls}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(case.n_repeats + (case.n_repeats != 1)):
        for name, call in calls.items():
            found = timed(call)
            rows[name] |= found
            if repeat or case.n_repeats == 1:
                seconds[name].append(found["seconds"])
    last = next(reversed(seconds))
    for name, row in rows.items():
        if seconds[name]:
            row["seconds"] = median(seconds[name])
            row["times_as_fast"] = median(seconds[last]) / row["seconds"] if len(rows) > 1 else None
        else:
            del row["seconds"]
        if len(rows) == 1:  # the memory of one of several is not known
            row["peak_memory_mb"] = _memory_mb(peak_memory_mb())
            row["working_memory_mb"] = row["peak_memory_mb"] - before
    return list(rows.values())


def timed(call: Callable[[], object]) -> dict[str, Any]:
    """Calls something; returns what it returned, and the `seconds` that it took."""
    _wait()
    start = time.perf_counter()
    found = call()
    _wait()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, **found} if isinstance(found, Mapping) else {"seconds": seconds}


def _wait() -> None:
    """Waits for what a GPU has to do still."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _memory_mb(resident: float) -> float:
    """Returns the memory of a GPU where one is in use, else what is given."""
    return torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_initialized() else resident
