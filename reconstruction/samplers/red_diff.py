"""RED-diff: a variational approach that regularises by denoising.

Reference:
    Mardani, Song, Kautz, Vahdat, A Variational Perspective on Solving Inverse Problems with Diffusion Models,
    ICLR 2024, https://arxiv.org/abs/2305.04391 (Algorithm 1).
"""

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import AnyPrior
from reconstruction.samplers.base import Chain, Draws, GuidedSampler, need


class REDDiff(GuidedSampler):
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
    """

    def __init__(
        self,
        denoiser: AnyPrior,
        n_steps: int = 150,
        learning_rate: float = 0.2,
        weight: float = 0.25,
        sigma_data: float = 0.25,
    ) -> None:
        sizes = (learning_rate, weight, sigma_data)
        need(min(sizes) > 0, "learning_rate, weight and sigma_data > 0", *sizes)
        super().__init__(denoiser, n_steps)
        self.learning_rate, self.weight, self.sigma_data = learning_rate, weight, sigma_data

    def start(self, chain: Chain) -> Tensor:
        """Draws each sample's own start from the measurement's posterior under white noise for a prior."""
        nothing = torch.zeros_like(chain.like)
        mu = self.consistent(chain.likelihood.posterior_sample(nothing, self.sigma_data, chain.z_x(), chain.z_y()))
        chain.memory = torch.optim.Adam([mu], lr=self.learning_rate, betas=(0.9, 0.99))
        return mu

    def step(self, chain: Chain, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Moves `mu` by a step of Adam at time `t`: see `GuidedSampler.step`."""
        likelihood, mu = chain.likelihood, x_t
        alpha, sigma = chain.schedule(t)
        x_0 = chain.denoise(alpha * mu + sigma * chain.z_x(), t)
        uphill = -likelihood.least_variance * likelihood.operator.adjoint(
            likelihood.solve(likelihood.residual(mu), 0.0)
        )
        mu.grad = uphill + self.weight * (mu - x_0)
        chain.memory.step()
        # Adam's steps are in proportion to each lead's own gradients: they obey no law between leads.
        return mu.copy_(self.consistent(mu))

    def end(self, chain: Chain, x_t: Tensor, t: Tensor) -> Draws:
        """Takes the means as they are."""
        return chain.draws(x_t)
