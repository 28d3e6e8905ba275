"""Trains the prior: `python -m diffusion_prior.train`.

On several GPUs or CPU processes: `accelerate launch --multi_gpu --num_processes 2 -m diffusion_prior.train`.
"""

from statistics import fmean
from typing import Any

import torch

from diffusion_prior.checkpoint import build_denoiser, take_weights
from diffusion_prior.training.augmentation import Augmentation
from diffusion_prior.training.data import Source, TrainingData
from diffusion_prior.training.objective import build_objective
from diffusion_prior.training.shared_run import create_shared_run
from diffusion_prior.training.trainer import Trainer, TrainerSettings
from einthoven.report.figures import draw_loss_curve
from einthoven.run.launch import Outcome, run_path, script
from preprocessing.store.store import Store


@script("train")
def main(config: dict[str, Any]) -> str | Outcome:
    """Builds data, model and trainer from the config, trains, draws the loss curve."""
    dataset, model, train = config["dataset"], config["model"], config["train"]
    results_path = train.pop("results_path")
    settings = TrainerSettings(**train, seed=config["seed"])
    torch.manual_seed(config["seed"])
    denoiser = build_denoiser(model)
    if config["checkpoint"]:
        take_weights(denoiser, config["checkpoint"])
    if config.pop("dry_run"):
        return f"{config}\n{denoiser}\n{sum(w.numel() for w in denoiser.parameters()):,} parameters"
    lengths = dataset["segment_length"]
    stores = [Source(Store.open(dataset["database_path"]))]
    stores += [Source(Store.open(extra["path"]), weight=extra["weight"]) for extra in dataset["extra_stores"]]
    augmentation = Augmentation(**config["augmentation"])
    data = TrainingData(stores, denoiser.leads, augmentation, lengths if isinstance(lengths, list) else [lengths])
    objective = build_objective(denoiser, config["objective"], model["unconditional"], data.validation)
    manifest_hash = stores[0].store.manifest_hash
    run = create_shared_run(results_path or run_path(), config, seed=settings.seed, data_manifest_hash=manifest_hash)
    trainer = Trainer(objective, data, settings, run)
    losses = trainer.train()
    lines = []
    if trainer.accelerator.is_main_process:
        draw_loss_curve(run.metrics(), run.path / "loss.png")
        lines = [*(f"{name}: {value:.4f}" for name, value in losses.items()), f"weights in {run.path}"]
    return Outcome("\n".join(lines), objective=fmean(losses.values()))


if __name__ == "__main__":
    main()
