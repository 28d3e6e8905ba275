"""DDNM and DDNM+: what the measurement says is put into the denoised signal, what it does not say is left.

Reference:
    Wang, Yu, Zhang, Zero-Shot Image Restoration Using Denoising Diffusion Null-Space Model, ICLR 2023,
    https://arxiv.org/abs/2212.00490 (Section 3.3 for noisy measurements and time travel).
"""

import math
from typing import ClassVar

import torch
from torch import Tensor

from diffusion_prior.model.bridge import Bridge
from diffusion_prior.model.denoiser import AnyPrior
from reconstruction.samplers.base import Chain, GuidedSampler


class DDNM(GuidedSampler):
    r"""Denoising Diffusion Null-Space Model, for exact and for noisy measurements.

    An ancestral step from `t` to `s < t` is made with a corrected clean signal (Eq. 17),

        x_hat = D(x_t, t) + K (y - A D(x_t, t)),   x_s = a x_hat + b x_t + a noise.

    For an exact measurement K is the pseudo-inverse: the range space is the measurement's, the null space the
    denoiser's. A noisy measurement would bring its own noise into `x_s`, so DDNM+ asks two things (its Section 3.3):
    `K` as near to the pseudo-inverse as it may be, and measured and added noise together of the variance of the step,
    `sigma_q^2`, in every direction. The paper scales the singular values one by one; here, for any operator and any
    noise covariance,

        K = r^2 A^T (r^2 A A^T + Sigma)^-1,   noise ~ N(0, r^2 I - K Sigma K^T),   r = sigma_q / a,

    a smooth form of its scale `min(1, r s / sigma_y)`. With `w ~ N(0, r^2 I)` and `v ~ N(0, Sigma)` that noise is
    `w - K (2 A w + sqrt(3) v)`.

    The covariance of the clean signal given `x_t` never enters: what the measurement says of the null space comes in
    by the denoiser alone, step after step, and too little of it where steps are few.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        n_steps: Steps of the grid.
        n_travels: How often each stretch of the grid is walked (the paper's time travel); 1: none.
        travel_length: Its length in steps.
    """

    counts: ClassVar[tuple[str, ...]] = ("n_steps", "n_travels", "travel_length")

    def __init__(self, denoiser: AnyPrior, n_steps: int = 100, n_travels: int = 1, travel_length: int = 1) -> None:
        super().__init__(denoiser, n_steps, n_travels, travel_length)

    def step(self, chain: Chain, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Takes an ancestral step with the corrected clean signal: see `GuidedSampler.step`."""
        likelihood = chain.likelihood
        bridge = Bridge(chain.schedule, None, s, t)
        share = bridge.a * (1 - bridge.gain * bridge.b)
        x_0 = chain.denoise(x_t, t)
        r = bridge.std / share
        w, v = r * chain.z_x(), likelihood.noise.colour(chain.z_y())
        # K is linear: the correction of D and that of the noise go through it together.
        misfit = torch.where(likelihood.observed, likelihood.residual(x_0 + 2 * w) - math.sqrt(3) * v, 0.0)
        corrected = r.square() * likelihood.operator.adjoint(likelihood.solve(misfit, r))
        return bridge.mean(x_0, x_t) + share * (w + corrected)
