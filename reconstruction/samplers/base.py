"""What every posterior sampler offers, and the one loop of those that walk down the prior's noise levels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Generator, Tensor

from diffusion_prior.model.bridge import transition
from diffusion_prior.model.denoiser import AnyPrior, ConditionalDenoiser, Prior
from diffusion_prior.model.schedule import Schedule
from einthoven.ecg.leads import consistent_matrix, independent_part
from einthoven.randomness import Generators, randn
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import NoiseModel
from reconstruction.samplers.registry import ALL_METHODS


@dataclass(frozen=True)
class Calls:
    """Evaluations of the network, each on the whole batch: forward ones, and how many of these went backward too."""

    network: int = 0
    gradient: int = 0

    def __add__(self, other: "Calls") -> "Calls":
        """Returns the sum of both."""
        return Calls(self.network + other.network, self.gradient + other.gradient)


@dataclass(frozen=True)
class Draws:
    """What a call of a posterior sampler returns.

    Attributes:
        samples: ECGs in mV, shape (S, B, C, L).
        mean: Posterior mean in mV, shape (B, C, L): the sampler's own estimate where it has a better one, else the
            average of the samples.
        calls: How often the network was evaluated.
        noise: Law of the measurement's noise as the sampler found it; None where it took the likelihood's.
    """

    samples: Tensor
    mean: Tensor
    calls: Calls
    noise: NoiseModel | None = None


class Signals(Protocol):
    """What says of which leads, at which rate in Hz, its signals are."""

    leads: tuple[str, ...]
    sampling_rate: float


class PosteriorSampler(ABC):
    """Draws ECGs from the posterior that a prior and a measurement make, in the C `leads` and at the rate of the prior.

    Attributes:
        takes_any_measurement: Whether it takes all linear measurements, or samples of the prior's leads alone.
        takes_gaps: Whether a lead may be measured at some times only.
        spread: Factor by which samples were moved away from the mean, where the sampler `has_estimate`.
    """

    takes_any_measurement: ClassVar[bool] = True
    takes_gaps: ClassVar[bool] = True
    spread: float = 1.0

    def __init__(self, signals: Signals) -> None:
        self.leads, self.sampling_rate = tuple(signals.leads), float(signals.sampling_rate)
        self._projection: Tensor | None = None
        if independent_part(self.leads) != self.leads:
            self._projection = torch.from_numpy(consistent_matrix(self.leads, self.leads))

    @property
    def name(self) -> str:
        """Name of the method: that by which the class, or the next one that it derives from, is registered."""
        names = (ALL_METHODS.name_of(cls) for cls in type(self).__mro__)
        return next((name for name in names if name is not None), type(self).__name__)

    @abstractmethod
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Draws:
        """Draws samples, in the leads of the prior.

        Args:
            likelihood: The measurement of B records.
            n_samples: Number of samples S for each record.
            generator: One generator, or one for each sample of each record, indexed `[sample][record]`.
        """

    def has_estimate(self, likelihood: GaussianLikelihood) -> bool:
        """Says whether the mean that it draws is an estimate of its own, and not the samples' average."""
        del likelihood
        return False

    def estimate(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Tensor:
        """Returns that estimate alone, in mV, shape (B, C, L), where it has one; arguments as of a call."""
        raise NotImplementedError

    def consistent(self, x: Tensor) -> Tensor:
        """Projects clean ECGs (..., C, L) in mV onto those that obey Einthoven's law; independent leads stay.

        A noised ECG is not to be projected: the noise of lead III is its own.
        """
        return x if self._projection is None else self._projection.to(x) @ x


InnerSampler = Callable[[Prior], PosteriorSampler]
"""Makes the sampler that another one draws with."""


class GuidedSampler(PosteriorSampler):
    """Walks down the noise levels of the prior, guided by the likelihood: a paper says what a `step` is.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        n_steps: Steps of the grid.
        n_rounds: How often each stretch of the grid is walked down; in between the state is noised again.
        stretch: Its length in steps.
    """

    counts: ClassVar[tuple[str, ...]] = ("n_steps",)
    """Names of the settings that say how many steps, rounds and steps in a stretch there are, for users."""

    def __init__(self, denoiser: AnyPrior, n_steps: int, n_rounds: int = 1, stretch: int = 1) -> None:
        for name, setting in zip(self.counts, (n_steps, n_rounds, stretch), strict=False):
            need(setting >= 1, f"{name} >= 1", setting)
        super().__init__(denoiser)
        self.denoiser, self.n_steps, self.n_rounds, self.stretch = denoiser, n_steps, n_rounds, stretch

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Draws:
        """Draws samples: see `PosteriorSampler`."""
        chain = self.begin(likelihood, n_samples, generator)
        x_t = self.start(chain)
        for start, end in walk(len(chain.times) - 1, self.n_rounds, self.stretch):
            t, s = chain.times[start], chain.times[end]
            chain.place = start
            x_t = self.step(chain, x_t, t, s) if start < end else chain.renoise(x_t, t, s)
        return self.end(chain, x_t, chain.times[-1])

    def begin(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> "Chain":
        """Returns what a call works with; arguments as in `PosteriorSampler`."""
        return Chain(self, self.denoiser.given(), self.n_steps, likelihood, n_samples, generator)

    def start(self, chain: "Chain") -> Tensor:
        """Returns the state at the first time, in mV, shape (S, B, C, L): noise."""
        return chain.schedule(chain.times[0])[1] * chain.z_x()

    @abstractmethod
    def step(self, chain: "Chain", x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Goes from `x_t` at time `t` to `x_s` at the earlier time `s`: ECGs in mV, shape (S, B, C, L)."""

    def end(self, chain: "Chain", x_t: Tensor, t: Tensor) -> Draws:
        """Makes samples of the state at the last time: the denoised signal, corrected by the measurement."""
        return chain.draws(self.consistent(chain.proximal(x_t, t)))


class Chain:
    """What one call of a sampler works with: the prior, the measurement, the grid of times, random numbers, a count.

    Attributes:
        like: A tensor of the shape (B, C, L), type and device of the ECGs.
        times: Grid of times from 1 to 0.
        times_here: The same on the CPU, for what the host has to decide: to ask a GPU would make it wait.
        place: Where on it the present step starts.
        z_x: Draws standard normal numbers of the shape (S, B, C, L) of the ECGs.
        z_y: The same in the space of measurements.
        calls: Evaluations of the network so far.
        memory: What a sampler keeps from one step to the next.
    """

    memory: Any

    def __init__(
        self,
        sampler: PosteriorSampler,
        denoiser: ConditionalDenoiser,
        n_steps: int,
        likelihood: GaussianLikelihood,
        n_samples: int,
        generator: Generators,
    ) -> None:
        self.consistent, self.denoiser, self.likelihood = sampler.consistent, denoiser, likelihood
        self.schedule: Schedule = denoiser.schedule
        self.like = likelihood.operator.adjoint(likelihood.y)
        self.times, self.place = self.schedule.grid(n_steps, self.like), 0
        self.times_here = self.times.cpu()
        self.z_x = StandardNormal((n_samples, *self.like.shape), generator, self.like)
        self.z_y = StandardNormal((n_samples, *likelihood.y.shape), generator, self.like)
        self.calls, self.memory = Calls(), None

    def denoise(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Returns `D(x_t, t)` in mV, of the shape of `x_t`, and counts the call."""
        self.calls += Calls(network=1)
        return self.consistent(self.denoiser(x_t, t))

    def proximal(self, x_t: Tensor, t: Tensor, weight: float = 1.0) -> Tensor:
        """Returns the ECG that fits both `D(x_t, t)` and the measurement, in mV, shape of `x_t`.

        It is the mean of x given y where `x ~ N(D(x_t, t), r^2 I)`, `r^2 = (sigma_t / alpha_t)^2 / weight`.
        """
        alpha, sigma = self.schedule(t)
        return self.likelihood.posterior_mean(self.denoise(x_t, t), sigma / alpha / weight**0.5)

    def renoise(self, x_s: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """Takes `x_s` at time `s` to the noisier time `t` by the forward process."""
        scale, variance = transition(self.schedule, s, t)
        return scale * x_s + variance.sqrt() * self.z_x()

    def pull_back(
        self, x_t: Tensor, t: Tensor, sigma_data: float, direction: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Returns `D(x_t, t)` and `J^T v`, J the Jacobian of `D` at `x_t` and `v = direction(D)`, all (S, B, C, L).

        Where the denoiser has no derivative to go by, J is that of independent Gaussian samples of standard deviation
        `sigma_data` in mV, `alpha_t r^2 / sigma_t^2` with `r^2` the variance of a clean sample given the noised one.
        """
        guided = self.denoiser.has_slope(t)
        with torch.set_grad_enabled(guided):
            x_t = x_t.detach().requires_grad_(guided)
            x_0 = self.denoise(x_t, t)
        v = direction(x_0.detach())
        if not guided:
            alpha, sigma = self.schedule(t)
            return x_0, alpha * sigma_data**2 / (alpha.square() * sigma_data**2 + sigma.square()) * v
        self.calls += Calls(gradient=1)
        (pulled,) = torch.autograd.grad(x_0, x_t, v)
        return x_0.detach(), pulled

    def draws(self, samples: Tensor, mean: Tensor | None = None) -> Draws:
        """Returns samples (S, B, C, L) and their mean (B, C, L), by default their average, with the count of calls."""
        return Draws(samples, samples.mean(dim=0) if mean is None else mean, self.calls)


def walk(n_steps: int, n_rounds: int = 1, stretch: int = 1) -> Iterator[tuple[int, int]]:
    """Walks down the grid of times, places 0 (the noisiest) to `n_steps`, and up again where steps are repeated.

    Each stretch of as many steps (the last one may be shorter) is walked down `n_rounds` times. Yields steps of one
    place down, or of a whole stretch up, each as its start and end.
    """
    for top in range(0, n_steps, stretch):
        bottom = min(top + stretch, n_steps)
        for round_ in range(n_rounds):
            if round_:
                yield bottom, top
            yield from ((place, place + 1) for place in range(top, bottom))


class StandardNormal:
    """A source of standard normal numbers of a shape (S, B, C, L), and of the type and on the device of `like`."""

    def __init__(self, shape: tuple[int, ...], generator: Generators, like: Tensor) -> None:
        self.shape, self.generator, self.dtype, self.device = shape, generator, like.dtype, like.device

    def __call__(self) -> Tensor:
        """Draws the next numbers."""
        return randn(self.shape, self.generator, self.dtype, self.device)


def fitted(prior: AnyPrior, method: str, setting: str, given: float | None, otherwise: float = 1.0) -> float:
    """Returns a setting: as given, or as it was fitted for the weights, or else one that changes nothing (`otherwise`).

    A checkpoint's facts say under `fitted` what was fitted for it, by method and setting. Not positive: ValueError.
    """
    value = prior.facts.get("fitted", {}).get(method, {}).get(setting, otherwise) if given is None else given
    if value <= 0:
        raise ValueError(f"{setting} must be positive, but is {value:g}; {otherwise:g} changes nothing")
    return float(value)


def need(fits: bool, rule: str, *values: float) -> None:
    """Raises ValueError, with the rule that settings have to fit, where they do not."""
    if not fits:
        raise ValueError(f"need {rule}, got {', '.join(map(str, values))}")


def first_generators(generator: Generators, n_samples: int) -> Generators:
    """Returns the generators of the first samples, or the one generator of all."""
    return generator if isinstance(generator, Generator) else generator[:n_samples]
