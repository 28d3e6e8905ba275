"""Training of the rivals: what the script does, from plain settings to a run folder."""

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


def train_rival(settings: Mapping[str, Any], default_path: Path) -> str:
    """Trains a rival; a run that was stopped goes on in its folder.

    Writes `weights.safetensors` (smoothed), `state.pt`, `metrics.jsonl` and `loss.png`.

    Args:
        settings: Settings, as `configs/train_rival.yaml` has them.
        default_path: Run folder, where the settings name none.

    Returns:
        What to print: the last losses and the folder; or, of a dry run, settings and network.

    Raises:
        ValueError: If a setting is not usable, or a store or the noise is not there.
    """
    config = copy.deepcopy(dict(settings))
    path = config["train"].pop("results_path") or default_path
    trainer_settings = TrainerSettings(**config["train"], seed=config["seed"])
    torch.manual_seed(trainer_settings.seed)
    objective = build_rival(config["rival"])
    network = objective.network
    if config.pop("dry_run"):
        return describe_model(config, network)
    data = TrainingData.open(config, network.leads, network.sampling_rate)
    return str(run_training(objective, data, trainer_settings, path, config, origin=data.origin))


def build_rival(settings: Mapping[str, Any]) -> RivalObjective:
    """Builds a rival's network, with fresh weights, in the objective that it is trained with.

    Args:
        settings: `kind`, `model` (as for `RivalNetwork`) and `objective` (as for the rival's own).
    """
    check_choice("rival", settings["kind"], list(OBJECTIVES))
    return OBJECTIVES[settings["kind"]].build(settings["model"], settings["objective"])
