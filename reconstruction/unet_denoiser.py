"""Noise removed by supervised regression: a U-Net that has learnt what recorded noise leaves of ECGs.

Reference:
    Ronneberger, Fischer, Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, 2015, arXiv 1505.04597.

The paper's: the shape of the network. Ours: all else. The noise is not told, neither its type nor its level; the
network's estimate is, at each sample, a share of the noisy ECG and a rest.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from diffusion_prior.measurement_noise import MeasurementNoise
from diffusion_prior.randomness import Noise
from reconstruction.likelihood import GaussianLikelihood
from reconstruction.rival_network import RivalNetwork
from reconstruction.rival_noise import Batch, add_noise, read_noise, validation_noise
from reconstruction.rival_sampler import RivalSampler, noisy_leads


class DenoisingNetwork(RivalNetwork):
    """Estimates the clean ECG from the noisy one."""

    kind: ClassVar[str] = "unet_denoiser"
    n_in: ClassVar[int] = 1
    n_out: ClassVar[int] = 2

    def forward(self, y: Tensor) -> Tensor:
        """Denoises: `x_hat = sigmoid(a) y + sigma_data b`, with `a` and `b` from the network.

        The network sees `y` divided by its root mean square over the record, and the logarithm of that.

        Args:
            y: Noisy ECG in mV, shape (B, C, L).

        Returns:
            ECG in mV, shape (B, C, L).
        """
        level = y.square().mean(dim=(1, 2)).sqrt().clamp(min=1e-3)
        told = (level / self.sigma_data).log() / 4
        a, b = self.backbone(y / level[:, None, None], told, y.new_zeros(len(y), 0)).to(y).chunk(2, dim=1)
        return a.sigmoid() * y + self.sigma_data * b


class DenoisingNetworkObjective(nn.Module):
    """Root mean square error over a record's leads and samples, in units of `sigma_data`.

    Args:
        network: Network to train.
        noise: Distribution of noise.
    """

    def __init__(self, network: DenoisingNetwork, noise: MeasurementNoise) -> None:
        super().__init__()
        self.network, self.noise = network, noise

    @classmethod
    def build(cls, spec: Mapping[str, Any], settings: Mapping[str, Any]) -> "DenoisingNetworkObjective":
        """Builds network and objective from plain data: `noise`, as for `read_noise`.

        Raises:
            ValueError: If a setting is not usable.
        """
        network = DenoisingNetwork(spec)
        return cls(network, read_noise(settings["noise"], network.sampling_rate))

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Draws the noisy ECGs `y` in mV, shape (B, C, L)."""
        return add_noise(batch["x"], self.noise, generator)

    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each record of a drawn batch, shape (B,)."""
        error = (self.network(batch["y"]) - batch["x"]).square().mean(dim=(1, 2))
        return (error + 1e-12).sqrt() / self.network.sigma_data

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns drawn batches by the type of noise, all of one level."""
        return validation_noise(batch["x"], self.noise, generator)

    def save(self, path: Path, step: int) -> None:
        """Writes the network's weights to a safetensors file, as they are after `step` steps."""
        self.network.save(path, {"steps": step})


class UNetDenoiser(RivalSampler[DenoisingNetwork]):
    """Estimates once; all its samples are this estimate, so it has no band."""

    network_type: ClassVar[type[RivalNetwork]] = DenoisingNetwork

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Noise) -> Tensor:
        """Gives the estimate as samples: see `PosteriorSampler`.

        Raises:
            ValueError: If not all leads were measured throughout.
        """
        return self._repeat(self.network(noisy_leads(likelihood, "unet_denoiser")), n_samples)
