"""Noise schedules: how much of the signal is left at a diffusion time, and how much noise is on it.

A schedule maps a time `t` in [0, 1] to `(alpha_t, sigma_t)`, so that `x_t = alpha_t x + sigma_t z` with `z ~ N(0, I)`.
`t = 1` is the noisiest.

References:
    Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022, arXiv 2206.00364.
    Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv 2006.11239.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Schedule(Protocol):
    """What every schedule offers."""

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Returns `(alpha_t, sigma_t)` for times `t` in [0, 1], each of the shape of `t`."""
        ...

    @property
    def n_levels(self) -> int | None:
        """How many times differ; None: all do."""
        ...

    def inverse(self, ratio: Tensor) -> Tensor:
        """Returns the times at which `sigma_t / alpha_t` is `ratio`, of its shape."""
        ...

    def grid(self, n_steps: int, like: Tensor) -> Tensor:
        """Returns a sampler's times from 1 to 0, of the type of `like`: (n_steps + 1,), or all where there are less."""
        ...


class ContinuousSchedule:
    """A schedule whose time was made for samplers: their grids are uniform."""

    n_levels: int | None = None

    def grid(self, n_steps: int, like: Tensor) -> Tensor:
        """Returns `n_steps + 1` uniform times from 1 to 0."""
        return torch.linspace(1.0, 0.0, n_steps + 1, dtype=like.dtype, device=like.device)


class EDMSchedule(ContinuousSchedule):
    r"""Variance-exploding schedule on the grid of Karras et al. (2022), Eq. (5).

    `alpha_t = 1` and `sigma_t = (sigma_min^(1/rho) + t (sigma_max^(1/rho) - sigma_min^(1/rho)))^rho`, so that a uniform
    grid in `t` is their sampling grid.

    Args:
        sigma_min: Noise level at `t = 0`, in mV.
        sigma_max: Noise level at `t = 1`, in mV.
        rho: Exponent; larger values spend more steps at low noise.
    """

    def __init__(self, sigma_min: float = 0.01, sigma_max: float = 30.0, rho: float = 7.0) -> None:
        if not 0 < sigma_min < sigma_max or rho <= 0:
            raise ValueError(f"need 0 < sigma_min < sigma_max and rho > 0, got {sigma_min}, {sigma_max}, {rho}")
        self.sigma_min, self.sigma_max, self.rho = sigma_min, sigma_max, rho

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Returns `(1, sigma_t)`, each of the shape of `t`."""
        low, high = self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)
        return torch.ones_like(t), (low + t * (high - low)) ** self.rho

    def inverse(self, ratio: Tensor) -> Tensor:
        """Returns the times at which the noise level is `ratio` (mV), of its shape."""
        low, high = self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)
        return (ratio ** (1 / self.rho) - low) / (high - low)


class VPSchedule(ContinuousSchedule):
    r"""Variance-preserving schedule with linear `beta` (Ho et al. 2020), in continuous time.

    `alpha_t = exp(-(beta_min t + (beta_max - beta_min) t^2 / 2) / 2)` and `sigma_t^2 = 1 - alpha_t^2`. RhythmDiff's
    1000 steps from 1e-4 to 0.02 are `beta_min = 0.1`, `beta_max = 20`.

    Args:
        beta_min: Rate of noise at `t = 0`.
        beta_max: Rate of noise at `t = 1`.
        t_min: Times below are raised to it, so that `sigma_t` is never zero.
    """

    def __init__(self, beta_min: float = 0.1, beta_max: float = 20.0, t_min: float = 1e-4) -> None:
        self.beta_min, self.beta_max, self.t_min = beta_min, beta_max, t_min

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Returns `(alpha_t, sigma_t)`, each of the shape of `t`."""
        t = t.clamp(min=self.t_min)
        log_alpha = -0.5 * (self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * t.square())
        return log_alpha.exp(), (-torch.expm1(2 * log_alpha)).sqrt()

    def inverse(self, ratio: Tensor) -> Tensor:
        """Returns the times at which `sigma_t / alpha_t` is `ratio`, of its shape."""
        slope = self.beta_max - self.beta_min
        return (-self.beta_min + (self.beta_min**2 + 2 * slope * torch.log1p(ratio.square())).sqrt()) / slope


class DiscreteSchedule:
    r"""The variance-preserving schedule of a network that was trained on a number of discrete steps (Ho et al. 2020).

    `beta` rises linearly over the steps k = 0, 1, ..., and `alpha_k^2 = prod_(j <= k) (1 - beta_j)`. A time t means the
    nearest step, so that the noise level and the step that the network is told always belong together. RhythmDiff's
    sampler takes `alpha_(k-1)` where its network is told k: `published_offset` does the same, to compare.

    Args:
        n_steps: Number of steps T, at least 3.
        beta_min: `beta` of the first step.
        beta_max: `beta` of the last step.
        published_offset: Whether the network is told one step more than the noise level's.
    """

    def __init__(
        self, n_steps: int = 1000, beta_min: float = 1e-4, beta_max: float = 0.02, published_offset: bool = False
    ) -> None:
        if n_steps < 3 or not 0 < beta_min <= beta_max < 1:
            raise ValueError(
                f"need n_steps >= 3 and 0 < beta_min <= beta_max < 1, got {n_steps}, {beta_min}, {beta_max}"
            )
        self.n_steps, self.beta_min, self.beta_max = n_steps, beta_min, beta_max
        self.published_offset = published_offset
        betas = torch.linspace(beta_min, beta_max, n_steps, dtype=torch.float64)
        alpha_bar = (1 - betas).cumprod(0)
        self._alpha_bar = alpha_bar[:-1] if published_offset else alpha_bar
        self._copies = {self._alpha_bar.device: self._alpha_bar}

    @property
    def n_levels(self) -> int:
        """Number of noise levels that a time can mean: one less than steps with `published_offset`."""
        return len(self._alpha_bar)

    @property
    def alpha_bar(self) -> Tensor:
        """Share of the signal's power that is left at each noise level, `alpha_k^2`, shape (n_levels,), float64."""
        return self._alpha_bar

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Returns `(alpha_t, sigma_t)` of the nearest steps, each of the shape of `t`."""
        alpha_bar = self._levels(t.device)[self._place(t)]
        return alpha_bar.sqrt().to(t), (1 - alpha_bar).sqrt().to(t)

    def inverse(self, ratio: Tensor) -> Tensor:
        """Returns the times of the steps whose `sigma_t / alpha_t` is nearest to `ratio` in its logarithm."""
        alpha_bar = self._levels(ratio.device)
        ratios = ((1 - alpha_bar) / alpha_bar).log() / 2
        borders = (ratios[1:] + ratios[:-1]) / 2
        place = torch.bucketize(ratio.double().log(), borders)
        return (place / (len(alpha_bar) - 1)).to(ratio)

    def grid(self, n_steps: int, like: Tensor) -> Tensor:
        """Returns the times from 1 to 0 of a sampler, of the type of `like`, shape (n_steps + 1,) or less.

        The steps were made for signals of standard deviation 1: of ECGs in mV, most of them are all noise. So the steps
        are taken whose noise levels are nearest to those of `EDMSchedule`, each once; near 0 there may be fewer of them
        than asked for. On a Gaussian prior the law of each sampler then is that with `EDMSchedule`, where uniform steps
        made it up to a third too wide ("decoupled") or too narrow. Where all steps are asked for they are taken.
        """
        even = EDMSchedule()
        times = even.grid(n_steps, like)
        if n_steps + 1 == self.n_levels:
            return times
        alpha, sigma = even(times)
        steps = self.inverse(sigma / alpha)
        return torch.cat([steps[:1], steps[1:][steps.diff() < 0]])

    def network_step(self, t: Tensor) -> Tensor:
        """Returns the steps that the network is told, of the shape and type of `t`."""
        return (self._place(t) + int(self.published_offset)).to(t)

    def time(self, step: Tensor) -> Tensor:
        """Returns the times that mean steps of the network, of the shape of `step`, float32 or finer."""
        step = step.to(torch.promote_types(step.dtype, torch.float32))
        return (step - int(self.published_offset)) / (self.n_levels - 1)

    def _levels(self, device: torch.device) -> Tensor:
        if device not in self._copies:  # a copy a call would make the GPU wait
            self._copies[device] = self._alpha_bar.to(device)
        return self._copies[device]

    def _place(self, t: Tensor) -> Tensor:
        return (t.double() * (self.n_levels - 1)).round().long().clamp(0, self.n_levels - 1)
