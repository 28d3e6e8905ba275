"""Noising an image and taking the noise away again, by DDIM and DDPM steps on the prior's discrete schedule.

Ho, Jain, Abbeel, Denoising diffusion probabilistic models, NeurIPS 2020, https://arxiv.org/abs/2006.11239; Song, Meng,
Ermon, Denoising diffusion implicit models, ICLR 2021, https://arxiv.org/abs/2010.02502. The settings are those that
Han et al. (arXiv 2506.11815, 2025) score noise with.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_prior.model.schedule import DiscreteSchedule

SCHEDULE = DiscreteSchedule(n_steps=1000, beta_min=1e-4, beta_max=0.02)
N_TIMESTEPS = SCHEDULE.n_levels
SCHEDULER_TYPES = ("ddim", "ddpm")

Network = Callable[[Tensor, Tensor], Tensor]
"""Predicts the noise in `x_t` of shape (B, ...), given the timesteps of shape (B,)."""


def add_noise(x: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Returns `x_t = sqrt(abar_t) x + sqrt(1 - abar_t) noise` of x, shape (B, C, H, W), at timesteps, shape (B,)."""
    share = SCHEDULE.alpha_bar.to(timesteps.device)[timesteps].to(x.dtype).reshape(-1, *[1] * (x.ndim - 1)).to(x.device)
    return share.sqrt() * x + (1 - share).sqrt() * noise


@dataclass(frozen=True)
class ReverseProcess:
    """How an image is noised and restored.

    DDIM without randomness (eta = 0) goes down the multiples of `step_interval` from `timestep` to 0: four network
    calls at the published 30 and 10. DDPM takes every timestep, with the smaller of the two variances of its paper.

    Attributes:
        timestep: Timestep of the noised image.
        step_interval: Timesteps between two network calls of DDIM; DDPM does not use it.
        noise_scheduler_type: "ddim" or "ddpm".
    """

    timestep: int = 30
    step_interval: int = 10
    noise_scheduler_type: str = "ddim"

    def __post_init__(self) -> None:
        if self.noise_scheduler_type not in SCHEDULER_TYPES:
            raise ValueError(f"noise_scheduler_type is ddim or ddpm, not {self.noise_scheduler_type!r}")
        if not 0 <= self.timestep < N_TIMESTEPS:
            raise ValueError(f"timestep must lie between 0 and {N_TIMESTEPS - 1}, not {self.timestep}")
        if not 1 <= self.step_interval < N_TIMESTEPS:
            raise ValueError(f"step_interval must lie between 1 and {N_TIMESTEPS - 1}, not {self.step_interval}")
        if self.noise_scheduler_type == "ddim" and self.timestep % self.step_interval:
            raise ValueError(
                f"DDIM starts at a multiple of step_interval: timestep={self.timestep} is none of {self.step_interval}"
            )

    @property
    def key(self) -> str:
        """Name of the process, such as "ddim-10-30" (type, interval, timestep)."""
        return f"{self.noise_scheduler_type}-{self._interval}-{self.timestep}"

    @property
    def timesteps(self) -> tuple[int, ...]:
        """Timesteps of the network calls, in their order."""
        return tuple(range(self.timestep, -1, -self._interval))

    @property
    def _interval(self) -> int:
        return self.step_interval if self.noise_scheduler_type == "ddim" else 1

    def __call__(
        self, network: Network, x: Tensor, start_noise: Tensor, draw: Callable[[], Tensor], clip_sample: bool = False
    ) -> Tensor:
        """Noises images or latents and restores them, shape (B, C, H, W) each.

        Args:
            network: Predicts the noise.
            x: Images or latents.
            start_noise: Standard normal numbers, same shape.
            draw: Draws more of them, for DDPM.
            clip_sample: Whether each estimate of `x` is cut to [-1, 1].
        """
        x_t = add_noise(x, start_noise, torch.full((len(x),), self.timestep, device=x.device))
        step = self._ddim_step if self.noise_scheduler_type == "ddim" else self._ddpm_step
        for t in self.timesteps:
            epsilon = network(x_t, torch.full((len(x),), t, device=x.device))
            share = float(SCHEDULE.alpha_bar[t])
            estimate = (x_t - (1 - share) ** 0.5 * epsilon) / share**0.5
            x_t = step(x_t, estimate.clamp(-1, 1) if clip_sample else estimate, epsilon, t, draw)
        return x_t

    def _ddim_step(self, x_t: Tensor, estimate: Tensor, epsilon: Tensor, t: int, draw: Callable[[], Tensor]) -> Tensor:
        share = _share_before(t, self.step_interval)
        return share**0.5 * estimate + (1 - share) ** 0.5 * epsilon  # Song et al., Eq. (12) with sigma = 0

    def _ddpm_step(self, x_t: Tensor, estimate: Tensor, epsilon: Tensor, t: int, draw: Callable[[], Tensor]) -> Tensor:
        share, before = float(SCHEDULE.alpha_bar[t]), _share_before(t, 1)
        kept = share / before
        mean = before**0.5 * (1 - kept) / (1 - share) * estimate + kept**0.5 * (1 - before) / (1 - share) * x_t
        if t == 0:
            return mean
        return mean + ((1 - before) / (1 - share) * (1 - kept)) ** 0.5 * draw()  # Ho et al., Eq. (6) and (7)


def _share_before(t: int, interval: int) -> float:
    """Returns the signal's share after a step down from `t`; below timestep 0 nothing of the noise is left."""
    return float(SCHEDULE.alpha_bar[t - interval]) if t >= interval else 1.0
