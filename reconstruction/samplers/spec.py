"""A posterior sampler as plain data: what a run's folder records, what another process makes its own sampler from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from diffusion_prior.checkpoint import DISTILLED, find_prior, shared_denoiser
from diffusion_prior.model.denoiser import Denoiser
from einthoven.run.weights_cache import hash_weights
from einthoven.run.weights_file import find_weights
from reconstruction.samplers.amortised import DISTILLED_PRESET
from reconstruction.samplers.base import PosteriorSampler
from reconstruction.samplers.registry import ALL_METHODS, BLIND_METHODS


@dataclass(frozen=True)
class SamplerSpec:
    """How to make a posterior sampler, wherever it is needed. It can be pickled, and two that are equal make the same.

    Attributes:
        name: Name of the method, as in `reconstruction.samplers.registry`; others raise ValueError.
        settings: Its settings, plain data; a sampler inside it is a mapping with its own `name`.
        weights: Weights of the prior, as for `load_denoiser` like the next two; None: the bundled ones, those for four
            network calls where the settings ask for them.
        published_offset: See there.
        conjugate_pairs: See there.
        precision: As for `accelerate_denoiser`.
        compiled: As for `accelerate_denoiser`.
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
        """Takes it from a script's configuration: `algo`, `checkpoint` and what else is said of the prior."""
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

        Raises:
            ValueError: If there are no such weights, or the method or a setting is not for them.
        """
        denoiser = shared_denoiser(
            self._own_weights,
            device,
            published_offset=self.published_offset,
            conjugate_pairs=self.conjugate_pairs,
            precision=self.precision,
            compiled=self.compiled,
        )
        return self.on(denoiser)

    def on(self, denoiser: Denoiser) -> PosteriorSampler:
        """Makes the sampler for a prior that is there already, in place of `weights` and of what is said of them."""
        if denoiser.distilled_levels and self.name != "amortised":
            raise ValueError(
                f"the prior's weights were distilled for amortised, and {self.name} needs what they were made of: "
                "take these, or method=amortised (algo=amortised)"
            )
        sampler: PosteriorSampler = ALL_METHODS.build(
            {"name": self.name, **{key: _made(value) for key, value in self.settings.items()}}, denoiser=denoiser
        )
        return sampler

    @property
    def _own_weights(self) -> str | None:
        """The weights, with the bundled ones that a setting asks for."""
        distilled = self.weights is None and self.settings.get("preset") == DISTILLED_PRESET
        return str(DISTILLED) if distilled else self.weights

    def blind(self) -> "SamplerSpec":
        """Returns what estimates the noise too: itself, or spectral EM around it where it takes the noise as given."""
        if self.name in BLIND_METHODS or self.name == "amortised":
            return self
        final = {"name": self.name, **self.settings}
        return SamplerSpec(**{**vars(self), "name": "spectral_em", "settings": {"final": final}})

    def identity(self) -> dict[str, Any]:
        """Returns all that the samples depend on, as plain data: the weights by the hash of their content."""
        settings, hashes = dict(self.settings), {"prior": hash_weights(find_prior(self._own_weights))}
        if settings.get("weights") is not None:
            hashes["own"] = hash_weights(find_weights(settings.pop("weights")))
        return {**vars(self), "settings": settings, "weights": hashes}


def _made(setting: Any) -> Any:  # noqa: ANN401 (any plain value)
    """Puts what makes a sampler from a denoiser in the place of an inner sampler's mapping."""
    if not isinstance(setting, Mapping) or "name" not in setting:
        return setting
    settings = dict(setting)
    return SamplerSpec(settings.pop("name"), settings).on


def made(sampler: PosteriorSampler | SamplerSpec, device: str | torch.device) -> PosteriorSampler:
    """Returns the sampler that a spec makes on a device, or a sampler that is there already."""
    return sampler.build(device) if isinstance(sampler, SamplerSpec) else sampler
