"""PiGDM: pseudo-inverse guidance, a likelihood that knows how unsure the denoised signal is.

Reference:
    Song, Vahdat, Mardani, Kautz, Pseudoinverse-Guided Diffusion Models for Inverse Problems, ICLR 2023,
    https://openreview.net/forum?id=9_gsMA8MRKQ (Section 3, Algorithm 1).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import Denoiser, PriorDenoiser
from diffusion_prior.model.schedule import Schedule
from diffusion_prior.sampler import Sampler
from einthoven.randomness import Noise
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.samplers.base import TrainingFreeSampler, gaussian_slope, has_slope


class PiGDM(TrainingFreeSampler):
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
    sampler of the prior will do. Where the denoiser has no derivative to go by (`has_slope`), J is that of the assumed
    variance, `alpha_t r_t^2 / sigma_t^2`, and no gradient is taken.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        n_steps: Number of sampling steps, each with one gradient.
        eta: Share of the noise that is renewed: 0 deterministic, 1 ancestral.
        order: Order of the sampler, 1 or 2 (see `diffusion_prior.sampler.Sampler`).
        sigma_data: Standard deviation of the ECGs in mV.

    Raises:
        ValueError: If `n_steps`, `eta` or `order` do not suit the sampler, or `sigma_data` is not positive.
    """

    def __init__(
        self,
        denoiser: Denoiser | PriorDenoiser,
        n_steps: int = 60,
        eta: float = 0.0,
        order: int = 2,
        sigma_data: float = 0.25,
    ) -> None:
        if sigma_data <= 0:
            raise ValueError(f"sigma_data must be positive, but is {sigma_data}: the standard deviation of ECGs in mV")
        super().__init__(denoiser)
        Sampler(self.denoiser, n_steps, eta, order)  # wrong settings are refused here, not in the first call
        self.n_steps, self.eta, self.order, self.sigma_data = n_steps, eta, order, sigma_data

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Noise) -> Tensor:
        """Draws samples: see `PosteriorSampler`."""
        like = likelihood.operator.adjoint(likelihood.y)
        guided = GuidedDenoiser(self.denoiser, likelihood, self.sigma_data, self.consistent)
        shape = (n_samples, *like.shape)
        sampler = Sampler(guided, self.n_steps, self.eta, self.order)
        samples = sampler.sample(shape, generator, like.dtype, like.device)
        self.network_calls, self.gradient_calls = guided.n_calls, guided.n_gradients
        return samples


class GuidedDenoiser:
    """The denoiser of the posterior: that of the prior, moved by pseudo-inverse guidance (see `PiGDM`).

    Args:
        denoiser: The denoiser of the prior.
        likelihood: The measurement of B records.
        sigma_data: Standard deviation of the ECGs in mV.
        consistent: Projects clean ECGs onto those that obey Einthoven's law; None: leads are independent.

    Attributes:
        n_calls: Network calls so far.
        n_gradients: How many of these had a gradient.
    """

    def __init__(
        self,
        denoiser: PriorDenoiser,
        likelihood: GaussianLikelihood,
        sigma_data: float,
        consistent: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.denoiser, self.likelihood, self.sigma_data = denoiser, likelihood, sigma_data
        self.consistent = consistent or (lambda x: x)
        self.schedule: Schedule = denoiser.schedule
        self.n_calls = self.n_gradients = 0

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Returns E[x given x_t and y] at time `t` (shape ()), in mV, shape of `x_t` (S, B, C, L)."""
        alpha, sigma = self.schedule(t)
        ratio = sigma / alpha
        spread = ratio * self.sigma_data / (ratio.square() + self.sigma_data**2).sqrt()
        guided = has_slope(self.denoiser, t)
        with torch.set_grad_enabled(guided):
            x_t = x_t.detach().requires_grad_(guided)
            x_0 = self.consistent(self.denoiser(x_t, t))
            weighted = self.likelihood.solve(self.likelihood.residual(x_0.detach()), spread)
            uphill = self.likelihood.operator.adjoint(weighted)
            if guided:
                (score,) = torch.autograd.grad(x_0, x_t, uphill)
            else:
                score = gaussian_slope(self.schedule, t, self.sigma_data) * uphill
        self.n_calls, self.n_gradients = self.n_calls + 1, self.n_gradients + guided
        # Of a network the gradient may leave what its estimates obey.
        return self.consistent(x_0.detach() + sigma.square() / alpha * score)
