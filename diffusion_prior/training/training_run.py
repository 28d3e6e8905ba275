"""One training run, whatever is trained: run folder, loop, loss curve, and what to say at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from diffusion_prior.training.processes import join_processes
from diffusion_prior.training.settings import TrainerSettings
from diffusion_prior.training.trainer import Data, Objective, Trainer
from einthoven.extras import extra
from einthoven.report.figures import draw_loss_curve
from einthoven.run.run_folder import RunFolder

with extra("train"):
    from accelerate.utils import broadcast_object_list


@dataclass(frozen=True)
class TrainedModel:
    """What a training run leaves: its folder with smoothed weights, state, metrics and a picture; its last losses.

    The main process speaks for all.
    """

    run: RunFolder
    losses: dict[str, float]
    is_main: bool

    def __str__(self) -> str:
        """Returns the last losses, a line each; nothing but in the main process."""
        lines = [f"{name}: {loss:.5f}" for name, loss in self.losses.items()] or ["trained"]
        return "\n".join(lines) if self.is_main else ""


def run_training(
    objective: Objective,
    data: Data,
    settings: TrainerSettings,
    path: Path | str,
    config: Mapping[str, Any],
    *,
    origin: Mapping[str, Any],
    groups: Sequence[Mapping[str, Any]] = (),
) -> TrainedModel:
    """Trains in a run folder; a run that was stopped goes on there. Of several processes the main one makes the folder.

    Arguments are as for `Trainer`, and `config` and `origin` as for `RunFolder.create`. Of several processes, which may
    name the folder by times of their own, the main one's `path` counts.

    Raises:
        ValueError: If the folder is that of another run, or another run works in it, processes were not joined, or a
            loss or a weight is not finite.
    """
    origin = {**origin, "files": {**origin.get("files", {}), **objective.sources()}}
    state = join_processes()
    path = broadcast_object_list([str(path)])[0]
    with state.main_process_first():
        if state.is_main_process:
            run = RunFolder.create(path, config, seed=settings.seed, device=str(state.device), **origin)
        else:  # the main one holds the folder for all
            run = RunFolder.open(path)
    trainer = Trainer(objective, data, settings, run, groups)
    losses = trainer.train()
    if state.is_main_process:
        draw_loss_curve(run.metrics(), run.path / "loss.png")
    return TrainedModel(run, losses, state.is_main_process)


def describe_model(config: Mapping[str, Any], model: nn.Module) -> str:
    """Describes what a dry run would train: the config, the network and the number of its parameters."""
    n_weights = sum(weight.numel() for weight in model.parameters())
    return f"{yaml.safe_dump(dict(config), sort_keys=False)}\n{model}\n{n_weights:,} parameters"
