"""MGPS: posterior sampling with midpoint guidance, from a prior alone.

References:
    Moufad, Janati, Bedin, Durmus, Douc, Moulines, Olsson, Variational Diffusion Posterior Sampling with Midpoint
    Guidance, ICLR 2025, https://arxiv.org/abs/2410.09945 (Algorithm 1).
    Bedin et al., Phil. Trans. R. Soc. A 383:20240330, 2025, for its settings on ECGs (midpoint t / 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffusion_prior.model.bridge import Bridge
from diffusion_prior.model.denoiser import AnyPrior
from reconstruction.samplers.base import Calls, Chain, Draws, GuidedSampler, need

_ADAM_EPS = 1.0
"""In the fit's units the bridge's own curvature is 1. Gradients far above it make steps of the learning rate; those far
below it, which are mostly chance, make steps in proportion, not of full size as with Adam's usual constant."""


@dataclass(frozen=True)
class GradientSchedule:
    """Gradient steps of each sampling step: `n_early_steps` in the first `early` ones, which fix the ECG's outline.

    The learning rate is the largest step of Adam, in standard deviations of the bridge.
    """

    n_steps: int = 1
    n_early_steps: int = 3
    early: int = 8
    learning_rate: float = 1.0

    def at(self, step: int) -> int:
        """Returns the number of gradient steps of sampling step `step`, counted from the noisiest, 0."""
        return self.n_early_steps if step < self.early else self.n_steps


class MGPS(GuidedSampler):
    r"""Midpoint Guidance Posterior Sampling.

    A step from `t` to `s < t` goes through a midpoint `l <= s`. There the posterior's transition is approximated by

        pi(x_l | x_t)  proportional to  g(D(x_l, l)) q(x_l | x_0 = D(x_t, t), x_t),

    with `g` the likelihood, `D` the denoiser and `q` the bridge of the forward process. A Gaussian with mean and
    diagonal variance of its own is fitted to it by a few steps of reparameterised gradients of the Kullback-Leibler
    divergence,

        E_z[-log g(D(x_l, l))] + |mu - mu_q|^2 / (2 v_q) + sum(exp(2 rho) / (2 v_q) - rho),  x_l = mu + exp(rho) z.

    Then `x_s` is drawn from `q(x_s | x_l, x_t)`. The larger the distance of `l` from `t`, the better `D(x_l, l)` stands
    for the clean ECG, and the worse the bridge for the prior's own transition.

    Two choices serve a small number of gradient steps. The fit is written in `(mu - mu_q) / sqrt(v_q)` and
    `rho - log sqrt(v_q)`, so that one learning rate serves all noise levels of any schedule. And its mean begins not at
    the bridge of `D(x_t, t)` itself but at that of the mean of `x ~ N(D, v_q / alpha_l^2 I)` given y, where the fit
    would end if the denoiser were `x_l / alpha_l`. Neither changes the divergence, only how fast it falls. Where the
    denoiser has no derivative to go by at `l` (`Prior.has_slope`), the fit is left there.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        n_steps: Number of sampling steps. Few of them make the samples too narrow: the bridge does not know the
            variance of the clean ECG given `x_t`.
        gradients: Gradient steps of each, or the arguments of `GradientSchedule`.
        midpoint: Place of the midpoint, `l = min(midpoint t, s)`.
    """

    def __init__(
        self,
        denoiser: AnyPrior,
        n_steps: int = 64,
        gradients: GradientSchedule | Mapping[str, Any] | None = None,
        midpoint: float = 0.5,
    ) -> None:
        need(0 <= midpoint < 1, "0 <= midpoint < 1", midpoint)
        super().__init__(denoiser, n_steps)
        self.midpoint = midpoint
        self.gradients = gradients if isinstance(gradients, GradientSchedule) else GradientSchedule(**gradients or {})

    def step(self, chain: Chain, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Goes through the midpoint: see `GuidedSampler.step`."""
        schedule = chain.schedule
        l = torch.minimum(self.midpoint * t, s)  # noqa: E741 (the paper's name of the midpoint)
        t_here, s_here = chain.times_here[chain.place], chain.times_here[chain.place + 1]
        l_here = torch.minimum(self.midpoint * t_here, s_here)
        n_gradients = self.gradients.at(chain.place) if chain.denoiser.has_slope(l_here) else 0
        prior = Bridge(schedule, None, l, t)
        x_0 = chain.denoise(x_t, t)
        mean = prior.mean(x_0, x_t)
        start = prior.mean(chain.likelihood.posterior_mean(x_0, prior.std / schedule(l)[0]), x_t)
        fitted_mean, fitted_std = self._fit(chain, mean, prior.std, start, l, n_gradients)
        x_l = fitted_mean + fitted_std * chain.z_x()
        if bool(l_here == s_here):
            return x_l
        bridge = Bridge(schedule, l, s, t)
        return bridge.mean(x_l, x_t) + bridge.std * chain.z_x()

    def end(self, chain: Chain, x_t: Tensor, t: Tensor) -> Draws:
        """Takes the last denoised signal."""
        return chain.draws(chain.denoise(x_t, t))

    def _fit(
        self,
        chain: Chain,
        mean: Tensor,
        std: Tensor,
        start: Tensor,
        l: Tensor,  # noqa: E741
        n_gradients: int,
    ) -> tuple[Tensor, Tensor]:
        """Fits the Gaussian at the midpoint `l` from a mean `start`; returns its mean and std, each (S, B, C, L)."""
        shift, log_scale = (start - mean) / std, torch.zeros_like(mean)
        parameters = [shift, log_scale]
        adam = torch.optim.Adam(parameters, lr=self.gradients.learning_rate, betas=(0.9, 0.99), eps=_ADAM_EPS)
        for _ in range(n_gradients):
            z = chain.z_x()
            with torch.enable_grad():
                for parameter in parameters:
                    parameter.requires_grad_(True)
                # Adam's steps know no law between leads, but what moves the mean obeys it: it is a clean ECG's.
                moved = self.consistent(shift)
                x_l = mean + std * (moved + log_scale.exp() * z)
                log_g = chain.likelihood.log_prob(chain.denoise(x_l, l))
                divergence = 0.5 * moved.square() + 0.5 * (2 * log_scale).exp() - log_scale
                # The sum over records only gathers their separate gradients.
                gradients = torch.autograd.grad(divergence.sum() - log_g.sum(), parameters)
            chain.calls += Calls(gradient=1)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.requires_grad_(False)
                parameter.grad = gradient
            adam.step()
        return mean + std * self.consistent(shift), std * log_scale.exp()
