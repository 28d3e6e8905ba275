"""Training of the rivals: what the script does, from plain settings to a run folder."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from diffusion_prior.training.augmentation import Augmentation
from diffusion_prior.training.data import Source, TrainingData
from diffusion_prior.training.shared_run import create_shared_run
from diffusion_prior.training.trainer import Trainer, TrainerSettings
from einthoven.report.figures import draw_loss_curve
from preprocessing.store.store import Store
from reconstruction.measurement.checks import check_choice
from reconstruction.rivals.descod import DescodObjective
from reconstruction.rivals.unet_denoiser import DenoisingNetworkObjective
from reconstruction.rivals.unet_regression import RegressionObjective

RivalObjective = RegressionObjective | DescodObjective | DenoisingNetworkObjective

OBJECTIVES: dict[str, type[RivalObjective]] = {
    "unet_regression": RegressionObjective,
    "descod": DescodObjective,
    "unet_denoiser": DenoisingNetworkObjective,
}


def train_rival(settings: Mapping[str, Any], default_path: Path) -> str:
    """Trains a rival; a run that was stopped goes on in its folder.

    Writes `weights.safetensors` (smoothed), `state.pt`, `metrics.jsonl` and `loss.png`.

    Args:
        settings: Settings, as `configs/train_rival.yaml` has them.
        default_path: Run folder, where the settings name none.

    Returns:
        What to tell the user: the last losses and the folder; or, of a dry run, settings and network.

    Raises:
        ValueError: If a setting is not usable, or a store or the noise is not there.
    """
    config = copy.deepcopy(dict(settings))
    path = config["train"].pop("results_path") or default_path
    trainer_settings = TrainerSettings(**config["train"], seed=config["seed"])
    torch.manual_seed(config["seed"])
    objective = build_rival(config["rival"])
    if config.pop("dry_run"):
        n_weights = sum(weight.numel() for weight in objective.parameters())
        return f"{yaml.safe_dump(config, sort_keys=False)}\n{objective.network}\n{n_weights:,} parameters"
    data = _training_data(config, objective)
    manifest_hash = data.sources[0].store.manifest_hash
    run = create_shared_run(path, config, seed=config["seed"], data_manifest_hash=manifest_hash)
    trainer = Trainer(objective, data, trainer_settings, run)
    losses = trainer.train()
    if trainer.accelerator.is_main_process:
        draw_loss_curve(run.metrics(), run.path / "loss.png")
    return "\n".join([*(f"{name}: {loss:.4f}" for name, loss in losses.items()), f"weights in {run.path}"])


def build_rival(settings: Mapping[str, Any]) -> RivalObjective:
    """Builds a rival's network, with fresh weights, in the objective that it is trained with.

    Args:
        settings: `kind`, `model` (as for `RivalNetwork`) and `objective` (as for the rival's own).

    Raises:
        ValueError: If the kind is not known or a setting is not usable.
    """
    check_choice("rival", settings["kind"], list(OBJECTIVES))
    return OBJECTIVES[settings["kind"]].build(settings["model"], settings["objective"])


def _training_data(config: Mapping[str, Any], objective: RivalObjective) -> TrainingData:
    """Opens the stores; raises ValueError where one is not at the network's rate."""
    dataset, network = config["dataset"], objective.network
    sources = [Source(Store.open(dataset["database_path"]))]
    sources += [Source(Store.open(extra["path"]), weight=extra["weight"]) for extra in dataset["extra_stores"]]
    for source in sources:
        if source.store.sampling_rate != network.sampling_rate:
            raise ValueError(
                f"{source.store.path} has {source.store.sampling_rate:g} Hz, the rival {network.sampling_rate:g} Hz: "
                "give a store of that rate, or rival.model.sampling_rate"
            )
    return TrainingData(sources, network.leads, Augmentation(**config["augmentation"]), dataset["segment_length"])
