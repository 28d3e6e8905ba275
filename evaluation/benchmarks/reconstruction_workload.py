"""Pieces of work on reconstructions that `evaluation.benchmark` measures, each in a process of its own."""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from diffusion_prior.checkpoint import load_denoiser
from diffusion_prior.model.acceleration import accelerate_denoiser
from einthoven.run.memory import Jobs
from preprocessing.cohorts.simulator import simulate_ecg, simulate_store
from reconstruction.api import build_sampler, reconstruct
from reconstruction.batch import reconstruct_batch
from reconstruction.measurement.missingness import Missingness
from reconstruction.measurement.task import HideSamples
from reconstruction.samplers.registry import METHODS

SAMPLERS, COHORT = "samplers", "cohort"


def reconstruction_jobs(methods: Sequence[str], sampling: dict[str, Any], cohort: dict[str, Any]) -> Jobs:
    """Lists the work on reconstructions.

    Args:
        methods: Names of `reconstruction.samplers.registry.METHODS`.
        sampling: Arguments of `restore` but for the method.
        cohort: Arguments of `restore_cohort`.

    Returns:
        The jobs, parts `SAMPLERS` and `COHORT`.
    """
    jobs: Jobs = {(SAMPLERS, method): (restore, {**sampling, "method": method}) for method in methods}
    jobs[COHORT, f"amortised, batches of {cohort['batch_size']}"] = (restore_cohort, cohort)
    return jobs


def restore(
    method: str, n_samples: int, weights: str | None, device: str = "cpu", precision: str = "float32"
) -> dict[str, Any]:
    """Reconstructs one simulated ECG of 10 s at 100 Hz from lead I.

    Args:
        method: The method.
        n_samples: Number of samples.
        weights: Weights of the prior; None: the bundled ones.
        device: Device of the network.
        precision: As `accelerate_denoiser` takes it.

    Returns:
        Seconds and calls.
    """
    ecg, denoiser = simulate_ecg(1)[0, :1], load_denoiser(weights).to(device)
    sampler = METHODS[method](accelerate_denoiser(denoiser, precision))
    result = reconstruct(ecg, 100, ["I"], n_samples, method, sampler=sampler, device=device)
    return {name: getattr(result, name) for name in ("seconds", "network_calls", "gradient_calls")}


def restore_cohort(
    n_records: int,
    n_samples: int,
    batch_size: int,
    weights: str | None,
    method: str = "amortised",
    n_leads: int = 1,
    segment_length: int | None = None,
) -> dict[str, Any]:
    """Reconstructs simulated ECGs of 10 s at 100 Hz from some leads, in batches, into files.

    Args:
        n_records: Number of ECGs.
        n_samples: Number of samples of each.
        batch_size: ECGs in one batch.
        weights: Weights of the prior; None: the bundled ones.
        method: The method, by default the amortised sampler.
        n_leads: How many leads are given: the first, or random ones of the eight independent.
        segment_length: Samples of the stretch that is taken of each ECG; None: all.

    Returns:
        Records per minute, with the writing of the files, and `n_bytes`, how large these are.
    """
    sampler = build_sampler(method, weights)
    task = HideSamples(Missingness("lead", 1) if n_leads == 1 else Missingness("random_lead", n_leads))
    with TemporaryDirectory() as folder:
        store, run = simulate_store(f"{folder}/store", n_records), Path(folder) / "run"
        start = time.perf_counter()
        reconstruct_batch(
            store,
            np.arange(n_records),
            sampler,
            run,
            task,
            n_samples=n_samples,
            batch_size=batch_size,
            segment_length=segment_length,
        )
        seconds = time.perf_counter() - start
        n_bytes = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    pace = 60 * n_records / seconds
    return {"n_records": n_records, "seconds": seconds, "records_per_minute": pace, "n_bytes": n_bytes}
