"""RED-diff: a variational approach that regularises by denoising.

Reference:
    Mardani, Song, Kautz, Vahdat, A Variational Perspective on Solving Inverse Problems with Diffusion Models,
    ICLR 2024, https://arxiv.org/abs/2305.04391 (Algorithm 1).
"""

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import Denoiser, PriorDenoiser
from diffusion_prior.model.schedule import time_grid
from einthoven.randomness import Noise
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.samplers.base import StandardNormal, TrainingFreeSampler


class REDDiff(TrainingFreeSampler):
    r"""Regularisation by denoising with a diffusion prior.

    Each sample is the mean `mu` of a Gaussian of vanishing variance, fitted to the posterior by Adam through the noise
    levels from the highest to the lowest. At time `t`, with fresh noise `x_t = alpha_t mu + sigma_t e`, its gradient is

        A^T (A mu - y) + weight (mu - D(x_t, t)).

    The second term is the paper's `lambda_t (e(x_t) - e)` with its `lambda_t = weight sigma_t / alpha_t` and
    `e(x_t) = (x_t - alpha_t D) / sigma_t`, for any schedule. Noise that is not white enters the first as
    `s^2 A^T Sigma^-1 (A mu - y)`, `s` its smallest standard deviation. No gradient goes through the network.

    It seeks a mode: samples begin at draws of their own, but are drawn to each other. By construction their spread is
    too narrow with small learning rates, and otherwise it is that of Adam's steps, not of the posterior.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        n_steps: Number of steps of Adam, each one network call.
        learning_rate: Learning rate of Adam in mV.
        weight: Weight of the prior against the measurement, the paper's lambda.
        sigma_data: Standard deviation of the ECGs in mV, for the start.

    Raises:
        ValueError: If there is no step, or another setting is not positive.
    """

    def __init__(
        self,
        denoiser: Denoiser | PriorDenoiser,
        n_steps: int = 150,
        learning_rate: float = 0.2,
        weight: float = 0.25,
        sigma_data: float = 0.25,
    ) -> None:
        if n_steps < 1 or min(learning_rate, weight, sigma_data) <= 0:
            raise ValueError(
                "need n_steps >= 1 and positive learning_rate, weight and sigma_data, got "
                f"{n_steps}, {learning_rate}, {weight} and {sigma_data}"
            )
        super().__init__(denoiser)
        self.n_steps, self.learning_rate, self.weight, self.sigma_data = n_steps, learning_rate, weight, sigma_data

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Noise) -> Tensor:
        """Draws samples: see `PosteriorSampler`."""
        self.network_calls = 0
        operator, schedule = likelihood.operator, self.denoiser.schedule
        like = operator.adjoint(likelihood.y)
        z_x = StandardNormal((n_samples, *like.shape), generator, like)
        z_y = StandardNormal((n_samples, *likelihood.y.shape), generator, like)
        smallest = likelihood.noise.variances(likelihood.y).amin(dim=(-2, -1))
        scale = smallest if smallest.ndim == 0 else smallest[:, None, None]
        # Each sample's own start: a draw of the measurement's posterior under white noise for a prior.
        mu = self.consistent(likelihood.posterior_sample(torch.zeros_like(like), self.sigma_data, z_x(), z_y()))
        adam = torch.optim.Adam([mu], lr=self.learning_rate, betas=(0.9, 0.99))
        for t in time_grid(self.n_steps, like, schedule)[:-1]:
            alpha, sigma = schedule(t)
            x_0 = self._denoise(alpha * mu + sigma * z_x(), t)
            uphill = -scale * operator.adjoint(likelihood.solve(likelihood.residual(mu), 0.0))
            mu.grad = uphill + self.weight * (mu - x_0)
            adam.step()
            # Adam's steps are in proportion to each lead's own gradients: they obey no law between leads.
            mu.copy_(self.consistent(mu))
        return mu
