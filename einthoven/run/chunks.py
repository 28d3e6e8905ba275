"""Where the chunks of a cohort are worked on: here, one after the other, or by workers elsewhere.

Each chunk has a file, its part, which whoever works on it writes atomically. So a run that was killed goes on with the
chunks that have no part yet, wherever they are worked on, and a chunk that is done twice is the same one file.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from einthoven.run.registry import Registry

Problems = dict[str, str]
"""Why records failed, by name."""
Outcomes = Generator[tuple[int, Problems | None], None, None]
MAX_FAILURES = 50
"""So many records may fail before one works; then it is not the records."""
TRIES = ".tries"
"""Suffix of the file beside a part that counts how often work on it was begun."""
_LOST = "its worker process died each time that it came to this record's chunk: perhaps memory ran out"


@dataclass(frozen=True)
class Chunk:
    """Some records that are worked on together.

    Attributes:
        part: File of the results.
        names: Names of the records.
        size: By how much progress grows.
        content: What says which records they are; can be pickled.
    """

    part: Path
    names: tuple[str, ...]
    size: int
    content: Any


class Work(Protocol):
    """Works on chunks; it is made once in each process that does so, and may hold a model."""

    def __call__(self, chunk: Chunk) -> Problems:
        """Does the work of a chunk and writes its part; returns which of its records failed, and why."""


class Engine(Protocol):
    """Gets chunks worked on."""

    is_remote: ClassVar[bool]
    """Whether other processes do the work: then whatever makes it must be picklable."""

    def run(self, make_work: Callable[[], Work], chunks: Sequence[Chunk]) -> Outcomes:
        """Works on chunks, in any order; the work is made in each process that does it.

        Yields:
            The number of each chunk that is done, and what failed in it; None where nobody can work on it, as its
            process dies.

        Raises:
            ValueError: If the engine cannot be had with its settings.
            RuntimeError: If the work itself failed.
        """


@dataclass(frozen=True)
class LocalEngine:
    """Works on the chunks in this process, one after the other."""

    is_remote: ClassVar[bool] = False

    def run(self, make_work: Callable[[], Work], chunks: Sequence[Chunk]) -> Outcomes:
        """Works on chunks: see `Engine`."""
        work = make_work() if chunks else None
        for number, chunk in enumerate(chunks):
            assert work is not None
            yield number, work(chunk)


_work: Work | None = None
"""The work of a worker process."""


@dataclass(frozen=True)
class PoolEngine:
    """Works on the chunks in a pool of processes; in this one where one is enough.

    Attributes:
        n_workers: Processes; None: one per CPU core.
    """

    is_remote: ClassVar[bool] = True
    n_workers: int | None = None

    def run(self, make_work: Callable[[], Work], chunks: Sequence[Chunk]) -> Outcomes:
        """Works on chunks: see `Engine`."""
        n_workers = min(self.n_workers or os.cpu_count() or 1, len(chunks))
        if n_workers <= 1:
            yield from LocalEngine().run(make_work, chunks)
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(n_workers, context, initializer=_begin, initargs=(make_work,)) as pool:
            numbers = {pool.submit(_do, chunk): number for number, chunk in enumerate(chunks)}
            try:
                for future in as_completed(numbers):
                    yield numbers[future], future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)  # without a wait, a process of `multiprocessing` never ends
                raise


def _begin(make_work: Callable[[], Work]) -> None:
    """Makes a worker's work, and ends the worker when its parent was killed and can no longer end it."""
    global _work

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, Ctrl-C reaches all processes: the parent decides
    threading.Thread(target=wait, daemon=True).start()
    _work = make_work()


def _do(chunk: Chunk) -> Problems:
    assert _work is not None
    return _work(chunk)


ENGINES = Registry("engine", {"local": "einthoven.run.chunks.LocalEngine", "ray": "einthoven.run.ray_engine.RayEngine"})


def work_on_chunks(
    engine: Engine,
    make_work: Callable[[], Work],
    chunks: Sequence[Chunk],
    give_up: Callable[[Chunk, str], None],
    progress: Callable[[int], object] | None = None,
    max_failures: int | None = MAX_FAILURES,
) -> int:
    """Gets those chunks worked on that have no part yet; returns the number of their records.

    Args:
        engine: Where.
        make_work: Makes the work.
        chunks: The chunks.
        give_up: Writes the part of a chunk that nobody can work on, from the reason.
        progress: Called with the size of each chunk that is done, or was.
        max_failures: So many records may fail before one works; None: all.

    Raises:
        ValueError: If one record after the other fails, so that it is not the records; their parts are removed.
    """
    tell = progress or (lambda _: None)
    todo = [chunk for chunk in chunks if not chunk.part.is_file()]
    for chunk in chunks:
        if chunk.part.is_file():
            tell(chunk.size)
    for folder in {chunk.part.parent for chunk in todo}:
        for tries in folder.glob(f"*{TRIES}"):  # of a run that was killed
            tries.unlink()
    failed: list[Chunk] = []
    n_failed, has_worked = 0, len(todo) < len(chunks)
    with closing(engine.run(make_work, todo)) as outcomes:
        for number, problems in outcomes:
            chunk = todo[number]
            if problems is None:
                give_up(chunk, _LOST)
                problems = dict.fromkeys(chunk.names, _LOST)
            has_worked |= len(problems) < len(chunk.names)
            if not has_worked:
                failed.append(chunk)
                n_failed += len(problems)
                if max_failures is not None and n_failed >= max_failures:
                    for chunk in failed:
                        chunk.part.unlink()
                    raise ValueError(f"the first {n_failed} records all failed, e.g. {_example(problems)}")
            tell(chunk.size)
    return sum(len(chunk.names) for chunk in todo)


def never_give_up(chunk: Chunk, reason: str) -> None:
    """Gives up a chunk where the engine never asks for it."""
    raise RuntimeError(f"{chunk.part} cannot be made: {reason}")


def describe_failure(error: Exception) -> str:
    """Says why a record failed: what a ValueError says; of other errors also their type and where they were raised."""
    if isinstance(error, ValueError) and str(error):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({Path(frame.filename).name}:{frame.lineno})" for frame in place)
    return f"{type(error).__name__}: {error}{where}"


def describe_problems(problems: Problems, table: str) -> str:
    """Says in one line which records failed, and what table lists them all."""
    return f"{len(problems)} records failed ({table} lists them), e.g. {_example(problems)}"


def _example(problems: Problems) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in list(problems.items())[:3])
