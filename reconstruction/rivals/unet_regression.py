"""Missing leads and samples by regression: a U-Net that gives one estimate, in the manner of ECGrecover.

Reference:
    Lence, Granese, Fall, Hanczar, Salem, Zucker, Prifti, ECGrecover: A Deep Learning Approach for Electrocardiogram
    Signal Completion, KDD 2025, arXiv 2406.16901.

The paper's: one deterministic U-Net whose input is the ECG with parts of it masked, and a loss of squared error and
Pearson correlation of each lead. Ours: the network (our backbone, in the place of one of one- and two-dimensional
convolutions over twelve leads), zeros and a mask channel where something is hidden (there: uniform noise), eight
leads of which the others follow, the loss on hidden samples alone, the weight of its second term, and the data.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from diffusion_prior.training.observation import ObservationPatterns
from diffusion_prior.training.trainer import Batch, Objective
from einthoven.randomness import Generators
from reconstruction.measurement.channels import measured_samples
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.rivals.network import RivalNetwork
from reconstruction.rivals.sampler import RivalSampler
from reconstruction.samplers.base import Draws


class RegressionNetwork(RivalNetwork):
    """Estimates the whole ECG from what was measured of it."""

    kind: ClassVar[str] = "unet_regression"
    n_in: ClassVar[int] = 2
    n_out: ClassVar[int] = 1

    def forward(self, y: Tensor, observed: Tensor) -> Tensor:
        """Estimates ECGs (B, C, L) in mV from `y`, read only where `observed`, where it is its own estimate."""
        given = torch.cat([torch.where(observed, y, 0.0) / self.sigma_data, observed.to(y)], dim=1)
        estimate = self.backbone(given, y.new_zeros(len(y)), y.new_zeros(len(y), 0)).to(y)
        return torch.where(observed, y, self.sigma_data * estimate)


class RegressionObjective(Objective):
    r"""Error of an estimate on the hidden samples.

    For each record `mean((x - x_hat)^2) / sigma_data^2 + w mean(1 - r)`, the first mean over hidden samples, the second
    over leads with hidden samples, `r` the Pearson correlation of a lead's hidden samples and their estimate.

    Args:
        network: Network to train.
        patterns: Distribution of measured samples.
        correlation_weight: The weight `w`.
    """

    def __init__(self, network: RegressionNetwork, patterns: ObservationPatterns, correlation_weight: float) -> None:
        super().__init__()
        self.network, self.patterns, self.correlation_weight = network, patterns, correlation_weight

    @classmethod
    def build(cls, spec: Mapping[str, Any], settings: Mapping[str, Any]) -> "RegressionObjective":
        """Builds network and objective from plain data: `patterns` and `correlation_weight`."""
        patterns = ObservationPatterns(**settings["patterns"])
        return cls(RegressionNetwork(spec), patterns, settings["correlation_weight"])

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Draws what is measured of each record, shape (B, C, L)."""
        x = batch["x"]
        return {"x": x, "observed": self.patterns.draw(tuple(x.shape), generator)}

    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each record of a drawn batch, shape (B,)."""
        x, hidden = batch["x"], ~batch["observed"]
        estimate = self.network(x, batch["observed"])
        squared = torch.where(hidden, estimate - x, 0.0).square().sum(dim=(1, 2))
        error = squared / hidden.sum(dim=(1, 2)).clamp(min=1) / self.network.sigma_data**2
        some = hidden.any(dim=-1)
        far = torch.where(some, 1 - correlation(estimate, x, hidden), 0.0)
        return error + self.correlation_weight * far.sum(dim=1) / some.sum(dim=1).clamp(min=1)

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns drawn batches by name: lead I alone measured, and the patterns of the training."""
        x = batch["x"]
        lead_i = torch.zeros(x.shape, dtype=torch.bool)
        lead_i[:, 0] = True
        return {"lead_I": {"x": x, "observed": lead_i}, "all_patterns": self.draw(batch, generator)}

    def save(self, path: Path, step: int) -> None:
        """Writes the network's weights to a safetensors file, as they are after `step` steps."""
        self.network.save(path, {"steps": step})


def correlation(estimate: Tensor, x: Tensor, where: Tensor) -> Tensor:
    """Returns the Pearson correlation (...) over some samples of leads (..., L), 0 where one of the two is constant."""
    count = where.sum(dim=-1, keepdim=True).clamp(min=1)
    a, b = (
        torch.where(where, v - torch.where(where, v, 0.0).sum(-1, keepdim=True) / count, 0.0) for v in (estimate, x)
    )
    scale = (a.square().sum(dim=-1) * b.square().sum(dim=-1) + 1e-12).sqrt()
    return (a * b).sum(dim=-1) / scale


class UNetRegression(RivalSampler[RegressionNetwork]):
    """Estimates once; all its samples are this estimate, so it has no band."""

    network_type: ClassVar[type[RivalNetwork]] = RegressionNetwork

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Draws:
        """Gives the estimate as samples: see `PosteriorSampler`; of samples of the leads, some of them hidden."""
        y, observed = measured_samples(likelihood.operator, likelihood.y, "unet_regression")
        if bool(observed.all()):
            raise ValueError(
                "unet_regression restores what is missing, but every sample was measured: for noise take "
                "algo=unet_denoiser, descod, amortised or spectral_em"
            )
        return self._repeat(self.network(y, observed), n_samples)
