"""One training loop for every model: seeded by step, resumable at any moment, on one process or several.

Everything random in a step comes from a generator seeded with (seed, step), drawn for the global batch and then shared
out. So a resumed run equals an uninterrupted one, and a step does not depend on the number of processes, save for
dropout, which each process draws for its own records.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Generator, Tensor, nn

from diffusion_prior.training.processes import join_processes
from diffusion_prior.training.settings import TrainerSettings
from einthoven.checked_files import intact
from einthoven.extras import extra
from einthoven.randomness import seeded_generator
from einthoven.run.files import atomic_write
from einthoven.run.processor import FULL, choose_precision, warn_of_bfloat16
from einthoven.run.progress import show_progress
from einthoven.run.run_folder import RunFolder

with extra("train"):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

Batch = dict[str, Tensor]

LOG_EVERY = 50
"""Steps between logged losses, each the mean since the last one."""
STATE = "state.pt"
WEIGHTS = "weights.safetensors"


class Objective(nn.Module, ABC):
    """What is trained: a module that holds the model and gives a loss for each record."""

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Adds to a batch all that is random in a step; by default nothing."""
        return batch

    def sources(self) -> dict[str, str]:
        """Returns hashes of what it reads beside the batches, by role; by default none."""
        return {}

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each record of a drawn batch, shape (B,)."""

    @abstractmethod
    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns the drawn batches of a validation, by name."""

    @abstractmethod
    def save(self, path: Path, step: int) -> None:
        """Writes weights to use, as they are after `step` steps."""


class Data(Protocol):
    """Where batches come from."""

    def batch(self, n: int, generator: Generator) -> Batch:
        """Draws a batch of `n` records."""
        ...

    def validation(self) -> Batch:
        """Returns all validation records."""
        ...


Model = TypeVar("Model", bound=nn.Module)


class EMA(Generic[Model]):
    """Keeps `model`, a smoothed copy of a model's weights, in evaluation mode, without gradients.

    The decay of a step warms up as `(1 + step) / (10 + step)`, so that the first weights are soon forgotten.
    """

    def __init__(self, model: Model, decay: float = 0.999) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Takes in the model's weights after optimiser step `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for smooth, weight in zip(self.model.parameters(), model.parameters(), strict=True):
            if weight.requires_grad:  # the others never change
                smooth.lerp_(weight, 1 - decay)
        for copied, value in zip(self.model.buffers(), model.buffers(), strict=True):
            copied.copy_(value)


class Trainer:
    """Trains an objective.

    Args:
        objective: What to train; its parameters without gradients stay as they are.
        data: Where batches come from.
        settings: Settings.
        run: Run folder for metrics, states and weights.
        groups: AdamW's groups of parameters with settings of their own: `params`, `lr` (their peak) and others.

    Attributes:
        step: Optimiser steps done.
    """

    def __init__(
        self,
        objective: Objective,
        data: Data,
        settings: TrainerSettings,
        run: RunFolder,
        groups: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        device = join_processes().device
        precision = choose_precision(settings.mixed_precision, device, FULL["mixed_precision"])
        warn_of_bfloat16(precision, device)
        AcceleratorState._reset_state()  # a training before it in this process may have had another precision
        self.accelerator = Accelerator(mixed_precision=precision)
        if settings.batch_size % self.accelerator.num_processes:
            raise ValueError(f"batch_size must be a multiple of the {self.accelerator.num_processes} processes")
        self.objective, self.data, self.settings, self.run = objective, data, settings, run
        self.step = 0
        self._losses: list[Tensor] = []  # since the last one that was logged
        torch.manual_seed(settings.seed)
        self.ema = EMA(objective.to(self.accelerator.device), settings.ema_decay)
        apart = {id(parameter) for group in groups for parameter in group["params"]}
        others = [w for w in objective.parameters() if w.requires_grad and id(w) not in apart]
        optimizer = torch.optim.AdamW(
            [{"params": others}, *map(dict, groups)],
            settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=(0.9, 0.99),
        )
        self._peaks = [float(group["lr"]) for group in optimizer.param_groups]
        self.model, self.optimizer = self.accelerator.prepare(objective, optimizer)
        if (run.path / STATE).is_file():
            self._load()

    def train(self) -> dict[str, float]:
        """Trains to the last step, from where an earlier call was stopped.

        Returns:
            The last validation losses, by name, of a run that was finished before too.

        Raises:
            ValueError: If a loss or a weight is not finite; what was saved before stays.
        """
        settings, validation = self.settings, {}
        main = self.accelerator.is_main_process
        if main:
            self.run.truncate_metrics(self.step)
        with show_progress(settings.n_steps, "step", "train", done=self.step, shown=main) as bar:
            while self.step < settings.n_steps:
                self._losses.append(self._update())
                self.step += 1
                bar.update()
                last = self.step == settings.n_steps
                if self.step % LOG_EVERY == 0 or last:
                    loss = float(torch.stack(self._losses).mean())
                    self._losses.clear()
                    self._log({"loss": loss}, learning_rate=settings.rate(self.step - 1))
                    speed = settings.batch_size * (bar.format_dict["rate"] or 0)
                    bar.set_postfix(loss=f"{loss:.4f}", records_per_s=f"{speed:.0f}")
                if self.step % settings.validate_every == 0 or last:
                    validation = self.validate()
                    self._log({f"validation/{name}": value for name, value in validation.items()})
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
        batch = self.objective.draw(self.data.batch(self.settings.batch_size, generator), generator)
        index, n = self.accelerator.process_index, self.accelerator.num_processes
        return {name: value[index::n].to(self.accelerator.device) for name, value in batch.items()}

    @torch.no_grad()
    def validate(self, chunk: int = 64) -> dict[str, float]:
        """Returns the mean loss of the smoothed weights on each validation batch, always with the same noise.

        There is none where there are no validation records.
        """
        batches = self.ema.model.validation_batches(self.data.validation(), seeded_generator("validation"))
        means = {}
        for name, batch in batches.items():
            total, n = 0.0, len(next(iter(batch.values())))
            for start in range(0, n, chunk):
                part = {k: v[start : start + chunk].to(self.accelerator.device) for k, v in batch.items()}
                with self.accelerator.autocast():
                    total += float(self.ema.model(part).double().sum())
            if n:
                means[name] = total / n
        return means

    def _log(self, losses: Mapping[str, float], **others: float) -> None:
        self._check_finite({name: torch.tensor(loss) for name, loss in losses.items()})
        if self.accelerator.is_main_process and losses:
            self.run.log(step=self.step, **losses, **others)

    def _save(self) -> None:
        """Writes the state to resume from, and the smoothed weights to use."""
        state = {
            "step": self.step,
            "model": self.accelerator.unwrap_model(self.model).state_dict(),
            "ema": self.ema.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "losses": self._losses,
        }
        self._check_finite(state)
        if not self.accelerator.is_main_process:
            return
        self.ema.model.save(self.run.path / WEIGHTS, self.step)
        if self.settings.snapshot_every and self.step % self.settings.snapshot_every == 0:
            self.ema.model.save(self.run.path / "snapshots" / f"{self.step:07d}.safetensors", self.step)
        with atomic_write(self.run.path / STATE) as partial:
            torch.save(state, partial)

    def _load(self) -> None:
        with intact(self.run.path / STATE, "choose another folder, or start from its weights with checkpoint="):
            state = torch.load(self.run.path / STATE, map_location="cpu", weights_only=True)  # torch refuses "cpu:1"
        self.accelerator.unwrap_model(self.model).load_state_dict(state["model"])
        self.ema.model.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self._losses = [loss.to(self.accelerator.device) for loss in state.get("losses", [])]  # none in older states

    def _check_finite(self, values: Mapping[str, object]) -> None:
        """Raises ValueError, in all processes, where a tensor holds a value that is no finite number."""
        for name, value in values.items():
            if not all(bool(tensor.isfinite().all()) for tensor in _tensors(value)):
                raise ValueError(
                    f"{name} is not finite at step {self.step}: lower train.learning_rate and train in a new folder; "
                    f"what was last saved in {self.run.path} stays as it was"
                )


def _tensors(value: object) -> Iterable[Tensor]:
    """Yields the tensors of nested dictionaries and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)
