"""Measures a piece of work alone in a process of its own: time and peak memory."""

import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import torch

Work = Callable[..., Mapping[str, Any]]
Jobs = dict[tuple[str, str], tuple[Work, dict[str, Any]]]
"""Work and its arguments, by part and case."""


class StepTimer:
    """Training data that notes when each batch is asked for, so that the time of a step is known.

    Args:
        data: Where the batches come from, with a method `batch(n, generator)`.
        n_validation: Records of the first batch that serve for validation.

    Attributes:
        started: Times at which batches were asked for, in s.
    """

    def __init__(self, data: Any, n_validation: int = 2) -> None:  # noqa: ANN401
        self.data = data
        self.n_validation = n_validation
        self.started: list[float] = []

    def batch(self, n: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draws a batch of `n` records."""
        self.started.append(time.perf_counter())
        return dict(self.data.batch(n, generator))

    def validation(self) -> dict[str, torch.Tensor]:
        """Draws a few records, as validation is not what is timed."""
        return dict(self.data.batch(self.n_validation, torch.Generator().manual_seed(0)))

    def seconds_per_step(self, n_warmup: int = 2) -> float:
        """Median time of a step in s, after the first ones."""
        steps = [later - earlier for earlier, later in zip(self.started, self.started[1:], strict=False)]
        return float(torch.tensor(steps[n_warmup:]).median())


def measure_jobs(jobs: Jobs, parts: Sequence[str]) -> pd.DataFrame:
    """Measures the jobs of some parts one after the other, each alone.

    Args:
        jobs: The jobs.
        parts: Parts to measure.

    Returns:
        One row a job: `part`, `case` and what `measure_alone` found.

    Raises:
        ValueError: If a part is unknown, or a job refuses its arguments.
    """
    known = list(dict.fromkeys(part for part, _ in jobs))
    unknown = [part for part in parts if part not in known]
    if unknown:
        raise ValueError(f"unknown benchmark.parts {', '.join(unknown)}: choose from {', '.join(known)}")
    chosen = {key: job for key, job in jobs.items() if key[0] in parts}
    rows = [{"part": part, "case": case, **measure_alone(work, **kw)} for (part, case), (work, kw) in chosen.items()]
    return pd.DataFrame(rows)


def measure_alone(work: Work, /, **arguments: object) -> dict[str, Any]:
    """Runs work in a fresh process.

    Args:
        work: A function of a module, that returns plain values by name.
        **arguments: Its arguments, plain values.

    Returns:
        What it returned, with `wall_seconds`, without the start of the process, and `peak_memory_mb`: the largest
        resident memory of the process and of each that it started, added up (of the process alone where there is no
        /proc). The process holds the imports of whoever measures, about 0.4 GB with torch.

    Raises:
        ValueError: If the work raised it.
        RuntimeError: If the work failed otherwise.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, work, arguments))
    process.start()
    sender.close()
    peaks: dict[int, float] = {}
    try:
        while not receiver.poll(0.1):
            for pid in descendants(process.pid or 0):
                peaks[pid] = max(peaks.get(pid, 0.0), peak_memory_mb(pid))
        found: dict[str, Any] = receiver.recv()
    except EOFError as error:
        raise RuntimeError(f"{work.__name__} ended without a result: perhaps memory ran out") from error
    finally:
        process.join()
    if "error" in found:
        raise ValueError(found["error"]) if found["is_mistake"] else RuntimeError(found["error"])
    found["peak_memory_mb"] += sum(peaks.values())
    return found


def _run(sender: Connection, work: Work, arguments: Mapping[str, Any]) -> None:
    # Processes that the work starts would otherwise import the script that measures, and weigh what it weighs.
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        start = time.perf_counter()
        found = dict(work(**arguments))
        found["wall_seconds"] = time.perf_counter() - start
        found["peak_memory_mb"] = peak_memory_mb()
        sender.send(found)
    except Exception as error:  # the parent raises it
        sender.send({"error": f"{work.__name__}: {error}", "is_mistake": isinstance(error, ValueError)})


def peak_memory_mb(pid: int | None = None) -> float:
    """Largest resident memory of a process; 0 for one that has ended.

    The kernel's high-water mark of the address space, as `getrusage` would also count what the parent had before the
    start.

    Args:
        pid: The process; by default this one.
    """
    own = os.getpid()
    peak = _memory_mb("VmHWM", pid or own)
    if peak or Path("/proc/self").exists() or pid not in (None, own):
        return peak
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def resident_memory_mb() -> float:
    """Resident memory of this process now; 0 where there is no /proc."""
    return _memory_mb("VmRSS", os.getpid())


def _memory_mb(name: str, pid: int) -> float:
    """Reads a line of a process's status; 0 if it is not there."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name))


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and theirs; none where there is no /proc."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in file.read_text(encoding="ascii").split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def machine() -> str:
    """Names what is measured on: processor, cores, how busy they are now (1: each has one program), and torch."""
    cores = os.cpu_count() or 1
    load = f", load {os.getloadavg()[0] / cores:.1f} a core before" if hasattr(os, "getloadavg") else ""
    return f"{platform.machine()}, {cores} cores{load}, {torch.get_num_threads()} threads, torch {torch.__version__}"
