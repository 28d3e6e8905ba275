"""What a denoiser is: an estimate of the clean signal, given the noised one and what else is known of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from diffusion_prior.model.covariates import check_covariates
from diffusion_prior.model.schedule import Schedule
from einthoven.ecg.leads import INDEPENDENT_LEADS


class PriorDenoiser(Protocol):
    """What samplers of the prior ask of a denoiser whose conditions are fixed: `denoiser(x_t, t)` and its schedule."""

    @property
    def schedule(self) -> Schedule:
        """The noise schedule."""
        ...

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Returns E[x given x_t] at time `t` (shape ()), in mV, shape of `x_t` (..., C, L)."""
        ...


@dataclass(frozen=True)
class Conditions:
    """What is known of signals beside their noised form; B may be left out where it is the same for all.

    Attributes:
        label: Multi-hot SCP statements, shape (B, n_labels); None or a row of zeros where not known.
        y: Measured samples in mV, shape (B, C, L); read only where `observed`.
        observed: True where a sample was measured, shape (B, C, L).
        sigma_y: Root mean square of the noise of `y` in each lead, in mV, shape (B, C), or of each sample, (B, C, L);
            None or 0: exact.
        covariates: Values of the denoiser's `covariates`, each in its unit, NaN where not known, shape (B, K).
    """

    label: Tensor | None = None
    y: Tensor | None = None
    observed: Tensor | None = None
    sigma_y: Tensor | None = None
    covariates: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.y is None) != (self.observed is None) or (self.y is None and self.sigma_y is not None):
            raise ValueError("y and observed belong together, and sigma_y to them: give both or neither")

    def expand(self, x_t: Tensor) -> "Conditions":
        """Returns them for each row of the flattened `x_t (..., C, L)`."""

        def rows(value: Tensor | None, n_dims: int) -> Tensor | None:
            if value is None:
                return None
            value = value.to(x_t.device).expand(*x_t.shape[:-2], *value.shape[-n_dims:])
            return value.reshape(-1, *value.shape[-n_dims:])

        sigma_y, covariates = rows(self.sigma_y, 2 if self.sigma_varies else 1), rows(self.covariates, 1)
        return Conditions(rows(self.label, 1), rows(self.y, 2), rows(self.observed, 2), sigma_y, covariates)

    @property
    def sigma_varies(self) -> bool:
        """Whether each sample has a noise of its own."""
        return self.sigma_y is not None and self.y is not None and self.sigma_y.ndim == self.y.ndim


NOTHING = Conditions()


class Prior(ABC):
    """A denoiser whose conditions may be chosen, and what it says of itself: nobody asks for its class.

    Attributes:
        schedule: Noise schedule.
        leads: Names of the C leads.
        sampling_rate: Sampling rate of the signals in Hz.
        facts: What its checkpoint says of it.
        takes_measurements: Whether its conditions may hold measured samples.
        finds_noise: Whether its network finds the noise, at steps of a discrete schedule.
    """

    schedule: Schedule
    leads: tuple[str, ...] = INDEPENDENT_LEADS
    sampling_rate: float = 100.0
    facts: Mapping[str, Any] = MappingProxyType({})
    takes_measurements: ClassVar[bool] = False
    finds_noise: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, x_t: Tensor, t: Tensor, conditions: Conditions = NOTHING) -> Tensor:
        """Returns E[x given x_t and conditions], in mV, shape of `x_t` (B, C, L), at times `t` of shape () or (B,)."""

    @property
    def distilled_levels(self) -> tuple[float, ...]:
        """Noise levels in mV that it was distilled for, descending: at others it is no denoiser. Empty: none."""
        return tuple(self.facts.get("distilled", {}).get("levels", ()))

    def has_slope(self, t: Tensor) -> bool:
        """Tells whether the derivative of the estimate by the noised signal at time `t` (shape ()) is good to go by."""
        return True

    def given(self, conditions: Conditions = NOTHING, guidance_scale: float = 1.0) -> "ConditionalDenoiser":
        """Returns the denoiser under conditions: see `ConditionalDenoiser`."""
        return ConditionalDenoiser(self, conditions, guidance_scale)


class Denoiser(nn.Module, Prior):
    """Estimates the clean signal by a network, `E[x given x_t and conditions]`.

    Args:
        backbone: The network.
        schedule: Noise schedule.
        leads: Names of the C leads.
        sampling_rate: Sampling rate of the signals, Hz.
        sigma_data: Standard deviation of the signals, mV.
        n_labels: Length of the label vector; 0 for an unconditional prior.
        covariates: Names of the K covariates that it can be told, of `COVARIATES`.

    Attributes:
        spec: How the denoiser was built, for its checkpoint.
    """

    def __init__(
        self,
        backbone: nn.Module,
        schedule: Schedule,
        leads: Sequence[str],
        sampling_rate: float = 100.0,
        sigma_data: float = 0.25,
        n_labels: int = 71,
        covariates: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.covariates = check_covariates(covariates)
        self.backbone, self.schedule = backbone, schedule
        self.leads, self.sampling_rate = tuple(leads), float(sampling_rate)
        self.sigma_data, self.n_labels = sigma_data, n_labels
        self.spec: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}

    @abstractmethod
    def forward(self, x_t: Tensor, t: Tensor, conditions: Conditions = NOTHING) -> Tensor:
        """Denoises `x_t (B, C, L)`, in mV, at times `t` of shape () or (B,); ValueError for unknown conditions."""

    def label_of(self, x_t: Tensor, label: Tensor | None) -> Tensor:
        """Returns the label vectors (B, n_labels) that the network sees, zeros for none; ValueError: other length."""
        if label is None:
            return x_t.new_zeros(len(x_t), self.n_labels)
        if label.shape[-1] != self.n_labels:
            raise ValueError(f"this prior takes {self.n_labels} labels, got {label.shape[-1]}")
        return label


class ConditionalDenoiser:
    r"""A denoiser whose conditions are fixed, and which takes any leading dimensions.

    With a guidance scale `w` other than 1 (Ho & Salimans 2022, arXiv 2207.12598), the result is `D(x_t, no label) + w
    (D(x_t, label) - D(x_t, no label))`, at twice the network calls.

    Attributes:
        takes_measurements: False: they are among the conditions, or not.
        n_calls: Network calls so far.
    """

    takes_measurements = False

    def __init__(self, denoiser: Prior, conditions: Conditions = NOTHING, guidance_scale: float = 1.0) -> None:
        self.denoiser, self.conditions, self.guidance_scale = denoiser, conditions, guidance_scale
        self.schedule, self.leads, self.sampling_rate = denoiser.schedule, denoiser.leads, denoiser.sampling_rate
        self.facts, self.has_slope = denoiser.facts, denoiser.has_slope
        self.n_calls = 0

    def given(self, conditions: Conditions = NOTHING) -> "ConditionalDenoiser":
        """Returns itself; raises ValueError if there are other conditions than its own."""
        if conditions is not NOTHING:
            raise ValueError("the conditions of this denoiser are fixed: take the denoiser itself")
        return self

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Estimates the clean signal in mV, of the shape of `x_t` (..., B, C, L), at time `t` in [0, 1] of shape ()."""
        flat, conditions = x_t.reshape(-1, *x_t.shape[-2:]), self.conditions.expand(x_t)
        x = self.denoiser(flat, t, conditions)
        self.n_calls += 1
        if conditions.label is not None and self.guidance_scale != 1.0:
            plain = self.denoiser(flat, t, replace(conditions, label=None))
            self.n_calls += 1
            x = plain + self.guidance_scale * (x - plain)
        return x.reshape(x_t.shape)


AnyPrior = Prior | ConditionalDenoiser
"""A denoiser, or one whose conditions are fixed."""
