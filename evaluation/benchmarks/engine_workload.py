"""Cohorts on Ray's workers that `evaluation.benchmark` measures: the same work with one worker and with several."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from einthoven.ecg.leads import LEADS
from einthoven.run.chunks import Engine
from einthoven.run.memory import Jobs, descendants, peak_memory_mb
from einthoven.run.ray_engine import RayEngine
from noise_quant.data.sources import Source, SourceItem, SourceRecord
from noise_quant.scoring.methods import scoring_method
from noise_quant.scoring.score_table import score_source
from preprocessing.cohorts.simulator import simulate_ecg, simulate_store
from preprocessing.store.preparation import RecordFile
from reconstruction.batch import reconstruct_batch
from reconstruction.measurement.missingness import Missingness
from reconstruction.measurement.task import HideSamples
from reconstruction.samplers.spec import SamplerSpec

ENGINE = "engine"
RATE = 500


def engine_jobs(settings: dict[str, Any]) -> Jobs:
    """Lists the cohorts.

    Args:
        settings: `workers`, the numbers of workers, ascending, and the arguments of `score_cohort` and of
            `inpaint_cohort` under `score` and `inpaint`; a cohort whose settings are None is left out.

    Returns:
        The jobs, part `ENGINE`.
    """
    works = {"score": score_cohort, "inpaint": inpaint_cohort}
    return {
        (ENGINE, f"{name}: {' and '.join(map(str, settings['workers']))} Ray workers"): (
            compare_workers,
            {"cohort": work, "work": name, "workers": settings["workers"], **settings[name]},
        )
        for name, work in works.items()
        if settings.get(name)
    }


def compare_workers(
    cohort: Callable[..., None], work: str, workers: Sequence[int], **arguments: object
) -> dict[str, Any]:
    """Does the same work with several numbers of workers, each with a cluster of its own.

    The steady state is counted from when as many chunks are done as there are workers, until the last one is.

    Args:
        cohort: The work.
        work: Its name.
        workers: Numbers of workers, ascending.
        **arguments: Arguments of the work; `n_records` and the records of a chunk among them.

    Returns:
        `work`, `axis` and `points`: for each number of workers `seconds` of all records in the steady state,
        `seconds_with_start`, `n_records` and `peak_memory_mb` of all of Ray's processes; and of the last number of
        workers beside the first, `times_faster` and `times_faster_with_start`. Where Ray is missing, a `note`.
    """
    if find_spec("ray") is None:
        return {"note": "not measured: pip install einthoven[ray]"}
    points = [_measure(partial(cohort, **arguments), number) for number in workers]
    first, last = points[0], points[-1]
    return {
        "work": work,
        "axis": "workers",
        "points": points,
        "times_faster": first["seconds"] / last["seconds"],
        "times_faster_with_start": first["seconds_with_start"] / last["seconds_with_start"],
    }


def _measure(cohort: Callable[..., None], n_workers: int) -> dict[str, Any]:
    """Does the work once, and notes when each chunk is done and what Ray's processes hold."""
    done: list[tuple[float, int]] = []
    peaks: dict[int, float] = {}

    def note(n_records: int) -> None:
        done.append((time.perf_counter(), n_records))
        peaks.update({pid: peak_memory_mb(pid) for pid in descendants(os.getpid())})

    start = time.perf_counter()
    cohort(engine=RayEngine(n_workers=n_workers), progress=note)
    end = time.perf_counter()
    times, sizes = (np.array(values) for values in zip(*done, strict=True))
    steady = (times[-1] - times[n_workers - 1]) / sizes[n_workers:].sum()
    return {
        "value": n_workers,
        "seconds": float(steady * sizes.sum()),
        "seconds_with_start": end - start,
        "n_records": int(sizes.sum()),
        "peak_memory_mb": sum(peaks.values()),
    }


@dataclass(frozen=True)
class SimulatedReader:
    """Reads simulated ECGs.

    Attributes:
        path: File of ECGs in mV, shape (N, 12, L); a record's key is its row.
    """

    path: Path

    def __call__(self, item: SourceItem) -> SourceRecord:
        """Returns the record of an item."""
        ecgs = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return SourceRecord(ecgs[item.columns["ecg_id"]].astype(np.float64), RATE, LEADS)


def score_cohort(
    weights: str | None, n_records: int, chunk_records: int, engine: Engine, progress: Callable[[int], None]
) -> None:
    """Scores simulated 12-lead ECGs of 10 s at 500 Hz.

    Args:
        weights: Weights of the noise model; None: the bundled ones.
        n_records: Number of ECGs.
        chunk_records: Records of a chunk.
        engine: Where chunks are worked on.
        progress: Called with the number of records of each chunk that is done.
    """
    make_scoring = partial(scoring_method, checkpoint=weights)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ecgs.npy"
        np.save(path, simulate_ecg(n_records, RATE), allow_pickle=False)
        items = [
            SourceItem({"ecg_id": key}, LEADS, RecordFile(key, str(path), RATE, str(key))) for key in range(n_records)
        ]
        labels = pd.DataFrame({"ecg_id": range(n_records)}).merge(pd.DataFrame({"lead": LEADS}), how="cross")
        source = Source(items, labels, SimulatedReader(path))
        score_source(
            source,
            make_scoring(),
            Path(folder) / "run",
            chunk_records,
            lambda n_leads: progress(n_leads // len(LEADS)),
            engine,
            make_scoring,
        )


def inpaint_cohort(
    weights: str | None,
    n_records: int,
    batch_size: int,
    n_samples: int,
    engine: Engine,
    progress: Callable[[int], None],
) -> None:
    """Rebuilds twelve leads of simulated ECGs of 10 s at 100 Hz from lead I, with the amortised sampler.

    Args:
        weights: Weights of the prior; None: the bundled ones.
        n_records: Number of ECGs.
        batch_size: ECGs of a chunk.
        n_samples: Samples of each.
        engine: Where chunks are worked on.
        progress: Called with the number of records of each chunk that is done.
    """
    make_sampler = SamplerSpec("amortised", weights=weights).build
    with TemporaryDirectory() as folder:
        reconstruct_batch(
            simulate_store(f"{folder}/store", n_records),
            np.arange(n_records),
            make_sampler(),
            Path(folder) / "run",
            HideSamples(Missingness("lead", 1)),
            n_samples=n_samples,
            batch_size=batch_size,
            progress=progress,
            engine=engine,
            make_sampler=make_sampler,
        )
