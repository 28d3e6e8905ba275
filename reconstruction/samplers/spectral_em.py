"""Spectral EM: an ECG and the spectrum of its noise, estimated together.

Expectation-maximisation (Dempster, Laird, Rubin, J. R. Stat. Soc. B 39, 1, 1977) by Monte Carlo (Wei, Tanner, J. Am.
Stat. Assoc. 85, 699, 1990) for Gaussian noise with an unknown spectrum in each lead.
"""

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
)
from reconstruction.samplers.ddnm import DDNM


class SpectralEM(PosteriorSampler):
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

    Raises:
        ValueError: If a number is not in its range.
    """

    def __init__(
        self,
        denoiser: Prior,
        n_rounds: int = 2,
        n_em_samples: int = 2,
        strength: float = 20.0,
        reach: int = 20,
        early: InnerSampler | None = None,
        final: InnerSampler | None = None,
        spread: float | None = None,
    ) -> None:
        if n_rounds < 0 or n_em_samples < 1 or strength <= 0 or reach < 0:
            raise ValueError(
                "need n_rounds >= 0, n_em_samples >= 1, strength > 0 and reach >= 0, got "
                f"{n_rounds}, {n_em_samples}, {strength} and {reach}"
            )
        super().__init__(denoiser)
        self.n_rounds, self.n_em_samples, self.strength, self.reach = n_rounds, n_em_samples, strength, reach
        self.spread = fitted(denoiser, self.name, "spread", spread)
        self.early = (early or partial(DDNM, n_steps=16))(denoiser)
        self.final = (final or partial(DDNM, n_steps=20))(denoiser)

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Draws:
        """Draws samples: see `PosteriorSampler`; the likelihood's noise is where the estimate starts."""
        start = likelihood.noise.variances(likelihood.y).expand(likelihood.y.shape)
        n_drawn = min(self.n_em_samples, n_samples)
        drawing = first_generators(generator, n_drawn)
        likelihood = GaussianLikelihood(likelihood.operator, likelihood.y, SpectralNoise(start))
        calls = Calls()
        for _ in range(self.n_rounds):
            draws = self.early(likelihood, n_drawn, drawing)
            calls += draws.calls
            spectrum = self._update(start, draw_noise(likelihood, draws.samples, drawing))
            likelihood = GaussianLikelihood(likelihood.operator, likelihood.y, SpectralNoise(spectrum))
        draws = self.final(likelihood, n_samples, generator)
        samples = torch.lerp(draws.mean.expand_as(draws.samples), draws.samples, self.spread)
        noise = SpectralNoise(likelihood.noise.variances(start))
        return Draws(samples, draws.mean, calls + draws.calls, noise)

    def _update(self, start: Tensor, noise: Tensor) -> Tensor:
        """Returns the spectrum `(B, m, L)` that fits draws of the noise `(S, B, m, L)`."""
        ratio = SpectralNoise(start).analyse(noise).square().mean(dim=0) / start
        n = 2 * self.reach + 1
        near = avg_pool1d(ratio, n, stride=1, padding=self.reach, count_include_pad=False)
        return start * (self.strength + n * near) / (self.strength + n)


def draw_noise(likelihood: GaussianLikelihood, x: Tensor, generator: Generators) -> Tensor:
    """Draws the noise of a measurement given the ECG: what that leaves of it, and a guess where nothing was measured.

    Args:
        likelihood: The measurement of B records.
        x: ECGs in mV, shape (S, B, C, L).
        generator: One generator, or one for each sample of each record.

    Returns:
        Noise in mV, shape (S, B, m, L).
    """
    residual = likelihood.residual(x)
    if bool(likelihood.observed.all()):
        return residual
    drawn = likelihood.noise.colour(StandardNormal(tuple(residual.shape), generator, residual)())
    misfit = torch.where(likelihood.observed, residual - drawn, 0.0)
    return drawn + likelihood.noise.covariance(likelihood.solve(misfit, 0.0))
