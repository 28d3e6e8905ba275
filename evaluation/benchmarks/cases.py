"""What `evaluation.benchmark` measures: functions that prepare calls, each in a process of its own.

ECGs are simulated, but for the preparation of files. A call that works on records returns `n_records`.
"""

import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import pad

from diffusion_prior.checkpoint import build_denoiser
from diffusion_prior.training.data import TrainingData, WeightedStore
from diffusion_prior.training.objective import DenoisingObjective, NoiseLevels
from diffusion_prior.training.observation import ObservationPatterns
from diffusion_prior.training.settings import TrainerSettings
from diffusion_prior.training.trainer import Trainer
from einthoven.ecg.leads import LEADS
from einthoven.ecg.recording import Recording
from einthoven.run.chunks import Engine, LocalEngine
from einthoven.run.ray_engine import RayEngine
from einthoven.run.run_folder import RunFolder
from evaluation.benchmarks.measuring import Calls
from evaluation.benchmarks.networks import call_networks, compare_mgps, method_spec, on, restore
from noise_quant.data import sources
from noise_quant.model.checkpoint import build_model, load_model
from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scalogram.image import HAN, WIDTH
from noise_quant.scalogram.superlet import FLOOR, SuperletSettings, superlet_transform
from noise_quant.scoring.methods import scoring_method
from noise_quant.scoring.score_table import score_source
from noise_quant.scoring.scorer import Scorer
from preprocessing.cohorts.cohort import prepare as cohort_store
from preprocessing.cohorts.ptbxl import Ptbxl
from preprocessing.cohorts.simulator import simulate_ecg, simulate_store
from preprocessing.store.preparation import RecordFile
from reconstruction.api import reconstruct
from reconstruction.batch import reconstruct_batch
from reconstruction.measurement.missingness import HideSamples, Missingness
from reconstruction.samplers.spec import SamplerSpec

RATE = 500


@dataclass
class TimedData(TrainingData):
    """Training data that notes when each batch is asked for, in s, so that the time of a step is known."""

    started: list[float] = field(default_factory=list)

    def batch(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draws a batch of `n` records."""
        self.started.append(perf_counter())
        return super().batch(n, generator)


def train(
    model: dict[str, Any], n_steps: int, precision: str, records: int, length: int, device: str | None = None
) -> Calls:
    """Trains a fresh prior on pieces of ECGs; the seconds are the median of a step's, without the first three.

    Training takes a GPU where there is one; a `device` says in the table that it was one.
    """

    def call() -> dict[str, Any]:
        with TemporaryDirectory() as folder:
            data = TimedData([WeightedStore(simulate_store(f"{folder}/store", 40))], lengths=(length,))
            objective = DenoisingObjective(build_denoiser(model), NoiseLevels(), ObservationPatterns())
            settings = TrainerSettings(n_steps, records, mixed_precision=precision)
            Trainer(objective, data, settings, RunFolder.create(f"{folder}/run", {}, seed=0, device="")).train()
        return {"seconds": float(np.median(np.diff(data.started)[2:])), "n_records": records}

    return {f"train, {precision}{on(device)}": call}


def prepare(raw_path: str, records: int | None, workers: int | None) -> Calls:
    """Prepares a store of 100 Hz from the first so many of PTB-XL's 500 Hz files that are there; None: all."""

    def call() -> dict[str, Any]:
        with TemporaryDirectory() as folder:
            root, copy = Path(raw_path).resolve(), Path(folder, "ptb-xl")
            copy.mkdir()
            table = pd.read_csv(root / "ptbxl_database.csv", low_memory=False)
            there = [(root / f"{name}.hea").is_file() for name in table["filename_hr"]]
            table[there].head(records or len(table)).to_csv(copy / "ptbxl_database.csv", index=False)
            shutil.copy(root / "scp_statements.csv", copy)
            (copy / "records500").symlink_to(root / "records500")
            cohort = Ptbxl(source_rate=500)
            done = cohort_store(cohort, copy, f"{folder}/store", n_workers=workers, max_skipped=1.0)
            return {"seconds": done.seconds, "n_records": done.n_done, "n_bytes": _bytes_in(done.store)}

    return {"prepare": call}


def inpaint(
    method: str,
    weights: str | None,
    batch_size: int,
    records: int,
    leads: int,
    samples: int,
    length: int | None = None,
    workers: int | None = None,
    device: str = "cpu",
) -> Calls:
    """Rebuilds twelve leads of ECGs of 10 s at 100 Hz, in batches, into files.

    The method is named as in `method_spec`. One lead that is given is the first, several are random ones of the eight
    independent; `samples` are drawn of each ECG, of a stretch of `length` points (None: all), by Ray's `workers` (None:
    by this process).
    """
    sampler, folder = method_spec(method, weights=weights), TemporaryDirectory()
    task = HideSamples(Missingness("lead", 1) if leads == 1 else Missingness("random_lead", leads))
    store = simulate_store(f"{folder.name}/store", records)

    def run(path: Path, progress: Callable[[int], None], engine: Engine) -> None:
        sizes: dict[str, Any] = {"n_samples": samples, "batch_size": batch_size, "segment_length": length}
        how: dict[str, Any] = {"progress": progress, "engine": engine, "device": device}
        reconstruct_batch(store, np.arange(records), sampler, path, task, **sizes, **how)

    return {f"inpaint, {method}{on(device)}": partial(run_cohort, run, folder, workers)}


def denoise(method: str, weights: str | None, records: int, leads: int, samples: int, seconds: float) -> Calls:
    """Removes noise from ECGs at 100 Hz, one record at a time; leads that are not recorded are rebuilt too."""
    ecgs = simulate_ecg(records, 100, seconds, noise=0.1)[:, :leads]
    sampler = SamplerSpec(method, weights=weights).blind().build()

    def call() -> dict[str, Any]:
        for number, ecg in enumerate(ecgs):
            reconstruct(ecg, 100, LEADS[:leads], samples, noise="ma", sampler=sampler, key=number)
        return {"n_records": records}

    return {f"denoise, {method}": call}


def superlets(
    forms: Sequence[str], records: int = 1, leads: int = 12, seconds: float = 10, device: str = "cpu"
) -> Calls:
    """Makes the scalograms of ECGs at 500 Hz, in one batch, in the "default form", "Han's form" or by "plain FFT"."""
    ecgs = torch.from_numpy(simulate_ecg(records, RATE, seconds)[:, :leads]).flatten(0, 1).to(device)

    def transform(form: str) -> dict[str, Any]:
        if form == "plain FFT":
            plain_superlets(ecgs)
        else:
            superlet_transform(ecgs, RATE, SuperletSettings(published=form == "Han's form"), WIDTH)
        return {"n_records": records}

    return {f"superlets, {form}{on(device)}": partial(transform, form) for form in forms}


def plain_superlets(signals: Tensor, sampling_rate: float = RATE) -> Tensor:
    """Makes superlets as anyone would first: each wavelet by batched Fourier transforms, at the full rate.

    Of ECGs in mV, shape (n, L), the log10 of the power in mV^2 at every sample, by our default form, shape (n, F, L).
    """
    settings, length = SuperletSettings(), signals.shape[-1]
    margin = math.ceil(settings.half_length() * sampling_rate) + 1
    n = next_fast_len(length + 2 * margin)
    hertz = torch.fft.fftfreq(n, 1 / sampling_rate, dtype=torch.float64)
    spectrum = torch.fft.fft(pad(signals[:, None].float(), (margin, margin), mode="reflect"), n)
    rows = []
    for frequency, order in zip(settings.frequencies.tolist(), settings.orders.tolist(), strict=True):
        numbers = range(1, math.ceil(order) + 1)
        deviations = torch.tensor([settings.deviation(frequency, number) for number in numbers])
        wavelets = math.sqrt(2) * torch.exp(-2 * (math.pi * deviations[:, None] * (hertz - frequency)) ** 2)
        shares = torch.tensor([min(1.0, order - number + 1) / order for number in numbers])
        response = torch.view_as_real(torch.fft.ifft(spectrum * wavelets.float())[..., margin : margin + length])
        rows.append(torch.einsum("w,nwl->nl", shares, torch.log10(response.square().sum(-1) + FLOOR**2)))
    return torch.stack(rows[::-1], dim=1)


def score(
    weights: str | None,
    records: int,
    leads: int = 12,
    seconds: float = 10,
    size: str = "small",
    batch_size: int = 64,
    device: str = "cpu",
) -> Calls:
    """Scores ECGs at 500 Hz from end to end.

    They are scored one after the other, and share the network's batches of images. The size is "small", or "published"
    for the published networks with random weights and the published superlets.
    """
    spec = {"kind": "latent", "size": "published", "scalogram": vars(HAN)}
    model = load_model(weights) if size == "small" else build_model(spec)
    assert isinstance(model, ScalogramDiffusion)
    ecgs = simulate_ecg(records, RATE, seconds)[:, :leads].astype(np.float64)
    scorer = Scorer(model.to(device), ReverseProcess(), batch_size=batch_size)
    scorer.score(ecgs[0, :1], RATE)  # makes the filters

    def call() -> dict[str, Any]:
        jobs = ((number, ecg, RATE, LEADS[:leads]) for number, ecg in enumerate(ecgs))
        return {"n_records": len(list(scorer.score_many(jobs)))}

    return {f"score, {size}{on(device)}": call}


def score_cohort(weights: str | None, records: int, chunk_records: int, workers: int) -> Calls:
    """Scores 12-lead ECGs of 10 s at 500 Hz with Ray's workers, in chunks, into files."""
    make, folder, keys = partial(scoring_method, checkpoint=weights), TemporaryDirectory(), range(records)
    path = f"{folder.name}/ecgs.npy"
    np.save(path, simulate_ecg(records, RATE), allow_pickle=False)
    files = [RecordFile(key, path, RATE, str(key)) for key in keys]
    items = [sources.SourceItem({"ecg_id": key}, LEADS, file) for key, file in enumerate(files)]
    labels = pd.DataFrame({"ecg_id": keys}).merge(pd.DataFrame({"lead": LEADS}), how="cross")
    source = sources.Source(items, labels, _read_row)

    def run(path: Path, progress: Callable[[int], None], engine: Engine) -> None:
        score_source(source, make(), path, chunk_records, lambda n: progress(n // len(LEADS)), engine, make)

    return {"score": partial(run_cohort, run, folder, workers)}


def run_cohort(run: Callable[..., None], folder: "TemporaryDirectory[str]", workers: int | None) -> dict[str, Any]:
    """Runs a cohort into a folder; with Ray the seconds are those of the steady state.

    That is counted from when as many chunks are done as there are workers, until the last one is.
    """
    first, engine = (0, LocalEngine()) if workers is None else (workers, RayEngine(n_workers=workers))
    done = [(perf_counter(), 0)]
    path = Path(mkdtemp(dir=folder.name))
    run(path / "run", lambda n: done.append((perf_counter(), n)), engine)
    times, sizes = (np.array(values) for values in zip(*done, strict=True))
    steady = (times[-1] - times[first]) / sizes[first + 1 :].sum()
    return {"seconds": float(steady * sizes.sum()), "n_records": int(sizes.sum()), "n_bytes": _bytes_in(path)}


def command(words: Sequence[str]) -> Calls:
    """Runs a command from its start to its pictures, in a process of its own.

    Beside the seconds, `outside_network` is the share of them (%) that is not the sampler's, as the command tells it.
    """

    def call() -> dict[str, Any]:
        with TemporaryDirectory() as folder:
            line = [sys.executable, "-m", "einthoven", *words, f"paths.runs={folder}"]
            start = perf_counter()
            done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=folder)
            seconds = perf_counter() - start
        told = re.search(r"network calls .* in ([\d.]+) s", done.stdout)
        return {} if told is None else {"outside_network": 100 * (1 - float(told[1]) / seconds)}

    return {"einthoven " + " ".join(words): call}


def _read_row(item: sources.SourceItem) -> Recording:
    """Reads an ECG from a file of many, by its number."""
    ecgs = np.load(item.file.path, mmap_mode="r", allow_pickle=False)
    return Recording(ecgs[item.columns["ecg_id"]].astype(np.float64), RATE, LEADS, str(item.columns["ecg_id"]))


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


_CASES = (
    *(train, prepare, restore, inpaint, denoise, superlets, score, score_cohort, call_networks, compare_mgps),
    command,
)
CASES: dict[str, Callable[..., Calls]] = {build.__name__: build for build in _CASES}
"""The functions by name."""
