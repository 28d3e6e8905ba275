"""RePaint: the known part is put in at each noise level, and steps are repeated until the rest agrees with it.

Reference:
    Lugmayr, Danelljan, Romero, Yu, Timofte, Van Gool, RePaint: Inpainting using Denoising Diffusion Probabilistic
    Models, CVPR 2022, https://arxiv.org/abs/2201.09865 (Algorithm 1, and the jumps of its appendix B).
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import Denoiser, PriorDenoiser
from diffusion_prior.model.schedule import time_grid
from einthoven.randomness import Noise
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.samplers.base import Bridge, StandardNormal, TrainingFreeSampler, transition


class RePaint(TrainingFreeSampler):
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

    Raises:
        ValueError: If one of the numbers is below 1.
    """

    def __init__(
        self, denoiser: Denoiser | PriorDenoiser, n_steps: int = 30, n_resamples: int = 5, jump_length: int = 5
    ) -> None:
        if min(n_steps, n_resamples, jump_length) < 1:
            raise ValueError(
                f"need n_steps, n_resamples and jump_length >= 1, got {n_steps}, {n_resamples} and {jump_length}"
            )
        super().__init__(denoiser)
        self.n_steps, self.n_resamples, self.jump_length = n_steps, n_resamples, jump_length

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Noise) -> Tensor:
        """Draws samples: see `PosteriorSampler`."""
        self.network_calls = 0
        like = likelihood.operator.adjoint(likelihood.y)
        times = time_grid(self.n_steps, like, self.denoiser.schedule)
        z_x = StandardNormal((n_samples, *like.shape), generator, like)
        z_y = StandardNormal((n_samples, *likelihood.y.shape), generator, like)
        x_t = self.denoiser.schedule(times[0])[1] * z_x()
        for start, end in walk(len(times) - 1, self.n_resamples, self.jump_length):
            if start < end:
                x_t = self.step(x_t, times[start], times[end], likelihood, z_x, z_y)
            else:
                x_t = renoise(self.denoiser, x_t, times[start], times[end], z_x)
        alpha, sigma = self.denoiser.schedule(times[-1])
        return self.consistent(likelihood.posterior_mean(self._denoise(x_t, times[-1]), sigma / alpha))

    def step(
        self,
        x_t: Tensor,
        t: Tensor,
        s: Tensor,
        likelihood: GaussianLikelihood,
        z_x: StandardNormal,
        z_y: StandardNormal,
    ) -> Tensor:
        """Goes from `x_t` at time `t` to `x_s` at the earlier time `s`.

        Args:
            x_t: Noised ECG in mV, shape (S, B, C, L).
            t: Its time.
            s: The next time.
            likelihood: The measurement.
            z_x: Source of standard normal numbers of the shape of `x_t`.
            z_y: The same in the space of measurements.

        Returns:
            Noised ECG at time `s`, in mV, shape (S, B, C, L).
        """
        x_0 = self._denoise(x_t, t)
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        bridge = Bridge(self.denoiser.schedule, None, s, t)
        unknown = bridge.mean(x_0, x_t) + bridge.std * z_x()
        known = alpha_s * likelihood.posterior_sample(x_0, sigma_t / alpha_t, z_x(), z_y()) + sigma_s * z_x()
        operator = likelihood.operator
        return unknown + operator.pinv(operator(known - unknown))


def walk(n_steps: int, n_resamples: int, jump_length: int) -> Iterator[tuple[int, int]]:
    """Walks down the grid of times, and up again where steps are repeated.

    Args:
        n_steps: Steps of the grid, whose places are 0 (the noisiest) to `n_steps`.
        n_resamples: How often each stretch is walked down.
        jump_length: Its length in steps; the last one may be shorter.

    Yields:
        Steps of one place down, or of a whole stretch up, each as its start and end.
    """
    for top in range(0, n_steps, jump_length):
        bottom = min(top + jump_length, n_steps)
        for round_ in range(n_resamples):
            if round_:
                yield bottom, top
            yield from ((place, place + 1) for place in range(top, bottom))


def renoise(denoiser: PriorDenoiser, x_s: Tensor, s: Tensor, t: Tensor, z_x: StandardNormal) -> Tensor:
    """Takes `x_s` at time `s` to the noisier time `t` by the forward process.

    Args:
        denoiser: The denoiser, for its schedule.
        x_s: Noised ECG in mV, shape (S, B, C, L).
        s: Its time.
        t: The later time.
        z_x: Source of standard normal numbers of the shape of `x_s`.

    Returns:
        Noised ECG at time `t`, in mV, shape (S, B, C, L).
    """
    scale, variance = transition(denoiser.schedule, s, t)
    return scale * x_s + variance.sqrt() * z_x()
