"""PiGDM: pseudo-inverse guidance, a likelihood that knows how unsure the denoised signal is.

Reference:
    Song, Vahdat, Mardani, Kautz, Pseudoinverse-Guided Diffusion Models for Inverse Problems, ICLR 2023,
    https://openreview.net/forum?id=9_gsMA8MRKQ (Section 3, Algorithm 1).
"""

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import AnyPrior
from diffusion_prior.sampler import Sampler
from einthoven.randomness import Generators
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.samplers.base import Chain, Draws, PosteriorSampler, need


class PiGDM(PosteriorSampler):
    r"""Pseudo-inverse guided diffusion.

    The clean ECG given `x_t` is taken for Gaussian with mean `D(x_t, t)` and variance `r_t^2`, so that `y` given `x_t`
    is Gaussian too, and the score of the posterior is that of the prior and, with `J` the Jacobian of the denoiser,

        grad log p(y | x_t) = J^T A^T (r_t^2 A A^T + Sigma)^-1 (y - A D(x_t, t)).

    In terms of the denoiser: `D + (sigma_t^2 / alpha_t) grad log p(y | x_t)` is the mean of the ECG given `x_t` and
    `y`, and a sampler of the prior runs with it. With `s = sigma_t / alpha_t`, the paper's
    `r_t^2 = s^2 sigma_data^2 / (s^2 + sigma_data^2)`: exact where the ECG's samples are independent. Where they go
    together it is too small for what they share, where the guidance overshoots, and too large for the rest; a much
    smaller `sigma_data` makes the sampler diverge.

    The paper's Algorithm 1 adds the gradient, times a weight of its own, to the state after each step (of DDIM with
    eta 1); here the score is followed, so that nothing depends on the number of steps when there are many, and any
    sampler of the prior will do. Where the denoiser has no derivative to go by (`Chain.pull_back`), J is that of the
    assumed variance, `alpha_t r_t^2 / sigma_t^2`, and no gradient is taken.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        n_steps: Number of sampling steps, each with one gradient.
        eta: Share of the noise that is renewed: 0 deterministic, 1 ancestral.
        order: Order of the sampler, 1 or 2 (see `diffusion_prior.sampler.Sampler`).
        sigma_data: Standard deviation of the ECGs in mV.
    """

    def __init__(
        self,
        denoiser: AnyPrior,
        n_steps: int = 60,
        eta: float = 0.0,
        order: int = 2,
        sigma_data: float = 0.25,
    ) -> None:
        need(sigma_data > 0, "sigma_data > 0", sigma_data)
        super().__init__(denoiser)
        Sampler(denoiser.given(), n_steps, eta, order)  # wrong settings are refused here, not in the first call
        self.denoiser, self.n_steps, self.eta, self.order, self.sigma_data = denoiser, n_steps, eta, order, sigma_data

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Draws:
        """Runs a sampler of the prior with the guided denoiser: see `PosteriorSampler`."""
        chain = Chain(self, self.denoiser.given(), self.n_steps, likelihood, n_samples, generator)
        sampler = Sampler(GuidedDenoiser(chain, self.sigma_data), self.n_steps, self.eta, self.order)
        samples = sampler.sample(chain.z_x.shape, generator, chain.like.dtype, chain.like.device)
        return chain.draws(samples)


class GuidedDenoiser:
    """The denoiser of the posterior: that of the prior, moved by pseudo-inverse guidance (see `PiGDM`)."""

    def __init__(self, chain: Chain, sigma_data: float) -> None:
        self.chain, self.schedule, self.sigma_data = chain, chain.schedule, sigma_data

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Returns E[x given x_t and y] at time `t` (shape ()), in mV, shape of `x_t` (S, B, C, L)."""
        likelihood, (alpha, sigma) = self.chain.likelihood, self.schedule(t)
        ratio = sigma / alpha
        spread = ratio * self.sigma_data / (ratio.square() + self.sigma_data**2).sqrt()

        def uphill(x_0: Tensor) -> Tensor:
            """Returns the gradient of the likelihood by `x_0`, of its shape."""
            return likelihood.operator.adjoint(likelihood.solve(likelihood.residual(x_0), spread))

        x_0, score = self.chain.pull_back(x_t, t, self.sigma_data, uphill)
        # Of a network the gradient may leave what its estimates obey.
        return self.chain.consistent(x_0 + sigma.square() / alpha * score)
