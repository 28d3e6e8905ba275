"""Pieces of work whose growth `evaluation.benchmark` measures: the same work at several sizes, in one process.

Each takes its sizes as arguments and returns `seconds`, without what is done once (weights read, ECGs simulated), and
`n_records`; some also the `n_bytes` that they wrote.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch

from diffusion_prior.checkpoint import build_denoiser
from diffusion_prior.training.data import TrainingData, WeightedStore
from diffusion_prior.training.objective import DenoisingObjective, NoiseLevels
from diffusion_prior.training.observation import ObservationPatterns
from diffusion_prior.training.settings import TrainerSettings
from diffusion_prior.training.trainer import Trainer
from einthoven.ecg.leads import LEADS
from einthoven.run.memory import Jobs, StepTimer, Work, peak_memory_mb
from einthoven.run.run_folder import RunFolder
from evaluation.benchmarks.growth import GROWTH
from evaluation.benchmarks.noise_workload import RATE
from evaluation.benchmarks.reconstruction_workload import restore_cohort
from noise_quant.model.checkpoint import load_model
from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scalogram.image import WIDTH
from noise_quant.scalogram.superlet import SuperletSettings, superlet_transform
from noise_quant.scoring.scorer import Scorer
from preprocessing.cohorts.ptbxl import FULL_SIZE
from preprocessing.cohorts.ptbxl_store import prepare_ptbxl
from preprocessing.cohorts.simulator import simulate_ecg, simulate_store
from reconstruction.api import build_sampler, reconstruct


def growth_jobs(
    works: Mapping[str, Mapping[str, Any]], n_threads: int, n_repeats: int, only: Sequence[str] | None = None
) -> Jobs:
    """Lists the works with the sizes that grow.

    Args:
        works: By name of `WORKS`: the arguments `fixed`, and `axes`, the values of each size that grows, ascending.
        n_threads: Threads of torch.
        n_repeats: How often each point is measured; the quickest counts.
        only: Names of the works to measure; None: all.

    Returns:
        The jobs, part `GROWTH`, one for each work and size.

    Raises:
        ValueError: If a work is unknown.
    """
    unknown = sorted({*works, *(only or ())} - WORKS.keys())
    if unknown:
        raise ValueError(f"unknown benchmark.growth.works {', '.join(unknown)}: choose from {', '.join(WORKS)}")
    common = {"n_threads": n_threads, "n_repeats": n_repeats}
    return {
        (GROWTH, f"{name}: {axis}"): (
            grow,
            {**common, "work": name, "axis": axis, "values": list(values), "fixed": dict(settings["fixed"])},
        )
        for name, settings in works.items()
        if only is None or name in only
        for axis, values in settings["axes"].items()
    }


def training_jobs(precisions: Sequence[str], training: dict[str, Any]) -> Jobs:
    """Lists the training of a fresh prior on whole records, part "training": arguments of `train`."""
    return {("training", precision): (train, {**training, "precision": precision}) for precision in precisions}


def preparation_jobs(preparation: dict[str, Any]) -> Jobs:
    """Lists the preparation of PTB-XL's files, part "preprocessing": arguments of `prepare`."""
    return {("preprocessing", "500 Hz"): (prepare, preparation)}


def train(model: dict[str, Any], n_steps: int, batch_size: int, precision: str) -> dict[str, Any]:
    """Trains a fresh prior on simulated ECGs of 10 s."""
    found = train_steps(model, n_steps, precision, batch_size, 1000)
    return {"records_per_second": batch_size / found["seconds"]}


def prepare(raw_path: str, n_workers: int | None) -> dict[str, Any]:
    """Prepares the 500 Hz files of PTB-XL that are there, and projects the time to all of it."""
    with TemporaryDirectory() as folder:
        done = prepare_ptbxl(raw_path, f"{folder}/store", source_rate=500, n_workers=n_workers)
    return {"records_per_second": (pace := done.n_done / done.seconds), "minutes_for_all": FULL_SIZE / pace / 60}


def grow(
    work: str, axis: str, values: Sequence[Any], fixed: Mapping[str, Any], n_threads: int, n_repeats: int
) -> dict[str, Any]:
    """Does the same work at several sizes.

    Args:
        work: Its name in `WORKS`.
        axis: The argument that grows.
        values: Its values, ascending, so that the peak of memory after each is its own.
        fixed: The other arguments.
        n_threads: Threads of torch.
        n_repeats: How often each point is measured; the quickest counts, which other programs disturbed least.

    Returns:
        `work`, `axis` and `points`: the value, what the work returned, and `peak_memory_mb` until then.
    """
    torch.set_num_threads(n_threads)
    points = []
    for value in values:
        arguments = {**fixed, axis: value}
        laps = [WORKS[work](**arguments) for _ in range(n_repeats)]
        best = min(laps, key=lambda lap: float(lap["seconds"]))
        points.append({"value": value, **best, "peak_memory_mb": peak_memory_mb()})
    return {"work": work, "axis": axis, "points": points}


def prepare_files(raw_path: str, records: int, workers: int) -> dict[str, Any]:
    """Prepares the first so many of the 500 Hz files of PTB-XL that are there."""
    root = Path(raw_path)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "ptb-xl"
        copy.mkdir()
        table = pd.read_csv(root / "ptbxl_database.csv", low_memory=False)
        there = [(root / f"{name}.hea").is_file() for name in table["filename_hr"]]
        table[there].head(records).to_csv(copy / "ptbxl_database.csv", index=False)
        shutil.copy(root / "scp_statements.csv", copy)
        (copy / "records500").symlink_to((root / "records500").resolve())
        done = prepare_ptbxl(copy, f"{folder}/store", source_rate=500, n_workers=workers, max_skipped=1.0)
        n_bytes = _bytes_in(done.store)
    return {"seconds": done.seconds, "n_records": done.n_done, "n_bytes": n_bytes}


def transform_superlets(records: int, leads: int, seconds: float) -> dict[str, Any]:
    """Makes the superlet scalograms of simulated ECGs at 500 Hz, one record at a time."""
    ecgs = torch.from_numpy(simulate_ecg(records, RATE, seconds)[:, :leads])
    superlet_transform(ecgs[0, :1], RATE, SuperletSettings(), WIDTH)  # makes the filters
    start = time.perf_counter()
    for ecg in ecgs:
        superlet_transform(ecg, RATE, SuperletSettings(), WIDTH)
    return {"seconds": time.perf_counter() - start, "n_records": records}


def score_records(weights: str | None, records: int, leads: int, seconds: float) -> dict[str, Any]:
    """Scores the noise of simulated ECGs at 500 Hz, from end to end."""
    model = load_model(weights)
    assert isinstance(model, ScalogramDiffusion)
    ecgs = simulate_ecg(records, RATE, seconds)[:, :leads].astype(np.float64)
    scorer = Scorer(model, ReverseProcess())
    scorer.score(ecgs[0, :1], RATE)
    start = time.perf_counter()
    n_scored = len(list(scorer.score_many((number, ecg, RATE, LEADS[:leads]) for number, ecg in enumerate(ecgs))))
    return {"seconds": time.perf_counter() - start, "n_records": n_scored}


def denoise_records(
    method: str, weights: str | None, records: int, leads: int, samples: int, seconds: float
) -> dict[str, Any]:
    """Removes noise from simulated ECGs at 100 Hz, one record at a time."""
    ecgs = simulate_ecg(records, 100, seconds, noise=0.1)[:, :leads]
    sampler = build_sampler(method, weights, blind=True)
    start = time.perf_counter()
    for number, ecg in enumerate(ecgs):
        reconstruct(ecg, 100, LEADS[:leads], samples, noise="ma", sampler=sampler, key=number)
    return {"seconds": time.perf_counter() - start, "n_records": records}


def train_steps(model: dict[str, Any], n_steps: int, precision: str, records: int, length: int) -> dict[str, Any]:
    """Trains a fresh prior on pieces of simulated ECGs.

    Args:
        model: Its config.
        n_steps: Optimiser steps; the first three are not counted.
        precision: "no" or "bf16".
        records: Records of a batch.
        length: Samples of a piece.

    Returns:
        Median seconds of a step.
    """
    with TemporaryDirectory() as folder:
        data = StepTimer(TrainingData([WeightedStore(simulate_store(f"{folder}/store", 40))], lengths=(length,)))
        objective = DenoisingObjective(build_denoiser(model), NoiseLevels(), ObservationPatterns())
        settings = TrainerSettings(n_steps, records, mixed_precision=precision)
        Trainer(objective, data, settings, RunFolder.create(f"{folder}/run", {}, seed=0, device="")).train()
    return {"seconds": data.seconds_per_step(), "n_records": records}


def inpaint_records(
    method: str, weights: str | None, batch_size: int, records: int, leads: int, samples: int, length: int
) -> dict[str, Any]:
    """Rebuilds twelve leads of simulated ECGs at 100 Hz from some, in batches, into files."""
    found = restore_cohort(records, samples, batch_size, weights, method=method, n_leads=leads, segment_length=length)
    return {name: found[name] for name in ("seconds", "n_records", "n_bytes")}


WORKS: dict[str, Work] = {
    "prepare": prepare_files,
    "superlets": transform_superlets,
    "score": score_records,
    "inpaint": inpaint_records,
    "inpaint, decoupled": inpaint_records,
    "denoise": denoise_records,
    "train": train_steps,
}
"""The works by name."""


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
