"""How trained rivals stand in the place of a posterior sampler, so that the same scripts and tables serve them."""

from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import Denoiser
from einthoven.run.weights_cache import load_cached
from einthoven.run.weights_file import find_weights
from reconstruction.measurement.channels import measured_samples
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.rivals.network import RivalNetwork
from reconstruction.samplers.base import Calls, Draws, PosteriorSampler

NetworkT = TypeVar("NetworkT", bound=RivalNetwork)


class RivalSampler(PosteriorSampler, Generic[NetworkT]):
    """Runs a network of its own (of `network_type`); of the prior it takes no more than the device.

    Args:
        denoiser: The prior's denoiser.
        weights: Run folder of `reconstruction.train_rival`, or its safetensors file; there is no default.
    """

    takes_any_measurement = False
    takes_gaps = False
    network_type: ClassVar[type[RivalNetwork]]
    network: NetworkT

    def __init__(self, denoiser: Denoiser, weights: str | Path | None = None) -> None:
        if weights is None:
            kind = self.network_type.kind
            raise ValueError(
                f"no weights of {kind} are bundled: train them with python -m reconstruction.train_rival rival={kind}, "
                "and give algo.weights=<its run folder>"
            )
        cls, device = self.network_type, next(denoiser.parameters()).device
        network: Any = load_cached(cls.kind, lambda: cls.load(weights), find_weights(weights), device)
        super().__init__(network)
        self.network = network

    def _repeat(self, estimate: Tensor, n_samples: int) -> Draws:
        """Gives the one estimate (B, C, L) that a network makes, which is its mean, as samples (S, B, C, L)."""
        return Draws(estimate.expand(n_samples, *estimate.shape), estimate, Calls(network=1))


def noisy_leads(likelihood: GaussianLikelihood, method: str) -> Tensor:
    """Returns the noisy ECG of a measurement of all the prior's leads, in mV, shape (B, C, L).

    Raises:
        ValueError: If a sample of a lead was not measured; the message names the method.
    """
    y, observed = measured_samples(likelihood.operator, likelihood.y, method)
    if not bool(torch.all(observed)):
        raise ValueError(
            f"{method} takes noise from whole ECGs, but of this one samples or leads are missing: take "
            "reconstruction.denoise with all leads, or algo=amortised or spectral_em"
        )
    return y
