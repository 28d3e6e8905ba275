"""Chunks worked on by several processes of this machine, without a cluster."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from einthoven.run.chunks import Chunk, LocalEngine, Outcomes, Problems, Work

_work: Work | None = None
"""The work of a worker process."""


@dataclass(frozen=True)
class PoolEngine:
    """Works on the chunks in a pool of processes; in this one where one is enough.

    Attributes:
        n_workers: Processes; None: one per CPU core.
    """

    n_workers: int | None = None

    @property
    def is_remote(self) -> bool:
        """Other processes may do the work."""
        return True

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
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _begin(make_work: Callable[[], Work]) -> None:
    """Makes a worker's work, and ends the worker when its parent was killed and can no longer end it."""
    global _work

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    _work = make_work()


def _do(chunk: Chunk) -> Problems:
    assert _work is not None
    return _work(chunk)
