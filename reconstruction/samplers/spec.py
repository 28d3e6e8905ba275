"""A posterior sampler as plain data: what a run's folder records, what another process makes its own sampler from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from diffusion_prior.checkpoint import find_prior, shared_denoiser
from diffusion_prior.model.denoiser import Denoiser
from einthoven.run.weights_cache import hash_weights
from einthoven.run.weights_file import find_weights
from reconstruction.samplers.base import PosteriorSampler
from reconstruction.samplers.registry import ALL_METHODS, BLIND_METHODS


@dataclass(frozen=True)
class SamplerSpec:
    """How to make a posterior sampler, wherever it is needed. It can be pickled, and two that are equal make the same.

    Attributes:
        name: Name of the method, as in `reconstruction.samplers.registry`.
        settings: Its settings, plain data; a sampler inside it is a mapping with its own `name`.
        weights: Weights of the prior, as for `load_denoiser`; None: the bundled ones.
        published_offset: As for `load_denoiser`.
        conjugate_pairs: As for `load_denoiser`.
        precision: As for `accelerate_denoiser`.
        compiled: As for `accelerate_denoiser`.

    Raises:
        ValueError: If there is no such method.
    """

    name: str = "amortised"
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    published_offset: bool = False
    conjugate_pairs: bool | None = None
    precision: str = "float32"
    compiled: bool = False

    def __post_init__(self) -> None:
        ALL_METHODS.check(self.name)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "SamplerSpec":
        """Takes it from a script's configuration: `algo`, `checkpoint` and what else is said of the prior.

        Raises:
            ValueError: If there is no such method.
        """
        return cls(
            config["algo"]["name"],
            config["algo"]["sampler"],
            config["checkpoint"],
            config["published_offset"],
            config["conjugate_pairs"],
            config["precision"],
            config["compile"],
        )

    def build(self, device: str | torch.device = "cpu") -> PosteriorSampler:
        """Makes the sampler; samplers of the same weights on the same device share one network.

        Args:
            device: Device of the network.

        Raises:
            ValueError: If there are no such weights, or the method or a setting is not for them.
        """
        denoiser = shared_denoiser(
            self.weights,
            device,
            published_offset=self.published_offset,
            conjugate_pairs=self.conjugate_pairs,
            precision=self.precision,
            compiled=self.compiled,
        )
        return self.on(denoiser)

    def on(self, denoiser: Denoiser) -> PosteriorSampler:
        """Makes the sampler for a prior that is there already.

        Args:
            denoiser: The prior, in place of `weights` and of what is said of them.

        Raises:
            ValueError: If the method or a setting is not for it.
        """
        cls, settings = ALL_METHODS[self.name], _with_factories(self.settings)
        try:
            return cls(denoiser, **settings)
        except TypeError as error:
            raise ValueError(f"these settings do not fit the method {self.name}: {error}") from error

    def blind(self) -> "SamplerSpec":
        """Returns what estimates the noise too: itself, or spectral EM around it where it takes the noise as given."""
        if self.name in BLIND_METHODS or self.name == "amortised":
            return self
        final = {"name": self.name, **self.settings}
        return SamplerSpec(**{**vars(self), "name": "spectral_em", "settings": {"final": final}})

    def identity(self) -> dict[str, Any]:
        """Returns all that the samples depend on, as plain data: the weights by the hash of their content."""
        own = self.settings.get("weights")
        hashes = {"prior": hash_weights(find_prior(self.weights))}
        if own is not None:
            hashes["own"] = hash_weights(find_weights(own))
        return {**vars(self), "settings": dict(self.settings), "weights": hashes}


def _with_factories(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Puts what makes a sampler from a denoiser in the place of each inner sampler's mapping."""
    return {
        key: _factory(value) if isinstance(value, Mapping) and "name" in value else value
        for key, value in settings.items()
    }


def _factory(inner: Mapping[str, Any]) -> Any:  # noqa: ANN401
    settings = dict(inner)
    name = settings.pop("name")
    ALL_METHODS.check(name)
    return partial(ALL_METHODS[name], **_with_factories(settings))
