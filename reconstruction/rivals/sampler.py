"""How trained rivals stand in the place of a posterior sampler, so that the same scripts and tables serve them."""

from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import Denoiser
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.rivals.network import RivalNetwork
from reconstruction.samplers.amortised import measured_samples
from reconstruction.samplers.base import PosteriorSampler

NetworkT = TypeVar("NetworkT", bound=RivalNetwork)


class RivalSampler(PosteriorSampler, Generic[NetworkT]):
    """Runs a network of its own; of the prior that other methods use it takes no more than the device.

    Args:
        prior: The prior's denoiser.
        weights: Run folder of `reconstruction.train_rival`, or its safetensors file; there is no default.

    Attributes:
        network_type: Class of the network.
        network: The network.

    Raises:
        ValueError: If the weights are not there, or those of another network.
    """

    network_type: ClassVar[type[RivalNetwork]]
    network: NetworkT

    def __init__(self, prior: Denoiser, weights: str | Path | None = None) -> None:
        if weights is None:
            kind = self.network_type.kind
            raise ValueError(
                f"no weights of {kind} are bundled: train them with python -m reconstruction.train_rival rival={kind}, "
                "and give algo.weights=<its run folder>"
            )
        network = self.network_type.load(weights)
        super().__init__(network)
        self.network = network.to(next(prior.parameters()).device)  # type: ignore[assignment]

    def _repeat(self, estimate: Tensor, n_samples: int) -> Tensor:
        """Gives the one estimate (B, C, L) that a network makes, which is its mean, as samples (S, B, C, L)."""
        self.posterior_mean, self.network_calls = estimate, 1
        return estimate.expand(n_samples, *estimate.shape)


def noisy_leads(likelihood: GaussianLikelihood, method: str) -> Tensor:
    """Returns the noisy ECG of a measurement of all the prior's leads, in mV, shape (B, C, L).

    Args:
        likelihood: The measurement.
        method: Name of the method, for the message.

    Raises:
        ValueError: If a sample of a lead was not measured.
    """
    y, observed = measured_samples(likelihood.operator, likelihood.y, method)
    if not bool(torch.all(observed)):
        raise ValueError(
            f"{method} takes noise from whole ECGs, but of this one samples or leads are missing: take "
            "reconstruction.denoise with all leads, or algo=amortised or spectral_em"
        )
    return y
