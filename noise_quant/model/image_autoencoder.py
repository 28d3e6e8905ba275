"""What an autoencoder of scalograms offers to the models that are built on it."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


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
