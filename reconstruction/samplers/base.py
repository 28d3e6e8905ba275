"""What every posterior sampler offers, and the Gaussian bridge they are made of."""

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from diffusion_prior.model.denoiser import ConditionalDenoiser, Denoiser, EpsilonDenoiser, PriorDenoiser
from diffusion_prior.model.schedule import Schedule
from einthoven.ecg.leads import INDEPENDENT_LEADS, consistent_matrix, independent_part
from einthoven.randomness import Noise, randn
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import NoiseModel


class PosteriorSampler(ABC):
    """Draws ECGs from the posterior that a prior and a measurement make.

    Args:
        denoiser: The prior's denoiser, which says the leads and the rate of its signals; where it does not, they are
            the eight independent leads at 100 Hz.

    Attributes:
        leads: Names of the C leads of the prior.
        sampling_rate: Sampling rate of the prior in Hz.
        network_calls: Forward evaluations of the network in the latest call, each on the whole batch.
        gradient_calls: How many of these were followed by a backward evaluation.
        posterior_mean: In mV, shape (B, C, L), of the latest call, where the sampler knows it better than by averaging
            its samples; else None.
        noise: Law of the measurement's noise as the latest call found it; None where it took the likelihood's.
    """

    network_calls: int = 0
    gradient_calls: int = 0
    posterior_mean: Tensor | None = None
    noise: NoiseModel | None = None

    def __init__(self, denoiser: object) -> None:
        prior = denoiser.denoiser if isinstance(denoiser, ConditionalDenoiser) else denoiser
        self.leads: tuple[str, ...] = tuple(getattr(prior, "leads", INDEPENDENT_LEADS))
        self.sampling_rate = float(getattr(prior, "sampling_rate", 100.0))
        self._projection: Tensor | None = None
        if independent_part(self.leads) != self.leads:
            self._projection = torch.from_numpy(consistent_matrix(self.leads, self.leads))

    @abstractmethod
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Noise) -> Tensor:
        """Draws samples.

        Args:
            likelihood: The measurement of B records.
            n_samples: Number of samples S for each record.
            generator: One generator, or one for each sample of each record, indexed `[sample][record]`.

        Returns:
            ECGs in mV, shape (S, B, C, L), in the leads of the prior.
        """

    def consistent(self, x: Tensor) -> Tensor:
        """Projects clean ECGs onto those that obey Einthoven's law; where leads are independent they are as they were.

        A noised ECG is not to be projected: the noise of lead III is its own.

        Args:
            x: ECG in mV, shape (..., C, L), in the leads of the prior.

        Returns:
            ECG in mV, of its shape.
        """
        return x if self._projection is None else self._projection.to(x) @ x


class TrainingFreeSampler(PosteriorSampler):
    """Draws from the posterior with the unconditional prior and a likelihood.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
    """

    def __init__(self, denoiser: Denoiser | PriorDenoiser) -> None:
        super().__init__(denoiser)
        self.denoiser = ConditionalDenoiser(denoiser) if isinstance(denoiser, Denoiser) else denoiser

    def _denoise(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Returns `D(x_t, t)` in mV, of the shape of `x_t`, and counts the call."""
        self.network_calls += 1
        return self.consistent(self.denoiser(x_t, t))


class BlindSampler(PosteriorSampler):
    """Estimates the noise of the measurement too, by other samplers' draws."""

    def _draw(
        self, sampler: PosteriorSampler, likelihood: GaussianLikelihood, n_samples: int, generator: Noise
    ) -> Tensor:
        """Draws samples (S, B, C, L) by another sampler, and counts its calls."""
        samples = sampler(likelihood, n_samples, generator)
        self.network_calls += sampler.network_calls
        self.gradient_calls += sampler.gradient_calls
        return samples


LARGEST_SLOPE_LEVEL_MV = 2.0
"""Noise level in mV up to which the derivative of a network that finds noise is used."""


def has_slope(denoiser: object, t: Tensor) -> bool:
    """Tells whether the derivative of a denoiser's estimate by the noised ECG is good enough to go by.

    Where the network finds the noise, its own derivative's error is in the estimate's `sigma_t / alpha_t` times over.
    Of a small SaShiMi on PTB-XL's fold 9, what guidance made of it was right up to 2 mV, 18 times too large at 5 mV and
    over 400 times at 30 mV, where guided samplers diverged; that of a preconditioned network is right at any level.

    Args:
        denoiser: The prior: a denoiser, or one whose conditions are fixed.
        t: Time, shape ().
    """
    prior = denoiser.denoiser if isinstance(denoiser, ConditionalDenoiser) else denoiser
    if not isinstance(prior, EpsilonDenoiser):
        return True
    alpha, sigma = prior.schedule(t)
    return bool(sigma <= LARGEST_SLOPE_LEVEL_MV * alpha)


def gaussian_slope(schedule: Schedule, t: Tensor, sigma_data: float) -> Tensor:
    """Returns the derivative of the estimate, shape (), where samples are independent and Gaussian.

    It is `alpha_t r^2 / sigma_t^2` with `r^2` the variance of a clean sample given the noised one.

    Args:
        schedule: Noise schedule.
        t: Time, shape ().
        sigma_data: Standard deviation of the ECGs in mV.
    """
    alpha, sigma = schedule(t)
    return alpha * sigma_data**2 / (alpha.square() * sigma_data**2 + sigma.square())


def takes_measurements(denoiser: object) -> bool:
    """Tells whether a denoiser can be told measured samples; one that does not say so can."""
    return bool(getattr(denoiser, "takes_measurements", True))


def first_generators(generator: Noise, n_samples: int) -> Noise:
    """Returns the generators of the first samples, or the one generator of all."""
    return generator if isinstance(generator, Generator) else generator[:n_samples]


class Bridge:
    """Law of a diffusion at a middle time, given a start that is less noisy and an end that is noisier.

    With `x_l = a x_start + sqrt(v) z` and `x_t = b x_l + sqrt(w) z'`, the law of `x_l` given both ends is Gaussian with

        variance  v w / (w + b^2 v)  and mean  a x_start + (b v / (w + b^2 v)) (x_t - b a x_start).

    Args:
        schedule: Noise schedule.
        start: Time of the start; None: the clean signal.
        middle: The middle time, not before `start`.
        end: Time of the end, after `middle`.
    """

    def __init__(self, schedule: Schedule, start: Tensor | None, middle: Tensor, end: Tensor) -> None:
        a, v = schedule(middle)
        v = v.square()
        if start is not None:
            a, v = transition(schedule, start, middle)
        b, w = transition(schedule, middle, end)
        self.a, self.b, self.gain = a, b, b * v / (w + b.square() * v)
        self.std = (v * w / (w + b.square() * v)).clamp(min=0).sqrt()

    def mean(self, x_start: Tensor, x_end: Tensor) -> Tensor:
        """Returns the mean at the middle time, of the shape of both ends `(..., C, L)`."""
        return self.a * x_start + self.gain * (x_end - self.b * self.a * x_start)


def transition(schedule: Schedule, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Returns `a, v` of the forward step `x_t = a x_s + sqrt(v) z` from time `s` to a later time `t`.

    Args:
        schedule: Noise schedule.
        s: Time of the start.
        t: Time of the end.
    """
    (alpha_s, sigma_s), (alpha_t, sigma_t) = schedule(s), schedule(t)
    a = alpha_t / alpha_s
    return a, (sigma_t.square() - a.square() * sigma_s.square()).clamp(min=0)


def only_whole_leads(observed: Tensor) -> Tensor:
    """Tells the records of which leads were measured throughout or not at all.

    Of the others, the denoiser's one estimate from noise alone is worse than the average of samples (measured on
    PTB-XL's fold 9): next to what was measured, details show only at low noise.

    Args:
        observed: True where a sample was measured, shape (B, C, L).

    Returns:
        Bool, shape (B, 1, 1).
    """
    return (observed == observed[..., :1]).all(dim=-1).all(dim=-1)[:, None, None]


class StandardNormal:
    """A source of standard normal numbers of one shape.

    Args:
        shape: Shape (S, B, C, L) of each draw.
        generator: One generator, or one for each sample of each record.
        like: Tensor whose type and device the draws have.
    """

    def __init__(self, shape: tuple[int, ...], generator: Noise, like: Tensor) -> None:
        self.shape, self.generator, self.dtype, self.device = shape, generator, like.dtype, like.device

    def __call__(self) -> Tensor:
        """Draws the next numbers."""
        return randn(self.shape, self.generator, self.dtype, self.device)
