"""`reconstruct_batch`: records of a store, in chunks, into a folder that a killed run can go on in.

It writes `samples.npy (N, S, 12, L)`, `mean.npy`, `lower.npy`, `upper.npy`, `truth.npy (N, 12, L)`, all in mV and
float32, `observed.npy` (bool, (N, 12, L): measured, or exactly derived from measured samples), what the task adds, and
last `records.parquet` with `ecg_id`, `seconds`, `network_calls`, `gradient_calls`, `memory_mb` (the process's peak
until then) and `problem`.

Each chunk is written atomically, so a call with the same folder and arguments goes on where the last one stopped; one
with others does all anew, or is refused where the folder is finished. A record's samples do not depend on its
batch-mates. A record that fails costs no other one its results: its chunk is done again record by record. It has no
rows in the arrays, which hold the records whose `problem` is empty, in their order.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from einthoven.run.array_files import create_array
from einthoven.run.chunked_job import ChunkedJob
from einthoven.run.chunks import Engine, LocalEngine, Problems, describe_problems
from einthoven.run.files import atomic_write
from einthoven.run.fingerprint import fingerprint
from einthoven.run.lock import held_folder
from preprocessing.store.store import Store
from reconstruction.api import SIGMA_Y_MV, check_n_samples
from reconstruction.chunk_work import COLUMNS, FAILED, ReconstructionWork, write_failed_chunk
from reconstruction.measurement.missingness import Task
from reconstruction.samplers.base import PosteriorSampler
from reconstruction.samplers.spec import SamplerSpec, made

ARRAYS: tuple[str, ...] = ("samples", "mean", "lower", "upper", "truth", "observed")
RECORDS = "records.parquet"


@dataclass(frozen=True)
class BatchSummary:
    """What `reconstruct_batch` did.

    Attributes:
        n_records: Records in the folder now.
        n_new: Those made by this call.
        seconds: Seconds of each record, on average over all.
        network_calls: Network calls, each on all samples of a chunk.
        gradient_calls: How many of these went backward too.
        problems: Records that failed, which have no results, by name, with the reason.
    """

    n_records: int
    n_new: int
    seconds: float
    network_calls: int
    gradient_calls: int
    problems: Problems = field(default_factory=dict)

    def describe(self) -> str:
        """Says so in one line, or in two where records failed."""
        done = "nothing to do, all were there" if self.n_new == 0 else f"{self.n_new} of them now"
        text = (
            f"{self.n_records} ECGs ({done}): {self.seconds:.2f} s each, "
            f"{self.network_calls} network calls, {self.gradient_calls} of them with a gradient"
        )
        return f"{text}\n{describe_problems(self.problems, RECORDS)}" if self.problems else text


def reconstruct_batch(
    store: Store,
    rows: NDArray[np.int64],
    sampler: PosteriorSampler | SamplerSpec,
    folder: Path,
    task: Task,
    *,
    n_samples: int = 10,
    seed: int = 0,
    sigma_y: float = SIGMA_Y_MV,
    batch_size: int = 1,
    segment_length: int | None = None,
    device: str | torch.device = "cpu",
    progress: Callable[[int], object] | None = None,
    engine: Engine | None = None,
) -> BatchSummary:
    """Makes measurements of records of a store and reconstructs the records from them; for the files see above.

    Args:
        store: The store, filtered, at the prior's rate.
        rows: Its rows to take, shape (N,).
        sampler: What every process makes its own from, on the device, or an object, of which others get copies.
        folder: Where to write.
        task: How measurements are made.
        n_samples: Number of samples S, at least 2.
        seed: Seed.
        sigma_y: Standard deviation of the measurement's noise in mV, for samplers that ask for it.
        batch_size: Records in a chunk.
        segment_length: Samples of the stretch of each record, its start drawn from the record's key; None: all.
        device: Device of the network.
        progress: Called with the number of records of each chunk that is done.
        engine: Where chunks are worked on; None: in this process.

    Raises:
        ValueError: If there is no record, the store's rate is not the prior's or its signals are not what its manifest
            says, a number does not fit, every record fails, or the folder is finished with other arguments or in use.
    """
    check_n_samples(n_samples)
    engine = engine or LocalEngine()
    _check_records(store, rows, made(sampler, "cpu" if engine.is_remote else device).sampling_rate)
    settings: dict[str, Any] = {"n_samples": n_samples, "seed": seed, "sigma_y": sigma_y}
    settings["segment_length"] = segment_length
    identity = sampler.identity() if isinstance(sampler, SamplerSpec) else sampler
    parts = {"sampler": identity, "task": task, "store": store.manifest_hash, "batch_size": batch_size}
    job = ChunkedJob(folder, fingerprint({**parts, **settings}), ".npz")
    _add_chunks(job, store, rows, batch_size)
    if job.is_finished(RECORDS):
        return _read_summary(folder, progress)
    if job.is_begun:
        store.verify()
    with held_folder(folder):
        make_work = partial(ReconstructionWork, store, sampler, task, device=device, **settings)
        n_new = job.work(engine, make_work, write_failed_chunk, progress)
        return _summarise(_join(job), n_new)


def _check_records(store: Store, rows: NDArray[np.int64], sampling_rate: float) -> None:
    """Raises ValueError where there is no record, or the store is not at the prior's rate."""
    if len(rows) == 0:
        raise ValueError("no record to reconstruct: choose another split or store, or a larger n_records")
    if store.sampling_rate != sampling_rate:
        raise ValueError(
            f"the store has {store.sampling_rate:g} Hz, the prior {sampling_rate:g} Hz: "
            f"prepare the store with dataset.sampling_rate={sampling_rate:g}"
        )


def _add_chunks(job: ChunkedJob, store: Store, rows: NDArray[np.int64], batch_size: int) -> None:
    """Cuts the rows into chunks, whose content are rows."""
    keys = store.table["ecg_id"].to_numpy()
    for start in range(0, len(rows), batch_size):
        piece = rows[start : start + batch_size]
        ecg_ids = [int(key) for key in keys[piece]]
        job.add(list(map(str, ecg_ids)), ecg_ids, len(piece), piece)


def _join(job: ChunkedJob) -> pd.DataFrame:
    """Joins the parts into one file for each array and the table, which comes last; then drops the parts.

    If no record worked the parts are dropped too, so that all are done again: ValueError.
    """
    parts = [chunk.part for chunk in job.chunks]
    tables = [_read_records(part) for part in parts]
    records = pd.concat(tables, ignore_index=True)
    job.check_joined(len(records))
    n_worked = [int((table["problem"] == "").sum()) for table in tables]
    if not any(n_worked):
        job.drop_parts()
        raise ValueError(
            f"none of the {len(records)} records could be reconstructed, e.g. {records['problem'].iloc[0]}"
        )
    whole_parts = [(part, n) for part, n in zip(parts, n_worked, strict=True) if n]
    with np.load(whole_parts[0][0], allow_pickle=False) as arrays:
        names = [name for name in arrays.files if name not in (*COLUMNS, *FAILED)]
    for name in names:
        with atomic_write(job.folder / f"{name}.npy") as partial_file:
            start = 0
            for part, n in whole_parts:
                with np.load(part, allow_pickle=False) as arrays:
                    rows = arrays[name]
                if start == 0:
                    whole = create_array(partial_file, (sum(n_worked), *rows.shape[1:]), rows.dtype)
                whole[start : start + n] = rows
                start += n
            whole.flush()
    job.note()
    with atomic_write(job.folder / RECORDS) as partial_file:
        records.to_parquet(partial_file, index=False)
    job.drop_parts()
    return records


def _read_records(part: Path) -> pd.DataFrame:
    """Returns the table of a part: the records that worked, in the order of its arrays, then those that failed."""
    with np.load(part, allow_pickle=False) as arrays:
        keys, problems = arrays[FAILED[0]], arrays[FAILED[1]].astype(object)
        worked = pd.DataFrame({name: arrays[name] for name in COLUMNS if name in arrays.files})
    failed = pd.DataFrame({"ecg_id": keys, "problem": problems})
    failed = failed.assign(seconds=np.nan, network_calls=0, gradient_calls=0, memory_mb=np.nan)
    tables = [table for table in (worked.assign(problem=""), failed) if len(table)]
    return pd.concat(tables, ignore_index=True)[[*COLUMNS, "problem"]]


def _read_summary(folder: Path, progress: Callable[[int], object] | None) -> BatchSummary:
    """Returns what a finished folder holds."""
    records = pd.read_parquet(folder / RECORDS)
    if progress is not None:
        progress(len(records))
    return _summarise(records, 0)


def _summarise(records: pd.DataFrame, n_new: int) -> BatchSummary:
    worked = records[records["problem"] == ""] if "problem" in records else records
    failed = records.drop(worked.index)
    return BatchSummary(
        n_records=len(records),
        n_new=n_new,
        seconds=float(worked["seconds"].mean()),
        network_calls=int(worked["network_calls"].max()),
        gradient_calls=int(worked["gradient_calls"].max()),
        problems={str(row["ecg_id"]): str(row["problem"]) for row in failed.to_dict("records")},
    )
