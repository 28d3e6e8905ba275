"""Training of a rival: what the script does, from plain settings to a run folder."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from diffusion_prior.training.data import TrainingData
from diffusion_prior.training.settings import TrainerSettings
from diffusion_prior.training.training_run import describe_model, run_training
from einthoven.run.registry import check_choice
from reconstruction.rivals.descod import DescodObjective
from reconstruction.rivals.unet_denoiser import DenoisingNetworkObjective
from reconstruction.rivals.unet_regression import RegressionObjective

RivalObjective = RegressionObjective | DescodObjective | DenoisingNetworkObjective

OBJECTIVES: dict[str, type[RivalObjective]] = {
    "unet_regression": RegressionObjective,
    "descod": DescodObjective,
    "unet_denoiser": DenoisingNetworkObjective,
}


def train_rival(settings: Mapping[str, Any], path: Path) -> str:
    """Trains a rival, or tells settings and network in a dry run; a run that was stopped goes on in its folder.

    Writes `weights.safetensors` (smoothed), `state.pt`, `metrics.jsonl` and `loss.png`; ValueError: unusable settings.

    Args:
        settings: Settings, as `configs/train_rival.yaml` has them.
        path: The run folder.
    """
    config = copy.deepcopy(dict(settings))
    config["train"].pop("results_path")
    trainer_settings = TrainerSettings(**config["train"], seed=config["seed"])
    torch.manual_seed(trainer_settings.seed)
    objective = build_rival(config["rival"])
    network = objective.network
    if config.pop("dry_run"):
        return describe_model(config, network)
    data = TrainingData.open(config, network.leads, network.sampling_rate)
    return str(run_training(objective, data, trainer_settings, path, config, origin=data.origin))


def build_rival(settings: Mapping[str, Any]) -> RivalObjective:
    """Builds a rival of a `kind` from its `model` (see `RivalNetwork`) and `objective`, with fresh weights."""
    check_choice("rival", settings["kind"], list(OBJECTIVES))
    return OBJECTIVES[settings["kind"]].build(settings["model"], settings["objective"])
