"""DiffPIR: a plug-and-play solver whose denoiser is the prior's and whose data step is a proximal point.

Reference:
    Zhu, Zhang, Liang, Cao, Wen, Timofte, Van Gool, Denoising Diffusion Models for Plug-and-Play Image Restoration,
    CVPR Workshops 2023, https://arxiv.org/abs/2305.08995 (Algorithm 1).
"""

from itertools import pairwise

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import Denoiser, PriorDenoiser
from diffusion_prior.model.schedule import time_grid
from einthoven.randomness import Noise
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.samplers.base import StandardNormal, TrainingFreeSampler


class DiffPIR(TrainingFreeSampler):
    r"""Diffusion plug-and-play image restoration.

    A step from `t` to `s < t` takes the proximal point of the likelihood near the denoised signal (Eq. 12),

        x_hat = argmin_x |y - A x|^2_Sigma + weight (alpha_t / sigma_t)^2 |x - D(x_t, t)|^2,

    and with `z_hat = (x_t - alpha_t x_hat) / sigma_t` goes to (Eq. 15)

        x_s = alpha_s x_hat + sigma_s (sqrt(1 - zeta) z_hat + sqrt(zeta) z).

    The samples are not those of the posterior: `z_hat` is what is left of the noise, not noise, and the denoised signal
    counts as if it were as uncertain as the noise level.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        n_steps: Steps of the grid.
        weight: The paper's lambda: how much the denoised signal counts against the measurement.
        zeta: Share of the noise's variance that is renewed: 0 none, 1 all.

    Raises:
        ValueError: If there is no step, the weight is not positive, or `zeta` is not a share.
    """

    def __init__(
        self, denoiser: Denoiser | PriorDenoiser, n_steps: int = 100, weight: float = 1.0, zeta: float = 0.5
    ) -> None:
        if n_steps < 1 or weight <= 0 or not 0 <= zeta <= 1:
            raise ValueError(f"need n_steps >= 1, weight > 0 and 0 <= zeta <= 1, got {n_steps}, {weight} and {zeta}")
        super().__init__(denoiser)
        self.n_steps, self.weight, self.zeta = n_steps, weight, zeta

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Noise) -> Tensor:
        """Draws samples: see `PosteriorSampler`."""
        self.network_calls = 0
        like = likelihood.operator.adjoint(likelihood.y)
        times = time_grid(self.n_steps, like, self.denoiser.schedule)
        noise = StandardNormal((n_samples, *like.shape), generator, like)
        x_t = self.denoiser.schedule(times[0])[1] * noise()
        for t, s in pairwise(times):
            x_t = self.step(x_t, t, s, likelihood, noise)
        return self.consistent(self._estimate(x_t, times[-1], likelihood))

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
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        x_hat = self._estimate(x_t, t, likelihood)
        z_hat = (x_t - alpha_t * x_hat) / sigma_t
        return alpha_s * x_hat + sigma_s * ((1 - self.zeta) ** 0.5 * z_hat + self.zeta**0.5 * noise())

    def _estimate(self, x_t: Tensor, t: Tensor, likelihood: GaussianLikelihood) -> Tensor:
        """Returns the clean signal that fits both the denoiser and the measurement, of the shape of `x_t`."""
        alpha, sigma = self.denoiser.schedule(t)
        return likelihood.posterior_mean(self._denoise(x_t, t), sigma / alpha / self.weight**0.5)
