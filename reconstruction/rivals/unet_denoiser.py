"""Noise removed by supervised regression: a U-Net that has learnt what recorded noise leaves of ECGs.

Reference:
    Ronneberger, Fischer, Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, 2015, arXiv 1505.04597.

The paper's: the shape of the network. Ours: all else. The network gets neither the type nor the strength of the noise;
its estimate is, at each sample, a share of the noisy ECG and a rest.
"""

from typing import ClassVar

import torch
from torch import Tensor

from diffusion_prior.training.trainer import Batch
from einthoven.randomness import Generators
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.rivals.network import RivalNetwork
from reconstruction.rivals.noise import NoisyObjective
from reconstruction.rivals.sampler import RivalSampler, noisy_leads
from reconstruction.samplers.base import Draws


class DenoisingNetwork(RivalNetwork):
    """Estimates the clean ECG from the noisy one."""

    kind: ClassVar[str] = "unet_denoiser"
    n_in: ClassVar[int] = 1
    n_out: ClassVar[int] = 2

    def forward(self, y: Tensor) -> Tensor:
        """Denoises ECGs (B, C, L) in mV: `x_hat = sigmoid(a) y + sigma_data b`, `a` and `b` from the network.

        The network sees `y` divided by its root mean square over the record, and the logarithm of that.
        """
        rms = y.square().mean(dim=(1, 2)).sqrt().clamp(min=1e-3)
        c_noise = (rms / self.sigma_data).log() / 4
        a, b = self.backbone(y / rms[:, None, None], c_noise, y.new_zeros(len(y), 0)).to(y).chunk(2, dim=1)
        return a.sigmoid() * y + self.sigma_data * b


class DenoisingNetworkObjective(NoisyObjective[DenoisingNetwork]):
    """Root mean square error over a record's leads and samples, in units of `sigma_data`."""

    network_type: ClassVar[type[RivalNetwork]] = DenoisingNetwork

    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each record of a drawn batch, shape (B,)."""
        error = (self.network(batch["y"]) - batch["x"]).square().mean(dim=(1, 2))
        return (error + 1e-12).sqrt() / self.network.sigma_data


class UNetDenoiser(RivalSampler[DenoisingNetwork]):
    """Estimates once; all its samples are this estimate, so it has no band."""

    network_type: ClassVar[type[RivalNetwork]] = DenoisingNetwork

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Draws:
        """Gives the estimate as samples: see `PosteriorSampler`; all leads have to be measured throughout."""
        return self._repeat(self.network(noisy_leads(likelihood, "unet_denoiser")), n_samples)
