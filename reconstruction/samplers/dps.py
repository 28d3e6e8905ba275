"""DPS: diffusion posterior sampling with the gradient of the misfit of the denoised signal.

Reference:
    Chung, Kim, McCann, Klasky, Ye, Diffusion Posterior Sampling for General Noisy Inverse Problems, ICLR 2023,
    https://arxiv.org/abs/2209.14687 (Algorithm 1, with the step sizes of its Section 4 and Appendix C.2).
"""

from itertools import pairwise

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import Denoiser, PriorDenoiser
from diffusion_prior.model.schedule import time_grid
from einthoven.randomness import Noise
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.samplers.base import (
    Bridge,
    StandardNormal,
    TrainingFreeSampler,
    gaussian_slope,
    has_slope,
)


class DPS(TrainingFreeSampler):
    r"""Diffusion Posterior Sampling.

    Each ancestral step of the prior is followed by a step down the norm of the misfit, with `D` the denoiser:

        x_s = mean and noise of q(x_s | x_0 = D(x_t, t), x_t)  -  step_size grad_{x_t} |y - A D(x_t, t)|.

    This is Algorithm 1 with zeta = step_size / |y - A D| (its `|y - A D|^2` has twice that gradient). The norm is one
    for each sample of each record. Noise that is not white enters as `|Sigma^(-1/2) (y - A D)|` times its smallest
    standard deviation, which is the same for white noise and never makes a longer step. Else the noise's level does
    not enter at all: by construction the samples do not follow the posterior, and their spread depends on the step.

    The paper's states are variance-preserving and its data of standard deviation about 1. Those of any schedule are
    mapped to them by `x_t / sqrt(alpha_t^2 + sigma_t^2 / sigma_data^2)`, up to the factor sigma_data. Where the
    denoiser has no derivative to go by (`has_slope`), that of independent samples is taken, without a gradient.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        n_steps: Number of sampling steps, each with one gradient; one more network call ends them.
        step_size: Length of a step in mV, as a root mean square over the measured samples if the denoiser were the
            identity.
        sigma_data: Standard deviation of the ECGs in mV.

    Raises:
        ValueError: If there is no step, or a size is not positive.
    """

    def __init__(
        self, denoiser: Denoiser | PriorDenoiser, n_steps: int = 60, step_size: float = 0.04, sigma_data: float = 0.25
    ) -> None:
        if n_steps < 1 or step_size <= 0 or sigma_data <= 0:
            raise ValueError(
                f"need n_steps >= 1, step_size > 0 and sigma_data > 0, got {n_steps}, {step_size} and {sigma_data}"
            )
        super().__init__(denoiser)
        self.n_steps, self.step_size, self.sigma_data = n_steps, step_size, sigma_data

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Noise) -> Tensor:
        """Draws samples: see `PosteriorSampler`."""
        self.network_calls = self.gradient_calls = 0
        like = likelihood.operator.adjoint(likelihood.y)
        times = time_grid(self.n_steps, like, self.denoiser.schedule)
        noise = StandardNormal((n_samples, *like.shape), generator, like)
        x_t = self.denoiser.schedule(times[0])[1] * noise()
        for t, s in pairwise(times):
            x_t = self.step(x_t, t, s, likelihood, noise)
        return self._denoise(x_t, times[-1])

    def step(self, x_t: Tensor, t: Tensor, s: Tensor, likelihood: GaussianLikelihood, noise: StandardNormal) -> Tensor:
        """Goes from `x_t` at time `t` to `x_s` at the earlier time `s`.

        Args:
            x_t: Noised ECG in mV, shape (S, B, C, L).
            t: Its time.
            s: The next time.
            likelihood: The measurement.
            noise: Source of standard normal numbers of the shape of `x_t`.

        Returns:
            Noised ECG at time `s`, in mV, shape (S, B, C, L).
        """
        x_0, slope = self._misfit_gradient(x_t, t, likelihood)
        bridge = Bridge(self.denoiser.schedule, None, s, t)
        length = self.step_size * likelihood.observed.sum(dim=(-2, -1)).to(x_t).sqrt()[:, None, None]
        return bridge.mean(x_0, x_t) + bridge.std * noise() - length * self._scale(s) * self._scale(t) * slope

    def _misfit_gradient(self, x_t: Tensor, t: Tensor, likelihood: GaussianLikelihood) -> tuple[Tensor, Tensor]:
        """Returns `D(x_t, t)` and the gradient of the norm of its misfit, both of the shape of `x_t`."""
        smallest = likelihood.noise.variances(likelihood.y).amin(dim=(-2, -1)).sqrt()
        guided = has_slope(self.denoiser, t)
        with torch.set_grad_enabled(guided):
            x_t = x_t.detach().requires_grad_(guided)
            x_0 = self._denoise(x_t, t)
            residual = likelihood.residual(x_0.detach())
            whitened = likelihood.solve(residual, 0.0)
            norm = (residual * whitened).sum(dim=(-2, -1)).sqrt()
            # Where y fits exactly the norm has no gradient: no step is made.
            weight = torch.where(norm > 0, smallest / norm, 0.0)[..., None, None]
            downhill = likelihood.operator.adjoint(weight * whitened)
            if guided:
                (slope,) = torch.autograd.grad(x_0, x_t, -downhill)
            else:
                slope = -gaussian_slope(self.denoiser.schedule, t, self.sigma_data) * downhill
        self.gradient_calls += guided
        return x_0.detach(), slope

    def _scale(self, t: Tensor) -> Tensor:
        """Factor between the state of the schedule and the variance-preserving one."""
        alpha, sigma = self.denoiser.schedule(t)
        return (alpha.square() + (sigma / self.sigma_data).square()).sqrt()
