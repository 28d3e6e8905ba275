"""One training loop for every model: seeded by step, resumable at any moment, on one process or several.

Everything random in a step comes from a generator seeded with (seed, step), drawn for the global batch and then shared
out. So a resumed run equals an uninterrupted one, and a step does not depend on the number of processes, save for
dropout, which each process draws for its own records.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from accelerate import Accelerator
from torch import Generator, Tensor, nn
from tqdm import tqdm

from diffusion_prior.model.state_space import state_space_parameters
from diffusion_prior.training.ema import EMA
from diffusion_prior.training.shared_run import join_processes
from einthoven.randomness import seeded_generator
from einthoven.run.files import atomic_write
from einthoven.run.run_folder import RunFolder

Batch = dict[str, Tensor]


class Objective(Protocol):
    """What is trained: a module that holds the model and gives a loss for each record."""

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Adds to a batch all that is random in a step."""
        ...

    def __call__(self, batch: Batch) -> Tensor:
        """Returns the loss of each record of a drawn batch, shape (B,)."""
        ...

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns the drawn batches of a validation, by name."""
        ...

    def save(self, path: Path, step: int) -> None:
        """Writes weights to use, as they are after `step` steps."""
        ...


class Data(Protocol):
    """Where batches come from."""

    def batch(self, n: int, generator: Generator) -> Batch:
        """Draws a batch of `n` records."""
        ...

    def validation(self) -> Batch:
        """Returns all validation records."""
        ...


@dataclass(frozen=True)
class TrainerSettings:
    """Settings of a training run.

    Attributes:
        n_steps: Optimiser steps in all.
        batch_size: Records of a step, over all processes.
        learning_rate: Peak learning rate of AdamW.
        warmup_steps: Steps of linear warm-up.
        decay_share: Last share of the steps, in which the rate falls linearly to zero.
        weight_decay: Weight decay of AdamW.
        max_grad_norm: Gradients are clipped to this norm.
        ema_decay: Decay of the weights' moving average.
        validate_every: Steps between validations.
        save_every: Steps between states to resume from.
        snapshot_every: Steps between weights that are kept; 0 for none.
        mixed_precision: "no" or "bf16".
        state_space_learning_rate: Peak learning rate of state spaces' A, B and step sizes, which then have no weight
            decay (Gu et al. 2022, S4, arXiv 2111.00396: at most 1e-3); None: as all others.
        seed: Seed of everything random.
    """

    n_steps: int = 20_000
    batch_size: int = 64
    learning_rate: float = 8e-4
    warmup_steps: int = 500
    decay_share: float = 0.3
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    ema_decay: float = 0.999
    validate_every: int = 1000
    save_every: int = 500
    snapshot_every: int = 0
    mixed_precision: str = "no"
    state_space_learning_rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.n_steps, self.batch_size, self.validate_every, self.save_every) < 1:
            raise ValueError("n_steps, batch_size, validate_every and save_every must be at least 1")
        if self.mixed_precision not in ("no", "bf16"):
            raise ValueError(f"mixed_precision is no or bf16, not {self.mixed_precision!r}")

    def rate(self, step: int, peak: float | None = None) -> float:
        """Returns the learning rate of optimiser step `step`, counted from 0; `peak` in place of `learning_rate`."""
        warmup = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        left = (self.n_steps - step) / max(self.decay_share * self.n_steps, 1)
        return (self.learning_rate if peak is None else peak) * warmup * min(1.0, left)


class Trainer:
    """Trains an objective.

    Args:
        objective: Module to train; its parameters without gradients stay as they are.
        data: Where batches come from.
        settings: Settings.
        run: Run folder for metrics, states and weights.

    Attributes:
        step: Optimiser steps done.
    """

    def __init__(
        self,
        objective: nn.Module,
        data: Data,
        settings: TrainerSettings,
        run: RunFolder,
    ) -> None:
        join_processes()
        self.accelerator = Accelerator(mixed_precision=settings.mixed_precision)
        if settings.batch_size % self.accelerator.num_processes:
            raise ValueError(f"batch_size must be a multiple of the {self.accelerator.num_processes} processes")
        self.settings, self.data, self.run = settings, data, run
        self.step = 0
        torch.manual_seed(settings.seed)
        self.ema = EMA(objective.to(self.accelerator.device), settings.ema_decay)
        groups, self._peaks = _parameter_groups(objective, settings)
        optimizer = torch.optim.AdamW(
            groups, settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.99)
        )
        self.objective = objective
        self.model, self.optimizer = self.accelerator.prepare(objective, optimizer)
        if (run.path / "state.pt").is_file():
            self._load()

    def train(self) -> dict[str, float]:
        """Trains to the last step, from where an earlier call was stopped.

        Returns:
            The last validation losses, by name, of a run that was finished before too.
        """
        settings, losses, validation = self.settings, [], {}
        main = self.accelerator.is_main_process
        if main:
            self.run.truncate_metrics(self.step)
        with tqdm(total=settings.n_steps, initial=self.step, unit="step", disable=not main) as bar:
            while self.step < settings.n_steps:
                losses.append(self._update())
                self.step += 1
                bar.update()
                last = self.step == settings.n_steps
                if self.step % 50 == 0 or last:
                    loss = float(torch.stack(losses).mean())
                    losses.clear()
                    if not math.isfinite(loss):
                        raise RuntimeError(f"the loss is {loss} at step {self.step}: lower train.learning_rate")
                    self._log(loss=loss, learning_rate=settings.rate(self.step - 1))
                    bar.set_postfix(
                        loss=f"{loss:.4f}", records_per_s=f"{settings.batch_size * (bar.format_dict['rate'] or 0):.0f}"
                    )
                if self.step % settings.validate_every == 0 or last:
                    validation = self.validate()
                    self._log(**{f"validation/{name}": value for name, value in validation.items()})
                if self.step % settings.save_every == 0 or last:
                    self._save()
        return validation or self.validate()

    def _update(self) -> Tensor:
        """Takes one optimiser step and returns its loss, averaged over all processes."""
        settings, accelerator = self.settings, self.accelerator
        batch = self._draw(self.step)
        torch.manual_seed(settings.seed * 1_000_003 + self.step * accelerator.num_processes + accelerator.process_index)
        for group, peak in zip(self.optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = settings.rate(self.step, peak)
        self.model.train()
        with accelerator.autocast():
            loss = self.model(batch).mean()
        self.optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(self.model.parameters(), settings.max_grad_norm)
        self.optimizer.step()
        self.ema.update(self.objective, self.step)
        return accelerator.gather(loss.detach()[None]).mean()

    def _draw(self, step: int) -> Batch:
        """Draws this process's share of a step's batch."""
        generator = seeded_generator("step", self.settings.seed, step)
        batch = cast(Objective, self.objective).draw(self.data.batch(self.settings.batch_size, generator), generator)
        index, n = self.accelerator.process_index, self.accelerator.num_processes
        return {name: value[index::n].to(self.accelerator.device) for name, value in batch.items()}

    @torch.no_grad()
    def validate(self, chunk: int = 64) -> dict[str, float]:
        """Returns the mean loss of the smoothed weights on each validation batch, always with the same noise."""
        smoothed = cast(Objective, self.ema.model)
        batches = smoothed.validation_batches(self.data.validation(), seeded_generator("validation"))
        means = {}
        for name, batch in batches.items():
            total, n = 0.0, len(next(iter(batch.values())))
            for start in range(0, n, chunk):
                part = {k: v[start : start + chunk].to(self.accelerator.device) for k, v in batch.items()}
                with self.accelerator.autocast():
                    total += float(smoothed(part).double().sum())
            means[name] = total / n if n else math.nan
        return means

    def _log(self, **metrics: float) -> None:
        if self.accelerator.is_main_process:
            self.run.log(step=self.step, **metrics)

    def _save(self) -> None:
        """Writes the state to resume from, and the smoothed weights to use."""
        if not self.accelerator.is_main_process:
            return
        state = {
            "step": self.step,
            "model": self.accelerator.unwrap_model(self.model).state_dict(),
            "ema": self.ema.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        smoothed = cast(Objective, self.ema.model)
        smoothed.save(self.run.path / "weights.safetensors", self.step)
        if self.settings.snapshot_every and self.step % self.settings.snapshot_every == 0:
            smoothed.save(self.run.path / "snapshots" / f"{self.step:07d}.safetensors", self.step)
        with atomic_write(self.run.path / "state.pt") as partial:
            torch.save(state, partial)

    def _load(self) -> None:
        state = torch.load(self.run.path / "state.pt", map_location=self.accelerator.device, weights_only=True)
        self.accelerator.unwrap_model(self.model).load_state_dict(state["model"])
        self.ema.model.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def _parameter_groups(objective: nn.Module, settings: TrainerSettings) -> tuple[list[dict[str, Any]], list[float]]:
    """Returns the optimiser's groups of what is trained, and the peaks of their learning rates."""
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    rate = settings.state_space_learning_rate
    if rate is None:
        return [{"params": trained}], [settings.learning_rate]
    own = {id(parameter) for parameter in state_space_parameters(objective)}
    if not own:
        raise ValueError("this network has no state spaces: leave train.state_space_learning_rate null")
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trained if id(parameter) not in own]},
        {"params": [parameter for parameter in trained if id(parameter) in own], "weight_decay": 0.0},
    ]
    return groups, [settings.learning_rate, rate]
