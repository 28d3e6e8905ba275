"""Spectral EM: an ECG and the spectrum of its noise, estimated together.

Expectation-maximisation (Dempster, Laird, Rubin, J. R. Stat. Soc. B 39, 1, 1977) by Monte Carlo (Wei, Tanner, J. Am.
Stat. Assoc. 85, 699, 1990) for Gaussian noise with an unknown spectrum in each lead.
"""

from abc import abstractmethod
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d

from diffusion_prior.model.denoiser import Prior
from einthoven.randomness import Generators
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import SpectralNoise
from reconstruction.samplers.base import (
    Calls,
    Draws,
    InnerSampler,
    PosteriorSampler,
    StandardNormal,
    first_generators,
    fitted,
    need,
)
from reconstruction.samplers.ddnm import DDNM


class NoiseEM(PosteriorSampler):
    """Rounds of draws given the present noise, and of the noise given what they leave of the measurement.

    Args:
        denoiser: The prior.
        n_rounds: Rounds, each a draw and a fit.
        n_em_samples: Samples that a fit is made from; never more than are asked for.
        early: Sampler of the rounds.
        final: Sampler of the result.
    """

    def __init__(
        self, denoiser: Prior, n_rounds: int, n_em_samples: int, early: PosteriorSampler, final: PosteriorSampler
    ) -> None:
        super().__init__(denoiser)
        self.n_rounds, self.n_em_samples, self.early, self.final = n_rounds, n_em_samples, early, final

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Draws:
        """Draws samples: see `PosteriorSampler`."""
        n_drawn = min(self.n_em_samples, n_samples)
        drawing, calls = first_generators(generator, n_drawn), Calls()
        present = self.begin(likelihood)
        for place in range(self.n_rounds):
            draws = self.early(present, n_drawn, drawing)
            calls += draws.calls
            present = self.fit(place, likelihood, present, draws.samples, drawing)
        draws = self.final(present, n_samples, generator)
        return self.end(likelihood, present, replace(draws, calls=calls + draws.calls))

    @abstractmethod
    def begin(self, likelihood: GaussianLikelihood) -> GaussianLikelihood:
        """Returns the likelihood of the first round."""

    @abstractmethod
    def fit(
        self, place: int, likelihood: GaussianLikelihood, present: GaussianLikelihood, x: Tensor, generator: Generators
    ) -> GaussianLikelihood:
        """Returns the likelihood after round `place`, from its ECGs `x (S, B, C, L)` and the present one."""

    @abstractmethod
    def end(self, likelihood: GaussianLikelihood, present: GaussianLikelihood, draws: Draws) -> Draws:
        """Returns the draws of the last likelihood with the law of the noise."""


class SpectralEM(NoiseEM):
    r"""Samples of an ECG whose noise has a spectrum that is known only about.

    The likelihood's noise is the start, with the variances `s_k` of the noise's cosine coefficients `c_k`. Each round
    draws ECGs from the posterior for the present spectrum, with its exact likelihood; the noise is what they leave of
    the measurement. The new spectrum is in closed form

        v_k = s_k (nu + sum_j E[c_j^2] / s_j) / (nu + n),   j the n frequencies nearest to k,

    the mode under an inverse gamma distribution about the start, for a ratio to the start that changes slowly with the
    frequency. The larger `nu`, the more the start counts. The last round draws the result.

    Args:
        denoiser: The prior.
        n_rounds: Updates of the spectrum.
        n_em_samples: Samples that an update is made from; never more than are asked for.
        strength: `nu`, in frequencies.
        reach: Frequencies on each side that an update takes together, `n = 2 reach + 1`.
        early: Makes the sampler of the updates from the denoiser; None: DDNM+ in 16 steps.
        final: Makes the sampler of the result; None: DDNM+ in 20 steps.
        spread: Factor by which the samples are moved away from their mean: DDNM+ is too narrow. None: as it was fitted
            for the weights, else 1, which changes nothing.
    """

    def __init__(
        self,
        denoiser: Prior,
        n_rounds: int = 2,
        n_em_samples: int = 2,
        strength: float = 100.0,
        reach: int = 20,
        early: InnerSampler | None = None,
        final: InnerSampler | None = None,
        spread: float | None = None,
    ) -> None:
        fits = n_rounds >= 0 and n_em_samples >= 1 and strength > 0 and reach >= 0
        rule = "n_rounds >= 0, n_em_samples >= 1, strength > 0 and reach >= 0"
        need(fits, rule, n_rounds, n_em_samples, strength, reach)
        inner = ((make or partial(DDNM, n_steps=steps))(denoiser) for make, steps in ((early, 16), (final, 20)))
        super().__init__(denoiser, n_rounds, n_em_samples, *inner)
        self.strength, self.reach = strength, reach
        self.spread = fitted(denoiser, self.name, "spread", spread)

    def begin(self, likelihood: GaussianLikelihood) -> GaussianLikelihood:
        """Takes the likelihood's noise, where the estimate starts, as a spectrum."""
        start = likelihood.noise.variances(likelihood.y).expand(likelihood.y.shape)
        return GaussianLikelihood(likelihood.operator, likelihood.y, SpectralNoise(start))

    def fit(
        self, place: int, likelihood: GaussianLikelihood, present: GaussianLikelihood, x: Tensor, generator: Generators
    ) -> GaussianLikelihood:
        """Takes the spectrum that fits draws of the noise: see the class."""
        start = likelihood.noise.variances(likelihood.y).expand(likelihood.y.shape)
        noise = draw_noise(present, x, generator)
        ratio = SpectralNoise(start).analyse(noise).square().mean(dim=0) / start
        n = 2 * self.reach + 1
        near = avg_pool1d(ratio, n, stride=1, padding=self.reach, count_include_pad=False)
        spectrum = start * (self.strength + n * near) / (self.strength + n)
        return GaussianLikelihood(likelihood.operator, likelihood.y, SpectralNoise(spectrum))

    def end(self, likelihood: GaussianLikelihood, present: GaussianLikelihood, draws: Draws) -> Draws:
        """Moves the samples away from their mean."""
        samples = torch.lerp(draws.mean.expand_as(draws.samples), draws.samples, self.spread)
        return replace(draws, samples=samples, noise=present.noise)


def draw_noise(likelihood: GaussianLikelihood, x: Tensor, generator: Generators) -> Tensor:
    """Draws the noise (S, B, m, L) of a measurement given ECGs `x (S, B, C, L)`, in mV.

    It is what they leave of the measurement, and a guess where nothing was measured.
    """
    residual = likelihood.residual(x)
    if bool(likelihood.observed.all()):
        return residual
    drawn = likelihood.noise.colour(StandardNormal(tuple(residual.shape), generator, residual)())
    misfit = torch.where(likelihood.observed, residual - drawn, 0.0)
    return drawn + likelihood.noise.covariance(likelihood.solve(misfit, 0.0))
