"""What the models of scalograms are trained on: to restore an image, and to find the noise in a latent or an image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Generator, Tensor

from diffusion_prior.training.trainer import Batch, Objective
from noise_quant.model.checkpoint import save_model
from noise_quant.model.models import ScalogramAutoencoder, ScalogramDiffusion
from noise_quant.model.reverse_process import add_noise

VALIDATION_TIMESTEPS = (10, 30, 100, 300, 700)


class AutoencoderObjective(Objective):
    """Mean squared error of the image that a model restores, from itself or from a noisy one of the same lead."""

    def __init__(self, model: ScalogramAutoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each image of a batch with `x` (B, 1, 32, 256) and perhaps `noisy`, shape (B,)."""
        return (self.model(batch.get("noisy", batch["x"])) - batch["x"]).square().mean(dim=(1, 2, 3))

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns the clean images and, if there are any, the noisy ones, by name."""
        clean = {"clean": {"x": batch["x"]}}
        return {**clean, "noisy": batch} if "noisy" in batch else clean

    def save(self, path: Path, step: int) -> None:
        """Writes the model to a safetensors file, as it is after `step` steps."""
        save_model(path, self.model, {**self.model.facts, "steps": step})


class DiffusionObjective(Objective):
    """Mean squared error of the predicted noise, `E (epsilon(x_t, t) - noise)^2` (Ho et al. 2020, Eq. (14)).

    The timesteps of a batch cover those of the training evenly. The autoencoder of a latent model is frozen.

    Args:
        model: Diffusion model to train.
        validation_timesteps: Timesteps of the validation losses; those that are not trained are left out.
    """

    def __init__(self, model: ScalogramDiffusion, validation_timesteps: Sequence[int] = VALIDATION_TIMESTEPS) -> None:
        super().__init__()
        self.model = model
        self.validation_timesteps = [t for t in validation_timesteps if t < model.max_timestep]
        if model.ae is not None:
            model.ae.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Sets training mode, but never for the frozen autoencoder."""
        super().train(mode)
        if self.model.ae is not None:
            self.model.ae.eval()
        return self

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Adds timesteps and noise to a batch with `x` (B, 1, 32, 256)."""
        n = len(batch["x"])
        strata = torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)
        return {
            "x": batch["x"],
            "t": (strata * (self.model.max_timestep / n)).long().clamp(max=self.model.max_timestep - 1),
            "noise": torch.randn(n, *self.model.latent_shape, generator=generator),
        }

    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each image of a drawn batch, shape (B,)."""
        with torch.no_grad():
            x = self.model.encode(batch["x"])
        epsilon = self.model.unet(add_noise(x, batch["noise"], batch["t"]), batch["t"])
        return (epsilon - batch["noise"]).square().mean(dim=(1, 2, 3))

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns one drawn batch for each timestep, with the same noise, by name."""
        x = batch["x"]
        noise = torch.randn(len(x), *self.model.latent_shape, generator=generator)
        return {f"t/{t}": {"x": x, "t": torch.full((len(x),), t), "noise": noise} for t in self.validation_timesteps}

    def save(self, path: Path, step: int) -> None:
        """Writes the whole model, with its autoencoder, to a safetensors file, as it is after `step` steps."""
        save_model(path, self.model, {**self.model.facts, "steps": step})
