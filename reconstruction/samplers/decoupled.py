"""Decoupled guidance: a likelihood whose denoiser does not read the state it guides, so that nothing is differentiated.

Reference:
    Moufad, Bagheri Shouraki, Durmus, Hirtz, Moulines, Olsson, Janati, Efficient Zero-Shot Inpainting with Decoupled
    Diffusion Guidance, 2025, https://arxiv.org/abs/2512.18365. Here for any linear measurement and Gaussian noise,
    with corrector steps and, where the network has them, its conditional channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import AnyPrior, Conditions
from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.randomness import Generators
from reconstruction.measurement.channels import only_whole_leads
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.linear_estimate import RATE_HZ, bridge_short_gaps
from reconstruction.measurement.operators import SamplewiseOperator
from reconstruction.measurement.saturation import SaturatedLeads
from reconstruction.samplers.base import Chain, Draws, GuidedSampler, fitted, need

EXACT_MV = 0.02
"""Noise up to this level counts as none for the conditional channels: what a filtered resting ECG still has."""


@dataclass
class _Memory:
    """What is kept from step to step.

    Attributes:
        known: Samples of the prior's leads that were measured all but exactly, bool of shape (B, C, L).
        complete: Records that need no guidance, bool of shape (B, 1, 1).
        trend: What is added to the denoised signal for the transition, in mV, shape (S, B, C, L).
        first: The first denoised signal, of that shape.
        before: That of the step before.
    """

    known: Tensor
    complete: Tensor
    trend: Tensor
    first: Tensor | None = None
    before: Tensor | None = None


class DecoupledSampler(GuidedSampler):
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
        bridge: Whether gaps of up to 30 ms are joined with the linear estimate from the samples around them: see
            `reconstruction.measurement.linear_estimate`.
        spread: Factor by which samples of records without guidance are moved away from the posterior mean. None:
            as it was fitted for the weights, else 1, which changes nothing.
    """

    def __init__(
        self,
        denoiser: AnyPrior,
        n_steps: int = 60,
        eta: float = 4.0,
        order: int = 2,
        n_corrections: int = 0,
        look_ahead: bool = False,
        conditional: bool = True,
        bridge: bool = True,
        spread: float | None = None,
    ) -> None:
        fits = n_corrections >= 0 and order in (1, 2) and eta > 0
        need(fits, "n_corrections >= 0, order 1 or 2 and eta > 0", n_corrections, order, eta)
        super().__init__(denoiser, n_steps)
        self.eta, self.order, self.n_corrections = eta, order, n_corrections
        self.look_ahead, self.conditional, self.bridge = look_ahead, conditional, bridge
        self.spread = fitted(denoiser, self.name, "spread", spread)

    def begin(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Chain:
        """Gives the network's channels what they can hold: see `GuidedSampler.begin`."""
        like = likelihood.operator.adjoint(likelihood.y)
        known, complete = self._exactly_known(likelihood, like)
        held = only_whole_leads(known) & (self.conditional and self.denoiser.takes_measurements)
        denoiser = self.denoiser.given()
        if bool((known & held).any()):
            denoiser = self.denoiser.given(Conditions(y=likelihood.operator.pinv(likelihood.y), observed=known & held))
        chain = Chain(self, denoiser, self.n_steps, likelihood, n_samples, generator)
        chain.memory = _Memory(known, complete & held, like.new_zeros(chain.z_x.shape))
        return chain

    def step(self, chain: Chain, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Goes to `x_s`, and back and again where steps are repeated: see `GuidedSampler.step`."""
        memory: _Memory = chain.memory
        x_0 = chain.denoise(x_t, t)
        if memory.before is None:
            memory.first = x_0
        elif self.order == 2:
            alpha, sigma = chain.schedule(chain.times[chain.place - 1 : chain.place + 2])
            earlier, later = (alpha / sigma).log().diff()
            memory.trend = later / earlier / 2 * (x_0 - memory.before)
        x_s = self._transition(chain, x_t, x_0, t, s)
        for _ in range(self.n_corrections):
            x_t = chain.renoise(x_s, s, t)
            x_0 = chain.denoise(x_t, t)
            x_s = self._transition(chain, x_t, x_0, t, s)
        memory.before = x_0
        return x_s

    def end(self, chain: Chain, x_t: Tensor, t: Tensor) -> Draws:
        """Takes the last denoised signal, corrected, short gaps bridged; without guidance the mean is the first one."""
        samples, first = self.consistent(chain.proximal(x_t, t)), chain.memory.first
        samples = self._bridged(samples, chain.likelihood, chain.memory.known)
        mean = torch.where(chain.memory.complete, first.mean(dim=0), samples.mean(dim=0))
        samples = torch.where(chain.memory.complete, torch.lerp(first, samples, self.spread), samples)
        return chain.draws(samples, mean)

    def _transition(self, chain: Chain, x_t: Tensor, x_0: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Returns `x_s`, shape (S, B, C, L), from `x_t` and its denoised signal `x_0`."""
        (alpha_t, sigma_t), (alpha_s, sigma_s) = chain.schedule(t), chain.schedule(s)
        memory: _Memory = chain.memory
        kept = (alpha_t * sigma_s) / (alpha_s * sigma_t)

        def transition_of(eta: float) -> tuple[Tensor, Tensor]:
            mu = sigma_s / sigma_t * kept**eta * x_t + alpha_s * (1 - kept ** (1 + eta)) * (x_0 + memory.trend)
            return mu, sigma_s * (1 - kept ** (2 * eta)).sqrt()

        mu, std = transition_of(self.eta)
        z_hat = (x_t - alpha_t * x_0) / sigma_t
        if self.look_ahead:
            x = mu + std * chain.z_x()
            z_hat = (x - alpha_s * chain.denoise(x, s)) / sigma_s
        z = chain.z_x()
        clean = chain.likelihood.posterior_sample((mu - sigma_s * z_hat) / alpha_s, std / alpha_s, z, chain.z_y())
        ancestral_mu, ancestral_std = transition_of(1.0)
        return torch.where(memory.complete, ancestral_mu + ancestral_std * z, alpha_s * clean + sigma_s * z_hat)

    def _exactly_known(self, likelihood: GaussianLikelihood, like: Tensor) -> tuple[Tensor, Tensor]:
        """Finds samples that the measurement determines, noise aside, (B, C, L), and whether they are all of it.

        The second, (B, 1, 1), says in which records they are all that was measured. Both are False where the noise is
        above `EXACT_MV`.
        """
        operator = likelihood.operator
        if not isinstance(operator, SamplewiseOperator):
            return torch.zeros_like(like, dtype=torch.bool), like.new_zeros(len(like), 1, 1).bool()
        rms = likelihood.noise.rms(likelihood.y).expand(likelihood.y.shape[:2])
        exact = (rms <= EXACT_MV).all(dim=-1)[:, None, None]
        determined, all_held = operator.identified(like)
        return determined.expand(like.shape) & exact, all_held.all(dim=-1).expand(len(like))[:, None, None] & exact

    def _bridged(self, samples: Tensor, likelihood: GaussianLikelihood, known: Tensor) -> Tensor:
        """Joins samples (S, B, C, L) with the linear estimate in short gaps, where it is known for the prior's leads.

        Of cut peaks more is known than that they are missing.
        """
        fits = self.leads == INDEPENDENT_LEADS and self.sampling_rate == RATE_HZ
        if not self.bridge or not fits or isinstance(likelihood.operator, SaturatedLeads):
            return samples
        return bridge_short_gaps(samples, likelihood.operator.pinv(likelihood.y), known)
