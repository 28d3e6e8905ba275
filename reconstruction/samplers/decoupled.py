"""Decoupled guidance: a likelihood whose denoiser does not read the state it guides, so that nothing is differentiated.

Reference:
    Moufad, Bagheri Shouraki, Durmus, Hirtz, Moulines, Olsson, Janati, Efficient Zero-Shot Inpainting with Decoupled
    Diffusion Guidance, 2025, https://arxiv.org/abs/2512.18365. Here for any linear measurement and Gaussian noise,
    with corrector steps and, where the network has them, its conditional channels.
"""

from itertools import pairwise

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import ConditionalDenoiser, Denoiser, PriorDenoiser
from diffusion_prior.model.schedule import time_grid
from einthoven.randomness import Noise
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.operators import SamplewiseOperator
from reconstruction.samplers.base import (
    PosteriorSampler,
    StandardNormal,
    only_whole_leads,
    takes_measurements,
    transition,
)

EXACT_MV = 0.02
"""Noise up to this level counts as none for the conditional channels: what a filtered resting ECG still has."""


class DecoupledSampler(PosteriorSampler):
    r"""Posterior sampling with Gaussian transitions in closed form.

    A step from `t` to `s < t` combines the prior's transition `N(mu, v I)`, `mu` a mean of `x_t` and `D(x_t, t)` (that
    of `diffusion_prior.sampler.Sampler`), with a likelihood of `x_s`. The denoised `x_s` is written with the noise that
    the network finds, `D(x_s, s) = (x_s - sigma_s z_hat) / alpha_s`, and `z_hat` is taken from another state, which
    does not depend on `x_s`: from `x_t`, or (`look_ahead`, as in the paper, at one more network call) from an
    independent draw of `N(mu, v I)`. Then the likelihood

        g(x_s) = N(y; A (x_s - sigma_s z_hat) / alpha_s, Sigma)

    is Gaussian in `x_s`, and `x_s` is drawn from its product with `N(mu, v I)` exactly. After a step the state may be
    noised again and the step repeated (`n_corrections`), for what was not measured to follow what was.

    Networks that were trained with measured samples in extra channels can be told (`conditional`) the samples of the
    prior's leads that the measurement determines, where these are whole leads and their noise is below `EXACT_MV`. The
    guidance then does what the channels cannot: derived limb leads alone, other sampling rates, noise; and gaps, which
    it fills better (PTB-XL's fold 9). A record whose channels hold everything that was measured needs no guidance: its
    transitions are the ancestral ones, and the denoiser's estimate from noise alone is its posterior mean.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed (then without the channels).
        n_steps: Steps of the grid.
        eta: Stochasticity of guided transitions: 1 is ancestral; larger values renew more of the noise, so that what
            was not measured can still follow what was.
        order: 2 extrapolates the clean signal from the step before, as `diffusion_prior.sampler.Sampler` does: a
            first-order sampler of few steps is too narrow. 1 does not.
        n_corrections: How often each step is repeated.
        look_ahead: Whether `z_hat` comes from a draw of the next state.
        conditional: Whether the network's conditional channels are used, where it has them.
        spread: Factor by which samples of records without guidance are moved away from the posterior mean: see
            `reconstruction.samplers.amortised.AmortisedSampler`.

    Raises:
        ValueError: If there is no step, or a number is not in its range.
    """

    def __init__(
        self,
        denoiser: Denoiser | ConditionalDenoiser,
        n_steps: int = 60,
        eta: float = 4.0,
        order: int = 2,
        n_corrections: int = 0,
        look_ahead: bool = False,
        conditional: bool = True,
        spread: float = 1.2,
    ) -> None:
        if n_steps < 1 or n_corrections < 0 or order not in (1, 2) or eta <= 0 or spread <= 0:
            raise ValueError(
                "need n_steps >= 1, n_corrections >= 0, order 1 or 2, eta > 0 and spread > 0, got "
                f"{n_steps}, {n_corrections}, {order}, {eta} and {spread}"
            )
        super().__init__(denoiser)
        self.denoiser = denoiser
        self.n_steps, self.eta, self.order, self.n_corrections = n_steps, eta, order, n_corrections
        self.look_ahead, self.conditional, self.spread = look_ahead, conditional, spread

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Noise) -> Tensor:
        """Draws samples: see `PosteriorSampler`."""
        self.network_calls = 0
        like = likelihood.operator.adjoint(likelihood.y)
        known, complete = self._channels(likelihood, like)
        denoiser = self._conditioned(likelihood, known)
        times = time_grid(self.n_steps, like, denoiser.schedule)
        z_x = StandardNormal((n_samples, *like.shape), generator, like)
        z_y = StandardNormal((n_samples, *likelihood.y.shape), generator, like)
        x_t = denoiser.schedule(times[0])[1] * z_x()
        x_0 = first = self._denoise(denoiser, x_t, times[0])
        trend = torch.zeros_like(x_0)
        for step, (t, s) in enumerate(pairwise(times)):
            x_s = self.step(denoiser, x_t, x_0, trend, t, s, likelihood, complete, z_x, z_y)
            for _ in range(self.n_corrections):
                scale, variance = transition(denoiser.schedule, s, t)
                x_t = scale * x_s + variance.sqrt() * z_x()
                x_0 = self._denoise(denoiser, x_t, t)
                x_s = self.step(denoiser, x_t, x_0, trend, t, s, likelihood, complete, z_x, z_y)
            before, x_t, x_0 = x_0, x_s, self._denoise(denoiser, x_s, s)
            if self.order == 2 and step + 2 < len(times):
                alpha, sigma = denoiser.schedule(times[step : step + 3])
                earlier, later = (alpha / sigma).log().diff()
                trend = later / earlier / 2 * (x_0 - before)
        alpha, sigma = denoiser.schedule(times[-1])
        samples = self.consistent(likelihood.posterior_mean(x_0, sigma / alpha))
        self.posterior_mean = torch.where(complete, first.mean(dim=0), samples.mean(dim=0))
        return torch.where(complete, torch.lerp(first, samples, self.spread), samples)

    def step(
        self,
        denoiser: PriorDenoiser,
        x_t: Tensor,
        x_0: Tensor,
        trend: Tensor,
        t: Tensor,
        s: Tensor,
        likelihood: GaussianLikelihood,
        complete: Tensor,
        z_x: StandardNormal,
        z_y: StandardNormal,
    ) -> Tensor:
        """Goes from `x_t` at time `t` to `x_s` at the earlier time `s`.

        Args:
            denoiser: The denoiser, conditions fixed.
            x_t: Noised ECG in mV, shape (S, B, C, L).
            x_0: The denoiser's estimate at `x_t`, in mV, of its shape.
            trend: What is added to it for the transition, in mV, of its shape.
            t: Its time.
            s: The next time.
            likelihood: The measurement.
            complete: Records that need no guidance, bool of shape (B, 1, 1).
            z_x: Source of standard normal numbers of the shape of `x_t`.
            z_y: The same in the space of measurements.

        Returns:
            Noised ECG at time `s`, in mV, shape (S, B, C, L).
        """
        (alpha_t, sigma_t), (alpha_s, sigma_s) = denoiser.schedule(t), denoiser.schedule(s)
        kept = (alpha_t * sigma_s) / (alpha_s * sigma_t)

        def transition_of(eta: float) -> tuple[Tensor, Tensor]:
            mu = sigma_s / sigma_t * kept**eta * x_t + alpha_s * (1 - kept ** (1 + eta)) * (x_0 + trend)
            return mu, sigma_s * (1 - kept ** (2 * eta)).sqrt()

        mu, std = transition_of(self.eta)
        z_hat = (x_t - alpha_t * x_0) / sigma_t
        if self.look_ahead:
            x = mu + std * z_x()
            z_hat = (x - alpha_s * self._denoise(denoiser, x, s)) / sigma_s
        z = z_x()
        clean = likelihood.posterior_sample((mu - sigma_s * z_hat) / alpha_s, std / alpha_s, z, z_y())
        ancestral_mu, ancestral_std = transition_of(1.0)
        return torch.where(complete, ancestral_mu + ancestral_std * z, alpha_s * clean + sigma_s * z_hat)

    def _channels(self, likelihood: GaussianLikelihood, like: Tensor) -> tuple[Tensor, Tensor]:
        """Finds which samples go into the channels, (B, C, L), and in which records these hold all, (B, 1, 1)."""
        operator = likelihood.operator
        known, complete = torch.zeros_like(like, dtype=torch.bool), like.new_zeros(len(like), 1, 1).bool()
        fixed = isinstance(self.denoiser, ConditionalDenoiser) or not takes_measurements(self.denoiser)
        if fixed or not self.conditional or not isinstance(operator, SamplewiseOperator):
            return known, complete
        levels = likelihood.noise.levels(likelihood.y).expand(likelihood.y.shape[:2])
        exact = (levels <= EXACT_MV).all(dim=-1)[:, None, None]
        determined, all_held = operator.identified(like)
        told = exact & only_whole_leads(determined.expand(like.shape))
        return determined.expand(like.shape) & told, all_held.all(dim=-1).expand(len(like))[:, None, None] & told

    def _conditioned(self, likelihood: GaussianLikelihood, known: Tensor) -> ConditionalDenoiser:
        if isinstance(self.denoiser, ConditionalDenoiser):
            return self.denoiser
        if not bool(known.any()):
            return ConditionalDenoiser(self.denoiser)
        return ConditionalDenoiser(self.denoiser, y=likelihood.operator.pinv(likelihood.y), observed=known)

    def _denoise(self, denoiser: PriorDenoiser, x_t: Tensor, t: Tensor) -> Tensor:
        self.network_calls += 1
        return self.consistent(denoiser(x_t, t))
