"""DPS: diffusion posterior sampling with the gradient of the misfit of the denoised signal.

Reference:
    Chung, Kim, McCann, Klasky, Ye, Diffusion Posterior Sampling for General Noisy Inverse Problems, ICLR 2023,
    https://arxiv.org/abs/2209.14687 (Algorithm 1, with the step sizes of its Section 4 and Appendix C.2).
"""

import torch
from torch import Tensor

from diffusion_prior.model.bridge import Bridge
from diffusion_prior.model.denoiser import AnyPrior
from reconstruction.samplers.base import Chain, Draws, GuidedSampler, need


class DPS(GuidedSampler):
    r"""Diffusion Posterior Sampling.

    Each ancestral step of the prior is followed by a step down the norm of the misfit, with `D` the denoiser:

        x_s = mean and noise of q(x_s | x_0 = D(x_t, t), x_t)  -  step_size grad_{x_t} |y - A D(x_t, t)|.

    This is Algorithm 1 with zeta = step_size / |y - A D| (its `|y - A D|^2` has twice that gradient). The norm is one
    for each sample of each record. Noise that is not white enters as `|Sigma^(-1/2) (y - A D)|` times its smallest
    standard deviation, which is the same for white noise and never makes a longer step. Else the noise's level does
    not enter at all: by construction the samples do not follow the posterior, and their spread depends on the step.

    The paper's states are variance-preserving and its data of standard deviation about 1. Those of any schedule are
    mapped to them by `x_t / sqrt(alpha_t^2 + sigma_t^2 / sigma_data^2)`, up to the factor sigma_data. Where the
    denoiser has no derivative to go by (`Chain.pull_back`), that of independent samples is taken, without a gradient.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        n_steps: Number of sampling steps, each with one gradient; one more network call ends them.
        step_size: Length of a step in mV, as a root mean square over the measured samples if the denoiser were the
            identity.
        sigma_data: Standard deviation of the ECGs in mV.
    """

    def __init__(
        self, denoiser: AnyPrior, n_steps: int = 60, step_size: float = 0.04, sigma_data: float = 0.25
    ) -> None:
        need(min(step_size, sigma_data) > 0, "step_size and sigma_data > 0", step_size, sigma_data)
        super().__init__(denoiser, n_steps)
        self.step_size, self.sigma_data = step_size, sigma_data

    def step(self, chain: Chain, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Takes an ancestral step, and one down the norm of the misfit: see `GuidedSampler.step`."""
        likelihood = chain.likelihood

        def uphill(x_0: Tensor) -> Tensor:
            """Returns the gradient of the misfit's norm by `x_0`, of its shape."""
            residual = likelihood.residual(x_0)
            whitened = likelihood.solve(residual, 0.0)
            norm = (residual * whitened).sum(dim=(-2, -1), keepdim=True).sqrt()
            # Where y fits exactly the norm has no gradient: no step is made.
            weight = torch.where(norm > 0, likelihood.least_variance.sqrt() / norm, 0.0)
            return -likelihood.operator.adjoint(weight * whitened)

        x_0, slope = chain.pull_back(x_t, t, self.sigma_data, uphill)
        bridge = Bridge(chain.schedule, None, s, t)
        length = self.step_size * likelihood.observed.sum(dim=(-2, -1)).to(x_t).sqrt()[:, None, None]
        scales = length * self._scale(chain, s) * self._scale(chain, t)
        return bridge.mean(x_0, x_t) + bridge.std * chain.z_x() - scales * slope

    def end(self, chain: Chain, x_t: Tensor, t: Tensor) -> Draws:
        """Takes the last denoised signal."""
        return chain.draws(chain.denoise(x_t, t))

    def _scale(self, chain: Chain, t: Tensor) -> Tensor:
        """Factor between the state of the schedule and the variance-preserving one."""
        alpha, sigma = chain.schedule(t)
        return (alpha.square() + (sigma / self.sigma_data).square()).sqrt()
