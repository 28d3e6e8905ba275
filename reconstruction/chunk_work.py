"""The reconstruction of some records of a store, wherever it is done, into the part of the results that they are."""

import time

import numpy as np
import torch
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.run.chunks import Chunk, Problems, describe_failure
from einthoven.run.files import atomic_write
from einthoven.run.memory import peak_memory_mb
from einthoven.statistics import predictive_band
from preprocessing.store.store import Store
from reconstruction.measurement.missingness import Task, cut_segments
from reconstruction.samplers.base import PosteriorSampler
from reconstruction.samplers.spec import SamplerSpec, made
from reconstruction.twelve_leads import sample_twelve_leads

COLUMNS: tuple[str, ...] = ("ecg_id", "seconds", "network_calls", "gradient_calls", "memory_mb")
FAILED: tuple[str, str] = ("failed_ecg_id", "failed_problem")
"""Arrays of a part: keys of the records that failed, and why."""

Arrays = dict[str, NDArray[np.generic]]


class ReconstructionWork:
    """Reconstructs chunks of records: see `einthoven.run.chunks.Work`; arguments are those of `reconstruct_batch`.

    A part is an npz file of the arrays of `reconstruct_batch` and the columns of its table, of the records that worked,
    and of `FAILED`.
    """

    def __init__(
        self,
        store: Store,
        sampler: PosteriorSampler | SamplerSpec,
        task: Task,
        *,
        n_samples: int,
        seed: int,
        sigma_y: float,
        segment_length: int | None,
        device: str | torch.device,
    ) -> None:
        self.store, self.sampler, self.task = store, made(sampler, device), task
        self.n_samples, self.seed, self.sigma_y = n_samples, seed, sigma_y
        self.segment_length, self.device = segment_length, device

    def __call__(self, chunk: Chunk) -> Problems:
        """Does the work of a chunk whose content are rows of the store: all at once or, if that fails, one by one."""
        groups, worked = [chunk.content], []
        failures: list[tuple[int, str]] = []
        while groups:
            rows = groups.pop(0)
            try:
                worked.append(self._reconstruct(rows))
            except Exception as error:
                if len(rows) > 1:
                    groups = [rows[place : place + 1] for place in range(len(rows))]
                else:
                    failures.append((int(self.store.table["ecg_id"].iloc[rows[0]]), describe_failure(error)))
        names = list(worked[0]) if worked else []
        _write_part(chunk, {name: np.concatenate([arrays[name] for arrays in worked]) for name in names}, failures)
        return {str(key): reason for key, reason in failures}

    def _reconstruct(self, rows: NDArray[np.int64]) -> Arrays:
        """Returns the arrays of some records' part of the results; raises ValueError if samples are not finite."""
        keys = [int(key) for key in self.store.table["ecg_id"].to_numpy()[rows]]
        truth = cut_segments(self.store.read(rows, LEADS), keys, self.segment_length, self.seed)
        measurement, extras = self.task(keys, truth)
        measurement = measurement.to(self.device)
        start = time.perf_counter()
        draws = sample_twelve_leads(self.sampler, measurement, keys, self.n_samples, self.seed, self.sigma_y)
        seconds = (time.perf_counter() - start) / len(rows)
        samples = draws.samples.cpu().numpy()
        if not np.isfinite(samples).all():
            raise ValueError("the sampler returned values that are not finite")
        lower, upper = predictive_band(samples)
        return {
            "samples": samples.swapaxes(0, 1),
            "mean": draws.mean.cpu().numpy(),
            "lower": lower,
            "upper": upper,
            "truth": truth,
            "observed": measurement.known()[1].cpu().numpy(),
            **extras,
            "ecg_id": np.asarray(keys, dtype=np.int64),
            "seconds": np.full(len(rows), seconds),
            "network_calls": np.full(len(rows), draws.calls.network),
            "gradient_calls": np.full(len(rows), draws.calls.gradient),
            "memory_mb": np.full(len(rows), peak_memory_mb()),
        }


def write_failed_chunk(chunk: Chunk, reason: str) -> None:
    """Writes the part of a chunk that nobody can work on, for a reason."""
    _write_part(chunk, {}, [(int(name), reason) for name in chunk.names])


def _write_part(chunk: Chunk, arrays: Arrays, failures: list[tuple[int, str]]) -> None:
    keys, reasons = ([failure[place] for failure in failures] for place in range(2))
    failed = {FAILED[0]: np.array(keys, dtype=np.int64), FAILED[1]: np.array(reasons, dtype=np.str_)}
    with atomic_write(chunk.part) as partial:
        np.savez(partial, **arrays, **failed)  # type: ignore[arg-type] # numpy's stub takes the keywords for allow_pickle
