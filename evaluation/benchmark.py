"""Measures each part, alone in a process of its own: python -m evaluation.benchmark benchmark.parts=[scoring]."""

from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig

from diffusion_prior.checkpoint import build_denoiser
from diffusion_prior.objective import DenoisingObjective, NoiseLevels
from diffusion_prior.observation import ObservationPatterns
from diffusion_prior.trainer import Trainer, TrainerSettings
from diffusion_prior.training_data import Source, TrainingData
from evaluation.noise_workload import noise_jobs
from evaluation.reconstruction_workload import reconstruction_jobs
from evaluation.tables import write_measurements
from evaluation.workload import StepTimer, machine, measure_jobs
from preprocessing.launch import plain, run_path, script
from preprocessing.ptbxl import FULL_SIZE
from preprocessing.ptbxl_store import prepare_ptbxl
from preprocessing.run_folder import RunFolder
from preprocessing.synthetic import simulate_store


def train(model: dict[str, Any], n_steps: int, batch_size: int, precision: str) -> dict[str, Any]:
    """Trains a fresh prior on simulated ECGs."""
    with TemporaryDirectory() as folder:
        data = StepTimer(TrainingData([Source(simulate_store(f"{folder}/store", 40))]))
        objective = DenoisingObjective(build_denoiser(model), NoiseLevels(), ObservationPatterns())
        settings = TrainerSettings(n_steps, batch_size, mixed_precision=precision)
        Trainer(objective, data, settings, RunFolder.create(f"{folder}/run", {}, seed=0, device="")).train()
    return {"records_per_second": batch_size / data.seconds_per_step()}


def prepare(raw_path: str, n_workers: int | None) -> dict[str, Any]:
    """Prepares the 500 Hz files of PTB-XL that are there, and projects the time to all of it."""
    with TemporaryDirectory() as folder:
        done = prepare_ptbxl(raw_path, f"{folder}/store", source_rate=500, n_workers=n_workers)
    return {"records_per_second": (pace := done.n_done / done.seconds), "minutes_for_all": FULL_SIZE / pace / 60}


@script("benchmark")
def main(cfg: DictConfig) -> None:
    """Measures the parts that the config names and prints the table."""
    config, part = plain(cfg), plain(cfg.benchmark)
    jobs = noise_jobs(part["superlet"], part["scoring"])
    jobs |= {("training", p): (train, {**part["training"], "precision": p}) for p in part["precisions"]}
    jobs |= reconstruction_jobs(part["methods"], part["sampling"], part["cohort"])
    jobs["preprocessing", "500 Hz"] = (prepare, part["preparation"])
    folder = RunFolder.create(run_path(), config, seed=config["seed"], device="cpu")
    print(write_measurements(measure_jobs(jobs, part["parts"]), folder.path, machine()))


if __name__ == "__main__":
    main()
