"""The scripts that are killed, at a tiny size, and the data that they read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from diffusion_prior.checkpoint import build_denoiser, save_denoiser
from noise_quant.model.checkpoint import build_model, save_model
from preprocessing.cohorts.simulated_files import write_synthetic_files
from preprocessing.cohorts.simulator import simulate_ecg, simulate_store
from tests.wfdb_files import write_wfdb

BACKBONE = {"name": "unet1d", "channels": [8], "kernel_sizes": [3], "attention": [False], "n_blocks": 1}
NETWORKS = {"ae": {"width": 8, "latent_channels": 2, "n_blocks": 1}, "unet": {"in_channels": 2, "channels": [8, 16]}}
N_RECORDS = 40
"""Of the simulated PTB-XL."""


@dataclass(frozen=True)
class Job:
    """A script that is killed.

    Attributes:
        name: Its name.
        module: The script.
        words: Its overrides, with {data} for the folder of the data and {run} for that of the results.
        share: How many of the blows it gets beside others.
    """

    name: str
    module: str
    words: tuple[str, ...]
    share: float = 1.0

    @property
    def is_on_ray(self) -> bool:
        """Whether Ray's workers do its work."""
        return "engine=ray" in self.words

    def overrides(self, data: Path, run: Path) -> list[str]:
        """Returns its overrides for two folders."""
        return [word.format(data=data, run=run) for word in self.words]


_STORE = ("dataset.store={data}/store", "dataset.split=train", "dataset.n_records=3")
_DRAWS = ("checkpoint={data}/prior.safetensors", "algo=ddnm", "algo.sampler.n_steps=2", "algo.n_samples=2")
_TRAINING = (
    *("dataset.database_path={data}/store", "dataset.segment_length=128", "train.results_path={run}/run"),
    *("train.n_steps=6", "train.batch_size=2", "train.warmup_steps=1", "train.validate_every=3", "train.save_every=2"),
)
_SCORES = ("source=mixtures", "split=val", "n_records=4", "sources.mixtures.noise_types=[em]", "score.chunk_records=2")
_SCORED = ("dataset.raw_path={data}/ptb-xl", "sources.mixtures.nstdb_path={data}/nstdb", "score.results_path={run}/run")
_ON_RAY = ("engine=ray", "engine.n_workers=1")
JOBS = (
    Job(
        "prepare",
        "preprocessing.prepare_ptbxl",
        ("dataset.raw_path={data}/ptb-xl", "dataset.database_path={run}/store", "dataset.n_workers=1")
        + ("hydra.run.dir={run}/run",),
    ),
    Job(
        "prepare by two",
        "preprocessing.prepare_ptbxl",
        ("dataset.raw_path={data}/ptb-xl", "dataset.database_path={run}/store", "dataset.n_workers=2")
        + ("hydra.run.dir={run}/run",),
        share=0.15,
    ),
    Job(
        "train",
        "diffusion_prior.train",
        (
            "model=tiny",
            *(f"model.backbone.{key}={str(value).lower()}" for key, value in BACKBONE.items() if key != "name"),
        )
        + ("model.backbone.patch=4", *_TRAINING),
    ),
    Job(
        "train a rival",
        "reconstruction.train_rival",
        (*_TRAINING, *(f"rival.model.backbone.{key}={str(BACKBONE[key]).lower()}" for key in list(BACKBONE)[1:])),
        share=0.5,
    ),
    Job(
        "generate",
        "diffusion_prior.generate",
        ("dataset.database_path={data}/store", "dataset.training_class=train", "checkpoint={data}/prior.safetensors")
        + ("generate.n_ecgs=4", "generate.n_steps=2", "generate.length=64", "generate.batch_size=1")
        + ("generate.results_path={run}/run",),
    ),
    Job("inpaint", "reconstruction.inpaint", (*_STORE, *_DRAWS, "algo.batch_size=1", "inpaint.results_path={run}/run")),
    Job(
        "denoise",
        "reconstruction.denoise",
        (*_STORE, *_DRAWS, "algo.batch_size=1", "denoise.results_path={run}/run", "denoising.snr_db=6")
        + ("denoising.noise_path={data}/noise",),
    ),
    Job(
        "repair",
        "reconstruction.repair",
        ("recordings=[{data}/records]", "n_samples=2", "results_path={run}/run", "checkpoint={data}/prior.safetensors"),
        0.5,
    ),
    Job(
        "score",
        "noise_quant.score_noise",
        (*_SCORES, *_SCORED, "checkpoint={data}/model.safetensors", "timestep=10"),
    ),
    Job(
        "score on Ray",
        "noise_quant.score_noise",
        (*_SCORES, *_SCORED, "checkpoint={data}/model.safetensors", "timestep=10", *_ON_RAY),
        share=0.1,
    ),
    Job(
        "inpaint on Ray",
        "reconstruction.inpaint",
        (*_STORE, *_DRAWS, "algo.batch_size=1", "inpaint.results_path={run}/run", *_ON_RAY),
        share=0.1,
    ),
    Job(
        "repair on Ray",
        "reconstruction.repair",
        ("recordings=[{data}/records]", "n_samples=2", "results_path={run}/run", "checkpoint={data}/prior.safetensors")
        + _ON_RAY,
        share=0.1,
    ),
    Job(
        "reproduce",
        "evaluation.reproduce",
        ("size=smoke", "table=missing_block", "reproduce.results_path={run}/run"),
        share=0.1,
    ),
)


def write_data(folder: Path) -> None:
    """Writes all that the jobs read."""
    simulate_store(folder / "store", 10, 100, 2.56, seed=1)
    write_synthetic_files(folder, N_RECORDS)
    for key in (1, 2, 3):
        ecg = simulate_ecg(1, 100, 4.0, seed=key)[0].astype(np.float64)
        ecg[key, 100:200] = 0.0
        write_wfdb(folder / "records", str(key), ecg, 100)
    _write_noise(folder / "noise")
    write_weights(folder)


def write_weights(folder: Path) -> None:
    """Writes weights of a tiny prior and of a tiny noise model."""
    torch.manual_seed(1)
    denoiser = build_denoiser({"backbone": BACKBONE})
    model = build_model({"kind": "latent", "scaling_factor": 1.0, **NETWORKS})
    for parameter in (*denoiser.parameters(), *model.parameters()):
        torch.nn.init.normal_(parameter, std=0.1)
    save_denoiser(folder / "prior.safetensors", denoiser)
    save_model(folder / "model.safetensors", model)


def _write_noise(folder: Path) -> None:
    from einthoven.run.files import write_json

    folder.mkdir(parents=True)
    recording = np.random.default_rng(1).standard_normal((2, 4000)).astype(np.float32)
    names = [f"{name}_{half}" for name in ("bw", "em", "ma") for half in ("fit", "test")]
    np.savez(folder / "noise.npz", **dict.fromkeys(names, recording))
    write_json(folder / "manifest.json", {"sampling_rate": 100})
