"""`reconstruct_batch`: records of a store, in chunks, into a folder that a killed run can go on in."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from evaluation.intervals import predictive_band
from evaluation.workload import peak_memory_mb
from preprocessing.atomic import atomic_write
from preprocessing.leads import LEADS
from preprocessing.store import Store
from reconstruction.api import SIGMA_Y_MV, check_n_samples
from reconstruction.measurement import sample_twelve_leads
from reconstruction.missingness import cut_segments
from reconstruction.posterior_sampler import PosteriorSampler
from reconstruction.task import Task

ARRAYS: tuple[str, ...] = ("samples", "mean", "lower", "upper", "truth", "observed")
RECORDS = "records.parquet"
COLUMNS: tuple[str, ...] = ("ecg_id", "seconds", "network_calls", "gradient_calls", "memory_mb")
PARTS = "parts"


@dataclass(frozen=True)
class BatchSummary:
    """What `reconstruct_batch` did.

    Attributes:
        n_records: Records in the folder now.
        n_new: Those made by this call.
        seconds: Seconds of each record, on average over all.
        network_calls: Network calls, each on all samples of a chunk.
        gradient_calls: How many of these went backward too.
    """

    n_records: int
    n_new: int
    seconds: float
    network_calls: int
    gradient_calls: int

    def describe(self) -> str:
        """Says so in one line."""
        done = "nothing to do, all were there" if self.n_new == 0 else f"{self.n_new} of them now"
        return (
            f"{self.n_records} ECGs ({done}): {self.seconds:.2f} s each, "
            f"{self.network_calls} network calls, {self.gradient_calls} of them with a gradient"
        )


def reconstruct_batch(
    store: Store,
    rows: NDArray[np.int64],
    sampler: PosteriorSampler,
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
) -> BatchSummary:
    """Makes measurements of records of a store and reconstructs the records from them.

    Writes `samples.npy (N, S, 12, L)`, `mean.npy`, `lower.npy`, `upper.npy`, `truth.npy (N, 12, L)`, all in mV and
    float32, `observed.npy` (bool, (N, 12, L): measured, or exactly derived from measured samples), what the task adds,
    and last `records.parquet` with `ecg_id`, `seconds`, `network_calls`, `gradient_calls` and `memory_mb` (the
    process's peak until then). Each chunk is written atomically, so a call with the same folder goes on where the last
    one stopped. A record's samples do not depend on its batch-mates.

    Args:
        store: The store, filtered, at the prior's rate.
        rows: Its rows to take, shape (N,).
        sampler: The posterior sampler.
        folder: Where to write.
        task: How measurements are made.
        n_samples: Number of samples S, at least 2.
        seed: Seed.
        sigma_y: Standard deviation of the measurement's noise in mV, for samplers that ask for it.
        batch_size: Records in a chunk.
        segment_length: Samples of the stretch that is taken of each record, its start drawn from the record's key;
            None: the whole record.
        device: Device of the network.
        progress: Called with the number of records of each chunk that is done.

    Returns:
        What was done.

    Raises:
        ValueError: If there is no record, the store's rate is not the prior's, or a number does not fit.
    """
    check_n_samples(n_samples)
    if len(rows) == 0:
        raise ValueError("no record to reconstruct: choose another split or store, or a larger n_records")
    if store.sampling_rate != sampler.sampling_rate:
        raise ValueError(
            f"the store has {store.sampling_rate:g} Hz, the prior {sampler.sampling_rate:g} Hz: "
            f"prepare the store with dataset.sampling_rate={sampler.sampling_rate:g}"
        )
    if (folder / RECORDS).is_file():
        records = pd.read_parquet(folder / RECORDS)
        if progress is not None:
            progress(len(records))
        return _summarise(records, 0)
    n_new = 0
    for part, chunk in _chunks(folder, rows, batch_size):
        if not part.is_file():
            arrays = _reconstruct_chunk(store, chunk, sampler, task, n_samples, seed, sigma_y, segment_length, device)
            with atomic_write(part) as partial:
                np.savez(partial, **arrays)  # type: ignore[arg-type] # numpy's stub takes the keywords for allow_pickle
            n_new += len(chunk)
        if progress is not None:
            progress(len(chunk))
    return _summarise(_join(folder, [part for part, _ in _chunks(folder, rows, batch_size)]), n_new)


def _chunks(folder: Path, rows: NDArray[np.int64], batch_size: int) -> Iterator[tuple[Path, NDArray[np.int64]]]:
    """Yields the file and the rows of each chunk."""
    for start in range(0, len(rows), batch_size):
        yield folder / PARTS / f"{start:06d}.npz", rows[start : start + batch_size]


def _reconstruct_chunk(
    store: Store,
    rows: NDArray[np.int64],
    sampler: PosteriorSampler,
    task: Task,
    n_samples: int,
    seed: int,
    sigma_y: float,
    segment_length: int | None,
    device: str | torch.device,
) -> dict[str, NDArray[np.generic]]:
    """Reconstructs some records; returns the arrays of their part of the results."""
    keys = [int(key) for key in store.table["ecg_id"].to_numpy()[rows]]
    truth = cut_segments(store.read(rows, LEADS), keys, segment_length, seed)
    measurement, extras = task(keys, truth)
    measurement = measurement.to(device)
    start = time.perf_counter()
    drawn, mean = sample_twelve_leads(sampler, measurement, keys, n_samples, seed, sigma_y)
    seconds = (time.perf_counter() - start) / len(rows)
    samples = drawn.cpu().numpy()
    lower, upper = predictive_band(samples)
    return {
        "samples": samples.swapaxes(0, 1),
        "mean": mean.cpu().numpy(),
        "lower": lower,
        "upper": upper,
        "truth": truth,
        "observed": measurement.known()[1].cpu().numpy(),
        **extras,
        "ecg_id": np.asarray(keys, dtype=np.int64),
        "seconds": np.full(len(rows), seconds),
        "network_calls": np.full(len(rows), sampler.network_calls),
        "gradient_calls": np.full(len(rows), sampler.gradient_calls),
        "memory_mb": np.full(len(rows), peak_memory_mb()),
    }


def _join(folder: Path, parts: list[Path]) -> pd.DataFrame:
    """Joins the parts into one file for each array and the table, which comes last; then drops the parts."""
    records = pd.concat([_read_records(part) for part in parts], ignore_index=True)
    with np.load(parts[0], allow_pickle=False) as arrays:
        names = [name for name in arrays.files if name not in COLUMNS]
    for name in names:
        with atomic_write(folder / f"{name}.npy") as partial:
            start = 0
            for part in parts:
                with np.load(part, allow_pickle=False) as arrays:
                    rows = arrays[name]
                if start == 0:
                    whole = np.lib.format.open_memmap(
                        partial, mode="w+", dtype=rows.dtype, shape=(len(records), *rows.shape[1:])
                    )
                whole[start : start + len(rows)] = rows
                start += len(rows)
            whole.flush()
    with atomic_write(folder / RECORDS) as partial:
        records.to_parquet(partial, index=False)
    for part in parts:
        part.unlink()
    parts[0].parent.rmdir()
    return records


def _read_records(part: Path) -> pd.DataFrame:
    with np.load(part, allow_pickle=False) as arrays:
        return pd.DataFrame({name: arrays[name] for name in COLUMNS})


def _summarise(records: pd.DataFrame, n_new: int) -> BatchSummary:
    return BatchSummary(
        n_records=len(records),
        n_new=n_new,
        seconds=float(records["seconds"].mean()),
        network_calls=int(records["network_calls"].max()),
        gradient_calls=int(records["gradient_calls"].max()),
    )
