r"""Samplers of the prior: from noise to a signal in `n_steps` steps.

References:
    Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv 2006.11239.
    Song et al., Denoising Diffusion Implicit Models, 2021, arXiv 2010.02502.
    Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022, arXiv 2206.00364.
    Lu et al., DPM-Solver++, 2022, arXiv 2211.01095.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import PriorDenoiser
from einthoven.randomness import Generators, randn


class Sampler:
    r"""Exponential integrator of the reverse diffusion, of order one or two, with noise or without.

    With `lambda = log(alpha / sigma)` and `h = lambda_s - lambda_t > 0`, a step from `t` to `s` is

    `x_s = (sigma_s / sigma_t) e^(-eta h) x_t + alpha_s (1 - e^(-(1 + eta) h)) D + sigma_s sqrt(1 - e^(-2 eta h)) z`.

    `D` is the denoiser's estimate at `t`; at order 2 it is extrapolated from the step before (DPM-Solver++(2M) and its
    stochastic form), which keeps the spread of the samples when steps are few: both first-order samplers lose some.
    `eta = 0` is DDIM, `eta = 1` DDPM's ancestral sampling. The last call returns the denoiser's estimate at `t = 0`, so
    there are `n_steps` network calls.

    Args:
        denoiser: The denoiser, conditions fixed.
        n_steps: Steps, and network calls.
        eta: Share of the noise that is renewed: 0 deterministic, 1 ancestral.
        order: 1 or 2.

    Raises:
        ValueError: If `n_steps` is below 2 or beyond the steps of a discrete schedule, `order` is not 1 or 2, or `eta`
            is negative.
    """

    def __init__(self, denoiser: PriorDenoiser, n_steps: int = 25, eta: float = 0.0, order: int = 2) -> None:
        if n_steps < 2 or order not in (1, 2) or eta < 0:
            raise ValueError(f"need n_steps >= 2, order 1 or 2, eta >= 0; got {n_steps}, {order}, {eta}")
        n_levels = denoiser.schedule.n_levels
        if n_levels is not None and n_steps > n_levels:
            raise ValueError(f"this prior knows {n_levels} noise levels: n_steps is at most that, not {n_steps}")
        self.denoiser, self.n_steps, self.eta, self.order = denoiser, n_steps, eta, order

    def times(self, like: Tensor) -> Tensor:
        """Returns the grid of times from 1 to 0, shape (n_steps,), or less on a discrete schedule."""
        return self.denoiser.schedule.grid(self.n_steps - 1, like)

    def step(self, x_t: Tensor, t: Tensor, s: Tensor, generator: Generators, estimate: Tensor | None = None) -> Tensor:
        """Goes with a noised signal in mV, shape (n_samples, B, C, L), from time `t` to the less noisy time `s`.

        The estimate is that of the clean signal to use; by default the denoiser's at `t`.
        """
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        x = self.denoiser(x_t, t) if estimate is None else estimate
        kept = (alpha_t * sigma_s) / (alpha_s * sigma_t)  # e^-h
        x_s = sigma_s / sigma_t * kept**self.eta * x_t + alpha_s * (1 - kept ** (1 + self.eta)) * x
        if self.eta > 0:
            noise = randn(x_t.shape, generator, x_t.dtype, x_t.device)
            x_s = x_s + sigma_s * (1 - kept ** (2 * self.eta)).sqrt() * noise
        return x_s

    @torch.no_grad()
    def sample(
        self,
        shape: Sequence[int],
        generator: Generators,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draws signals in mV, shape (n_samples, B, C, L), from one generator, or one for each sample and record."""
        noise = randn(shape, generator, dtype, device)
        times = self.times(noise)
        return self._descend(self.denoiser.schedule(times)[1][0] * noise, times, generator)

    @torch.no_grad()
    def redraw(self, x: Tensor, sigma: float, generator: Generators) -> Tensor:
        """Adds noise to signals and takes it off again, which changes what is smaller than the noise.

        Args:
            x: Signals in mV, shape (n_samples, B, C, L).
            sigma: Noise in mV; the nearest level of the grid above it is taken.
            generator: One generator, or one for each sample and record.

        Returns:
            Signals in mV, of the same shape.
        """
        times = self.times(x)
        alpha, sigmas = self.denoiser.schedule(times)
        times = times[max(int((sigmas / alpha >= sigma).sum()) - 1, 0) :]
        alpha_t, sigma_t = self.denoiser.schedule(times[0])
        return self._descend(alpha_t * x + sigma_t * randn(x.shape, generator, x.dtype, x.device), times, generator)

    def _descend(self, x_t: Tensor, times: Tensor, generator: Generators) -> Tensor:
        """Goes from a noised signal at the first of some times, each less noisy than the one before, to a signal."""
        alpha, sigma = self.denoiser.schedule(times)
        log_snr = (alpha / sigma).log()
        before: Tensor | None = None
        for i in range(len(times) - 1):
            x_t, t = self.stir(x_t, times[i], generator)
            estimate = x = self.denoiser(x_t, t)
            if before is not None and self.order == 2:
                ratio = (log_snr[i + 1] - log_snr[i]) / (log_snr[i] - log_snr[i - 1])
                estimate = x + ratio / 2 * (x - before)
            x_t, before = self.step(x_t, t, times[i + 1], generator, estimate), x
        return self.denoiser(x_t, times[-1])

    def stir(self, x_t: Tensor, t: Tensor, generator: Generators) -> tuple[Tensor, Tensor]:
        """Returns the state that a step starts from, and its time: here those that it reached."""
        return x_t, t


class HeunSampler(Sampler):
    r"""Second-order sampler of Karras et al. (2022), Algorithm 2, with their churn.

    It follows `d(x_t / alpha_t) / ds = (x_t / alpha_t - D) / s` with `s = sigma_t / alpha_t`, which is their Eq. (4)
    for any schedule, and calls the network `2 n_steps - 1` times.

    The churn is noise that is added before each step, relative to what is there (their gamma), at most sqrt(2) - 1; on
    a discrete schedule, whose next level lies where it does, there can be none (ValueError).
    """

    def __init__(self, denoiser: PriorDenoiser, n_steps: int = 12, churn: float = 0.0) -> None:
        super().__init__(denoiser, n_steps, eta=0.0, order=1)
        if churn > 0 and denoiser.schedule.n_levels is not None:
            raise ValueError("churn needs a schedule of continuous times: leave it 0 for a prior with discrete steps")
        self.churn = churn

    def step(self, x_t: Tensor, t: Tensor, s: Tensor, generator: Generators, estimate: Tensor | None = None) -> Tensor:
        """Goes from time `t` to the less noisy time `s`; arguments and result as in `Sampler.step`."""
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        s_t, s_s, scaled = sigma_t / alpha_t, sigma_s / alpha_s, x_t / alpha_t
        x = self.denoiser(x_t, t) if estimate is None else estimate
        slope = (scaled - x) / s_t
        x_s = scaled + (s_s - s_t) * slope
        slope = (slope + (x_s - self.denoiser(alpha_s * x_s, s)) / s_s) / 2
        return alpha_s * (scaled + (s_s - s_t) * slope)

    def stir(self, x_t: Tensor, t: Tensor, generator: Generators) -> tuple[Tensor, Tensor]:
        """Returns the state with the churn's noise on it, and its time."""
        if self.churn == 0:
            return x_t, t
        noise = randn(x_t.shape, generator, x_t.dtype, x_t.device)
        alpha, sigma = self.denoiser.schedule(t)
        ratio = sigma / alpha
        noisier = ratio * (1 + self.churn)
        extra = (noisier.square() - ratio.square()).sqrt()
        x = x_t / alpha + extra * noise
        later = self.denoiser.schedule.inverse(noisier)
        return self.denoiser.schedule(later)[0] * x, later


SAMPLERS: dict[str, Callable[..., Sampler]] = {
    "multistep": Sampler,
    "ddim": partial(Sampler, n_steps=40, eta=0.0, order=1),
    "ddpm": partial(Sampler, n_steps=100, eta=1.0, order=1),
    "heun": HeunSampler,
}
"""Samplers of the prior by name, each made from a denoiser and settings: Song et al.'s "ddim", Ho et al.'s "ddpm"."""
