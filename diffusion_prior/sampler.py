r"""Samplers of the prior: from noise to a signal in `n_steps` steps.

References:
    Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv 2006.11239.
    Song et al., Denoising Diffusion Implicit Models, 2021, arXiv 2010.02502.
    Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022, arXiv 2206.00364.
    Lu et al., DPM-Solver++, 2022, arXiv 2211.01095.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import PriorDenoiser
from diffusion_prior.model.schedule import DiscreteSchedule, time_grid
from einthoven.randomness import Noise, randn


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
        if isinstance(denoiser.schedule, DiscreteSchedule) and n_steps > denoiser.schedule.n_levels:
            raise ValueError(
                f"this prior knows {denoiser.schedule.n_levels} noise levels: n_steps is at most that, not {n_steps}"
            )
        self.denoiser, self.n_steps, self.eta, self.order = denoiser, n_steps, eta, order

    def times(self, like: Tensor) -> Tensor:
        """Returns the grid of times from 1 to 0, shape (n_steps,), or less on a discrete schedule: see `time_grid`."""
        return time_grid(self.n_steps - 1, like, self.denoiser.schedule)

    def step(self, x_t: Tensor, t: Tensor, s: Tensor, generator: Noise, estimate: Tensor | None = None) -> Tensor:
        """Goes from time `t` to the less noisy time `s`.

        Args:
            x_t: Noised signal in mV, shape (n_samples, B, C, L).
            t: Time of `x_t`, shape ().
            s: Time to go to, shape ().
            generator: Random numbers.
            estimate: Estimate of the clean signal to use; by default the denoiser's at `t`.

        Returns:
            Noised signal at `s`, shape of `x_t`.
        """
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        x = self.denoiser(x_t, t) if estimate is None else estimate
        kept = (alpha_t * sigma_s) / (alpha_s * sigma_t)  # e^-h
        x_s = sigma_s / sigma_t * kept**self.eta * x_t + alpha_s * (1 - kept ** (1 + self.eta)) * x
        if self.eta > 0:
            x_s = x_s + sigma_s * (1 - kept ** (2 * self.eta)).sqrt() * randn(
                x_t.shape, generator, x_t.dtype, x_t.device
            )
        return x_s

    @torch.no_grad()
    def sample(
        self,
        shape: Sequence[int],
        generator: Noise,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draws signals.

        Args:
            shape: (n_samples, B, C, L).
            generator: Random numbers: one generator, or one for each sample and record.
            dtype: Data type.
            device: Device.

        Returns:
            Signals in mV.
        """
        x_t = randn(shape, generator, dtype, device)
        times = self.times(x_t)
        alpha, sigma = self.denoiser.schedule(times)
        log_snr = (alpha / sigma).log()
        x_t = sigma[0] * x_t
        before: Tensor | None = None
        for i in range(len(times)):
            x = self.denoiser(x_t, times[i])
            if i + 1 < len(times):
                estimate = x
                if before is not None and self.order == 2:
                    ratio = (log_snr[i + 1] - log_snr[i]) / (log_snr[i] - log_snr[i - 1])
                    estimate = x + ratio / 2 * (x - before)
                x_t, before = self.step(x_t, times[i], times[i + 1], generator, estimate), x
        return x


class DDIMSampler(Sampler):
    """Deterministic first-order sampler (Song et al. 2021).

    Args:
        denoiser: The denoiser.
        n_steps: Steps, and network calls.
    """

    def __init__(self, denoiser: PriorDenoiser, n_steps: int = 40) -> None:
        super().__init__(denoiser, n_steps, eta=0.0, order=1)


class DDPMSampler(Sampler):
    """Ancestral sampler (Ho et al. 2020).

    Args:
        denoiser: The denoiser.
        n_steps: Steps, and network calls.
    """

    def __init__(self, denoiser: PriorDenoiser, n_steps: int = 100) -> None:
        super().__init__(denoiser, n_steps, eta=1.0, order=1)


class HeunSampler(Sampler):
    r"""Second-order sampler of Karras et al. (2022), Algorithm 2, with their churn.

    It follows `d(x_t / alpha_t) / ds = (x_t / alpha_t - D) / s` with `s = sigma_t / alpha_t`, which is their Eq. (4)
    for any schedule, and calls the network `2 n_steps - 1` times.

    Args:
        denoiser: The denoiser.
        n_steps: Steps.
        churn: Noise that is added before each step, relative to what is there (their gamma), at most sqrt(2) - 1.

    Raises:
        ValueError: If there is churn on a discrete schedule, whose next level lies where it does.
    """

    def __init__(self, denoiser: PriorDenoiser, n_steps: int = 12, churn: float = 0.0) -> None:
        super().__init__(denoiser, n_steps, eta=0.0, order=1)
        if churn > 0 and isinstance(denoiser.schedule, DiscreteSchedule):
            raise ValueError("churn needs a schedule of continuous times: leave it 0 for a prior with discrete steps")
        self.churn = churn

    def step(self, x_t: Tensor, t: Tensor, s: Tensor, generator: Noise, estimate: Tensor | None = None) -> Tensor:
        """Goes from time `t` to the less noisy time `s`; arguments and result as in `Sampler.step`."""
        (alpha_t, sigma_t), (alpha_s, sigma_s) = self.denoiser.schedule(t), self.denoiser.schedule(s)
        level_t, level_s, scaled = sigma_t / alpha_t, sigma_s / alpha_s, x_t / alpha_t
        x = self.denoiser(x_t, t) if estimate is None else estimate
        slope = (scaled - x) / level_t
        x_s = scaled + (level_s - level_t) * slope
        slope = (slope + (x_s - self.denoiser(alpha_s * x_s, s)) / level_s) / 2
        return alpha_s * (scaled + (level_s - level_t) * slope)

    @torch.no_grad()
    def sample(
        self,
        shape: Sequence[int],
        generator: Noise,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draws signals; arguments and result as in `Sampler.sample`."""
        x_t = randn(shape, generator, dtype, device)
        times = self.times(x_t)
        schedule = self.denoiser.schedule
        x_t = schedule(times[0])[1] * x_t
        for t, s in zip(times[:-1], times[1:], strict=True):
            if self.churn > 0:
                x_t, t = self._add_noise(x_t, t, randn(x_t.shape, generator, dtype, device))
            x_t = self.step(x_t, t, s, generator)
        return self.denoiser(x_t, times[-1])

    def _add_noise(self, x_t: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the signal with more noise on it, and its time."""
        alpha, sigma = self.denoiser.schedule(t)
        level = sigma / alpha
        noisier = level * (1 + self.churn)
        extra = (noisier.square() - level.square()).sqrt()
        x = x_t / alpha + extra * noise
        later = self.denoiser.schedule.inverse(noisier)
        return self.denoiser.schedule(later)[0] * x, later
