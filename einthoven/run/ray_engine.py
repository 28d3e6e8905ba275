"""Chunks worked on by Ray's workers, on this machine or on a cluster that exists.

Ray Data's pool of actors holds the model once in each worker. Its rows are numbers of chunks; what comes back of each
is only which records failed, as the results are written by the workers: on a cluster, the data, the weights and the run
folder must lie where all its machines find them under the same path.

Reference:
    Moritz et al., Ray: A Distributed Framework for Emerging AI Applications, 2018, arXiv 1712.05889; Luan et al., The
    Streaming Batch Model for Efficient and Fault-Tolerant Heterogeneous Execution, 2025, arXiv 2501.12407.
"""

import json
import logging
import math
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

from einthoven.extras import extra
from einthoven.run.chunks import TRIES, Chunk, Outcomes, Problems, Work

FREE_CPUS = 0.1
"""Share of a CPU that workers leave to Ray's own tasks, which read the rows: without it they may wait for ever."""
_OBJECT_STORE_BYTES = 200_000_000
_MAX_TRIES = 3
_IN_FLIGHT = 2
"""Chunks at a worker: it works on one while the other waits, so that it is never idle."""


@dataclass(frozen=True)
class RayEngine:
    """Works on the chunks in Ray's workers.

    A worker that is killed is started again, and its chunk goes to another; a chunk at which workers die again and
    again is given up.

    Attributes:
        address: A cluster's address, "auto" for the one that runs on this machine; None: one is started here, and ends
            with the run.
        n_workers: How many workers at most; None: as many as the CPUs, or the GPUs, allow.
        min_workers: How many have to be there from the start; the others come as the cluster grows. None: all.
        cpus_per_worker: CPUs that each holds, or a share of one. Ray counts, it does not bind.
        gpus_per_worker: GPUs that each holds, or a share of one.
        n_threads: Threads of torch in each.
        start_timeout_s: How long to wait for the first workers, in s.

    Raises:
        ValueError: If a number is out of range.
    """

    is_remote: ClassVar[bool] = True
    address: str | None = None
    n_workers: int | None = None
    min_workers: int | None = None
    cpus_per_worker: float = 0.9
    gpus_per_worker: float = 0.0
    n_threads: int = 1
    start_timeout_s: float = 600.0

    def __post_init__(self) -> None:
        for name in ("n_workers", "min_workers", "n_threads"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise ValueError(f"engine.{name} must be at least 1, not {number}")
        if self.cpus_per_worker <= 0 or self.gpus_per_worker < 0 or self.start_timeout_s <= 0:
            raise ValueError(
                "engine.cpus_per_worker and engine.start_timeout_s must be above 0, gpus_per_worker too or 0"
            )
        if self.n_workers is not None and self.min_workers is not None and self.min_workers > self.n_workers:
            raise ValueError(f"engine.min_workers={self.min_workers} is more than engine.n_workers={self.n_workers}")

    def run(self, make_work: Callable[[], Work], chunks: Sequence[Chunk]) -> Outcomes:
        """Works on chunks: see `Engine`."""
        ray = _import_ray()
        if not chunks:
            return
        with self._cluster(ray):
            least, most = self.pool_size([node["Resources"] for node in ray.nodes() if node["Alive"]])
            for outcome in self._work(ray, make_work, chunks, min(least, len(chunks)), most):
                if outcome["error"]:
                    raise RuntimeError(f"a worker failed:\n{outcome['error']}")
                yield outcome["number"], json.loads(outcome["problems"])

    def pool_size(self, nodes: Sequence[dict[str, float]]) -> tuple[int, int]:
        """Finds how many workers to start and how many there may be, from each machine's number of "CPU" and "GPU".

        Raises:
            ValueError: If that many do not fit, or would leave nothing to Ray's own tasks.
        """
        cpus, gpus = (sum(node.get(name, 0.0) for node in nodes) for name in ("CPU", "GPU"))
        fit = sum(self._fit(node) for node in nodes)
        while fit and fit * self.cpus_per_worker > cpus - FREE_CPUS + 1e-9:
            fit -= 1
        asked = f"{self.cpus_per_worker:g} CPUs" + (f" and {self.gpus_per_worker:g} GPUs" * (self.gpus_per_worker > 0))
        there = f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" * (self.gpus_per_worker > 0))
        if not fit:
            raise ValueError(
                f"no worker of {asked} fits into {there}, of which {FREE_CPUS:g} CPUs must stay free for Ray's own "
                "tasks: lower engine.cpus_per_worker (0.9 is usual) or engine.gpus_per_worker"
            )
        usual = fit if self.gpus_per_worker else min(fit, max(1, math.floor(cpus)))
        most = self.n_workers or max(usual, self.min_workers or 1)
        least = self.min_workers or most
        if least > fit:
            share = (cpus - FREE_CPUS) / least
            raise ValueError(
                f"{least} workers of {asked} do not fit into {there}, of which {FREE_CPUS:g} CPUs must stay free for "
                f"Ray's own tasks, or the job would hang: give engine.n_workers={fit} or fewer, or, if they may share, "
                f"engine.cpus_per_worker={math.floor(100 * share) / 100:g} or less"
                + (", or fewer gpus_per_worker" * (self.gpus_per_worker > 0))
                + "; in a cluster that grows, engine.min_workers must fit now"
            )
        return least, most

    def _fit(self, node: dict[str, float]) -> int:
        """Returns how many workers fit into one machine."""
        fit = math.floor(node.get("CPU", 0.0) / self.cpus_per_worker + 1e-9)
        if self.gpus_per_worker:
            fit = min(fit, math.floor(node.get("GPU", 0.0) / self.gpus_per_worker + 1e-9))
        return fit

    @contextmanager
    def _cluster(self, ray: ModuleType) -> Iterator[None]:
        """Connects to a cluster, or starts one, for the time of the block; one that this process has stays as it is."""
        if ray.is_initialized():
            yield
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        own = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=self.address or "local", **({} if self.address else own), **quiet)
            if callable(handler) and threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)  # in the place of Ray's own
        except ConnectionError as error:
            raise ValueError(
                f"no Ray cluster answers at engine.address={self.address}: start one with ray start --head, or leave "
                "engine.address=null to have one for the time of the run"
            ) from error
        except Exception as error:  # Ray has no type of its own for this
            ray.shutdown()
            raise ValueError(
                f"Ray did not start ({error}): a machine whose cores are all busy keeps it from it; try again, or take "
                "engine=local"
            ) from error
        try:
            yield
        finally:
            ray.shutdown()

    def _work(
        self, ray: ModuleType, make_work: Callable[[], Work], chunks: Sequence[Chunk], least: int, most: int
    ) -> Iterator[dict[str, Any]]:
        """Sends the chunks' numbers to a pool of workers, which have them all; yields what they say of each."""
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        rows = [{"number": number} for number in range(len(chunks))]
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
        context = dataset.context
        context.enable_progress_bars = context.print_on_execution_start = False
        context.wait_for_min_actors_s = self.start_timeout_s
        # With its reservation of resources Ray Data 2.60 lets one of two workers wait for the other (measured).
        context.op_resource_reservation_enabled = False
        context.target_max_block_size = 2**20
        dataset = dataset.map(
            _Worker,
            fn_constructor_args=(make_work, list(chunks), self.n_threads, os.getcwd()),
            compute=ray.data.ActorPoolStrategy(
                min_size=least, max_size=max(least, most), max_tasks_in_flight_per_actor=_IN_FLIGHT
            ),
            num_cpus=self.cpus_per_worker,
            num_gpus=self.gpus_per_worker or None,
        )
        try:
            yield from dataset.iter_rows()
        except ray.exceptions.GetTimeoutError as error:
            raise ValueError(
                f"{least} workers did not start within {self.start_timeout_s:g} s: others use the cluster; wait, or "
                "lower engine.min_workers, or raise engine.start_timeout_s"
            ) from error
        except ray.exceptions.ActorDiedError as error:
            raise RuntimeError(f"a worker could not start:\n{error}") from error


class _Worker:
    """What an actor does: makes the work once and does it for each row, which names a chunk by its number.

    Relative paths start from the folder, where there is one.
    """

    def __init__(self, make_work: Callable[[], Work], chunks: list[Chunk], n_threads: int, folder: str) -> None:
        with suppress(OSError):
            os.chdir(folder)
        self.chunks = chunks
        self.work = make_work()
        if "torch" in sys.modules:  # by now whatever needs it has imported it
            sys.modules["torch"].set_num_threads(n_threads)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Works on the chunk of a row, unless workers have died of it before; an error is told, as Ray would retry."""
        chunk = self.chunks[row["number"]]
        problems: Problems | None = {}
        error = ""
        tries = chunk.part.with_suffix(TRIES)
        if tries.is_file() and tries.stat().st_size >= _MAX_TRIES:
            problems = None
        elif not chunk.part.is_file():
            tries.parent.mkdir(parents=True, exist_ok=True)
            with open(tries, "ab") as file:
                file.write(b".")
            try:
                problems = self.work(chunk)
            except Exception:
                error = traceback.format_exc()
        tries.unlink(missing_ok=True)
        return {"number": row["number"], "problems": json.dumps(problems), "error": error}


def _import_ray() -> ModuleType:
    """Imports Ray Data; ValueError says how to install it."""
    with extra("ray"):
        import ray
        import ray.data
    return ray
