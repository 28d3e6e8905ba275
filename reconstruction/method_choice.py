"""Which method restores a recording, and its sampler."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_prior.checkpoint import shared_denoiser
from einthoven.ecg.leads import INDEPENDENT_LEADS, LIMB_COEFFICIENTS
from einthoven.run.registry import check_choice
from reconstruction.measurement.noise_start import NOISES
from reconstruction.samplers.amortised import DISTILLED_PRESET, PRESETS
from reconstruction.samplers.base import PosteriorSampler
from reconstruction.samplers.registry import BLIND_METHODS, METHODS, RIVALS
from reconstruction.samplers.spec import SamplerSpec

PRIOR_RATE_HZ = 100.0
"""Sampling rate of the bundled prior."""


@dataclass(frozen=True)
class MethodChoice:
    """Chooses the method of a recording, or of a window of it, and makes its sampler, once for each method.

    Attributes:
        leads: Names of the leads.
        noise: Noise to remove; None: none.
        method: Name of the method; None: the most accurate of the quick ones.
        sampler: A sampler to take as it is.
        weights: The prior's; None: the bundled ones.
        device: Device of the network.
        preset: "fastest", "fast" or "best", of "amortised" where that is taken; None: its default.

    Raises:
        ValueError: If the noise, the method or the preset is not known, or they do not go together.
    """

    leads: Sequence[str]
    noise: str | None = None
    method: str | None = None
    sampler: PosteriorSampler | None = None
    weights: str | Path | None = None
    device: str | torch.device = "cpu"
    preset: str | None = None
    _made: dict[str, PosteriorSampler] = field(default_factory=dict, init=False)
    _conditional: list[bool] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if self.noise is not None:
            check_choice("noise", self.noise, NOISES)
        if self.sampler is None and self.method is not None:
            check_choice("method", self.method, [*METHODS, *BLIND_METHODS, *RIVALS])
        method = self.method if self.sampler is None else self.sampler.name
        if self.preset is not None:
            check_choice("preset", self.preset, list(PRESETS))
            if self.sampler is not None or method not in (None, "amortised"):
                raise ValueError(
                    f'preset="{self.preset}" is for method="amortised", or where no method is named; with '
                    f"{'a sampler of your own' if self.sampler is not None else method} leave it out"
                )
            if self.preset == DISTILLED_PRESET and self.noise is not None:
                raise ValueError(f'preset="{self.preset}" takes out no noise: take preset="fast", or leave it out')
        if self.noise is None and method in BLIND_METHODS:
            raise ValueError(
                f'method="{method}" estimates noise, but noise is None: say which, noise="bw", "em", "ma" or "mix", or '
                f'noise="auto"; for a clean recording take one of {", ".join(METHODS)}'
            )

    def __call__(self, ecg: NDArray[np.float64], sampling_rate: float) -> tuple[str, PosteriorSampler]:
        """Returns the name of the method and its sampler for an ECG (n_leads, L), NaN where missing; rate in Hz.

        Raises:
            ValueError: If the method cannot take it.
        """
        method = self._name(ecg, sampling_rate)
        sampler = self.sampler or self._made.get(method)
        if sampler is None:
            blind, preset = self.noise is not None, self.preset if method == "amortised" else None
            sampler = build_sampler(method, self.weights, self.device, blind=blind, preset=preset)
            self._made[method] = sampler
        if sampling_rate < sampler.sampling_rate and not sampler.takes_any_measurement:
            others = " or ".join(repr(name) for name in METHODS if name != "amortised")
            raise ValueError(
                f"sampling_rate is {sampling_rate:g} Hz, below the prior's {sampler.sampling_rate:g} Hz, which the "
                f"{method} sampler cannot use: take method={others}"
            )
        return method, sampler

    def _name(self, ecg: NDArray[np.float64], sampling_rate: float) -> str:
        if self.sampler is not None:
            return self.sampler.name
        if self.method is not None:
            return self.method
        if not self._conditional:
            self._conditional.append(shared_denoiser(self.weights, self.device).takes_measurements)
        return choose_method(ecg, sampling_rate, self.leads, self.noise, takes_measurements=self._conditional[0])


def choose_method(
    ecg: NDArray[np.float64],
    sampling_rate: float,
    leads: Sequence[str],
    noise: str | None,
    *,
    takes_measurements: bool = True,
) -> str:
    """Returns the name of the method that is taken where none is named, for an ECG (n_leads, L), NaN where missing."""
    if not takes_measurements:
        return "decoupled" if noise is None else "spectral_em"
    gaps = np.isnan(ecg)
    has_gaps = bool((gaps.any(axis=-1) & ~gaps.all(axis=-1)).any())
    measured = [lead for lead, missing in zip(leads, gaps, strict=True) if not missing.all()]
    limb = [lead for lead in measured if lead in LIMB_COEFFICIENTS]
    fits_network = sampling_rate >= PRIOR_RATE_HZ and gives_prior_leads(leads, ~gaps)
    if noise is None:
        return "amortised" if fits_network and not has_gaps else "decoupled"
    lacks_leads = min(len(limb), 2) + len(measured) - len(limb) < len(INDEPENDENT_LEADS)
    return "amortised" if fits_network and lacks_leads else "spectral_em"


def gives_prior_leads(leads: Sequence[str], measured: NDArray[np.bool_]) -> bool:
    """Says whether measured limb leads, mask (n_leads, L), are I or II, or give both, at all times.

    That is all that the network of "amortised" can be told of them.
    """
    limb = np.array([lead in LIMB_COEFFICIENTS for lead in leads])
    own = np.array([lead in INDEPENDENT_LEADS for lead in leads])
    alone = measured[limb].sum(axis=0) == 1
    return not (alone & measured[limb & ~own].any(axis=0)).any()


def build_sampler(
    method: str,
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
    *,
    blind: bool = False,
    preset: str | None = None,
) -> PosteriorSampler:
    """Builds a posterior sampler with the settings of a preset or its default ones; a `blind` one finds the noise too.

    Raises:
        ValueError: If the method or the weights are not known, or do not go together.
    """
    settings = {} if preset is None else {"preset": preset}
    spec = SamplerSpec(method, settings, weights=None if weights is None else str(weights))
    if method in RIVALS:
        raise ValueError(f"{method} needs weights of its own: give sampler=, as configs/algo/{method}.yaml builds it")
    return (spec.blind() if blind else spec).build(device)
