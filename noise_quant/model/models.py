"""Models of clean scalograms: they noise an image and restore it, and what they cannot restore is noise.

Han et al., arXiv 2506.11815 (2025): diffusion of the latents of an autoencoder, or of the pixels themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from einthoven.randomness import randn
from noise_quant.model.reverse_process import N_TIMESTEPS, ReverseProcess
from noise_quant.scalogram.image import HEIGHT, WIDTH, ScalogramSettings

Generators = Generator | Sequence[Generator]
"""One generator, or one for each image."""


class ImageAutoencoder(nn.Module, ABC):
    """An autoencoder whose latent has a quarter of the rows and of the columns of its images.

    Attributes:
        latent_channels: Channels c of the latent.
    """

    latent_channels: int

    @abstractmethod
    def encode(self, image: Tensor) -> Tensor:
        """Maps images (B, 1, 32, 256) to latents (B, c, 8, 64)."""

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Maps latents (B, c, 8, 64) to images (B, 1, 32, 256)."""


class ScalogramModel(nn.Module):
    """What the models have in common.

    Attributes:
        scalogram: Settings of the scalograms of the training images.
        discretization: Whether the training images had 256 levels only.
        spec: How to build the model, plain data; set by `checkpoint.build_model`.
        facts: What a checkpoint says of it.
    """

    def __init__(self, scalogram: ScalogramSettings | None = None, discretization: bool = True) -> None:
        super().__init__()
        self.scalogram = scalogram or ScalogramSettings()
        self.discretization = discretization
        self.spec: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}


class ScalogramAutoencoder(ScalogramModel):
    """An autoencoder of scalograms: its network `ae`; other arguments as for `ScalogramModel`."""

    def __init__(
        self, ae: ImageAutoencoder, scalogram: ScalogramSettings | None = None, discretization: bool = True
    ) -> None:
        super().__init__(scalogram, discretization)
        self.ae = ae

    def forward(self, image: Tensor) -> Tensor:
        """Encodes and decodes images, shape (B, 1, 32, 256)."""
        return self.ae.decode(self.ae.encode(image))


class ScalogramDiffusion(ScalogramModel):
    """A diffusion model of scalograms: of the latents of an autoencoder, or of the pixels themselves.

    Args:
        unet: Network that predicts the noise, `unet(x_t (B, C, H, W), timesteps (B,))`.
        ae: Network of the autoencoder; None for a model of pixels.
        scaling_factor: Latents are multiplied by it.
        clip_sample: Whether estimates within the reverse process are cut to [-1, 1], as for published checkpoints.
        scalogram: As for `ScalogramModel`.
        discretization: As for `ScalogramModel`.
        max_timestep: The model knows the timesteps below this one.
    """

    def __init__(
        self,
        unet: nn.Module,
        ae: ImageAutoencoder | None = None,
        scaling_factor: float = 1.0,
        clip_sample: bool = False,
        scalogram: ScalogramSettings | None = None,
        discretization: bool = True,
        max_timestep: int = N_TIMESTEPS,
    ) -> None:
        super().__init__(scalogram, discretization)
        if not 1 <= max_timestep <= N_TIMESTEPS:
            raise ValueError(f"max_timestep must lie between 1 and {N_TIMESTEPS}, not {max_timestep}")
        self.unet, self.ae, self.scaling_factor = unet, ae, scaling_factor
        self.clip_sample, self.max_timestep = clip_sample, max_timestep

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape of the noise of one image, channels, rows and columns."""
        return (1, HEIGHT, WIDTH) if self.ae is None else (self.ae.latent_channels, HEIGHT // 4, WIDTH // 4)

    def encode(self, image: Tensor) -> Tensor:
        """Maps images, shape (B, 1, 32, 256), to scaled latents or to themselves, shape (B, *latent_shape)."""
        return image if self.ae is None else self.ae.encode(image) * self.scaling_factor

    def decode(self, latent: Tensor) -> Tensor:
        """Maps what was restored to images."""
        return latent if self.ae is None else self.ae.decode(latent / self.scaling_factor)

    @torch.no_grad()
    def reconstruct(
        self,
        image: Tensor,
        process: ReverseProcess | None = None,
        generator: Generators | None = None,
        start_noise: Tensor | None = None,
    ) -> Tensor:
        """Noises images in [-1, 1] and restores them, nearly in [-1, 1], shape (B, 1, 32, 256) each.

        Args:
            image: The images.
            process: How; by default as published.
            generator: Random numbers: one generator for each image makes results independent of the batch; one
                generator serves a whole batch; None takes torch's own.
            start_noise: The first noise, shape (B, *latent_shape), in the place of a drawn one.

        Raises:
            ValueError: If a shape or the number of generators does not fit, or the model does not know the timestep.
        """
        if image.shape[1:] != (1, HEIGHT, WIDTH):
            raise ValueError(f"images have shape (B, 1, {HEIGHT}, {WIDTH}), not {tuple(image.shape)}")
        process = process or ReverseProcess()
        if process.timestep >= self.max_timestep:
            raise ValueError(f"this model knows timesteps below {self.max_timestep}: choose timestep accordingly")
        shape = (len(image), *self.latent_shape)
        if start_noise is not None and start_noise.shape != shape:
            raise ValueError(f"start_noise must have shape {shape}, not {tuple(start_noise.shape)}")
        draw = _draws(shape, torch.default_generator if generator is None else generator, image)
        start_noise = draw() if start_noise is None else start_noise.to(image)
        latent = self.encode(image)
        return self.decode(process(self.unet, latent, start_noise, draw, self.clip_sample))


def _draws(shape: tuple[int, ...], generator: Generators, like: Tensor) -> Callable[[], Tensor]:
    """Returns a function that draws standard normal numbers, on the device of `like`."""
    noise = generator if isinstance(generator, Generator) else [list(generator)]
    rows = shape if isinstance(generator, Generator) else (1, *shape)
    return lambda: randn(rows, noise, like.dtype, like.device).reshape(shape)
