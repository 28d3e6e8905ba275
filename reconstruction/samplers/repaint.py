"""RePaint: the known part is put in at each noise level, and steps are repeated until the rest agrees with it.

Reference:
    Lugmayr, Danelljan, Romero, Yu, Timofte, Van Gool, RePaint: Inpainting using Denoising Diffusion Probabilistic
    Models, CVPR 2022, https://arxiv.org/abs/2201.09865 (Algorithm 1, and the jumps of its appendix B).
"""

from typing import ClassVar

from torch import Tensor

from diffusion_prior.model.bridge import Bridge
from diffusion_prior.model.denoiser import AnyPrior
from reconstruction.samplers.base import Chain, GuidedSampler


class RePaint(GuidedSampler):
    r"""Replaces the measured part of an ancestral sampler's state by the noised measurement, with resampling.

    A step from `t` to `s < t` draws `x_s` from the prior's own transition `q(x_s | x_0 = D(x_t, t), x_t)` and then, in
    the row space of the operator (projector `A^+ A`), puts `alpha_s x + sigma_s z` in its place (Eq. 8), with `x` the
    measured ECG. After every `jump_length` steps the state is noised again by as many steps, `n_resamples - 1` times,
    so that the unmeasured part gets to know the measured one.

    In the paper the measurement is an exact part of the image. Where it has noise, `x` is drawn given `y` from
    `N(D(x_t, t), (sigma_t / alpha_t)^2 I)`: for an exact mask that is the measurement itself.

    The unmeasured part meets the measurement only through noise as large as its own, and a jump's way down is as coarse
    as the grid: the law is that of the posterior neither for few resamplings nor for many.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        n_steps: Steps of the grid.
        n_resamples: How often each stretch of the grid is walked.
        jump_length: Its length in steps.
    """

    counts: ClassVar[tuple[str, ...]] = ("n_steps", "n_resamples", "jump_length")

    def __init__(self, denoiser: AnyPrior, n_steps: int = 30, n_resamples: int = 5, jump_length: int = 5) -> None:
        super().__init__(denoiser, n_steps, n_resamples, jump_length)

    def step(self, chain: Chain, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Draws `x_s` and puts what was measured in its place: see `GuidedSampler.step`."""
        x_0 = chain.denoise(x_t, t)
        (alpha_t, sigma_t), (alpha_s, sigma_s) = chain.schedule(t), chain.schedule(s)
        bridge = Bridge(chain.schedule, None, s, t)
        unknown = bridge.mean(x_0, x_t) + bridge.std * chain.z_x()
        clean = chain.likelihood.posterior_sample(x_0, sigma_t / alpha_t, chain.z_x(), chain.z_y())
        known = alpha_s * clean + sigma_s * chain.z_x()
        operator = chain.likelihood.operator
        return unknown + operator.pinv(operator(known - unknown))
