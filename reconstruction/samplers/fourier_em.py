"""Fourier EM: denoising as RhythmDiff describes it, the noise being a sum of cosines and sines.

Reference:
    Bedin et al., Phil. Trans. R. Soc. A 383:20240330, 2025 (five rounds; 512 frequencies from 0 to 50 Hz; Lasso 0.1 in
    the first round, then Ridge 1). The released script differs: it draws no ECG in the first round and none after the
    last fit, adds white noise to the measurement, and takes the cleaned lead's standard deviation for the noise's.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_prior.model.denoiser import Prior
from einthoven.extras import extra
from einthoven.randomness import Generators
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import WhiteNoise
from reconstruction.samplers.base import Draws, InnerSampler, need
from reconstruction.samplers.ddnm import DDNM
from reconstruction.samplers.spectral_em import NoiseEM

with extra("train"):
    from sklearn.linear_model import Lasso, Ridge

MAX_FREQUENCY_HZ = 50.0
SMALLEST_STD_MV = 0.01


class FourierEM(NoiseEM):
    """Samples of an ECG whose noise is a fixed wave of cosines and sines in each lead, and white noise around it.

    Each round draws ECGs given the measurement without the present wave, then fits the wave to what the samples' mean
    leaves of the measurement, and the white noise to what both leave of it. As published, the first round knows no wave
    and takes the standard deviation of each lead for that of its noise; the noise of the likelihood is not used. The
    last draw is the result; its noise is white, with the root mean square of the wave and what is around it. The wave
    is one estimate without an uncertainty, so the samples are too sure.

    Args:
        denoiser: The prior.
        n_rounds: As for `NoiseEM`.
        n_em_samples: As for `NoiseEM`.
        n_frequencies: Frequencies of the wave.
        lasso: Penalty of the first fit, as in scikit-learn's `Lasso`.
        ridge: Penalty of the others, as in its `Ridge`.
        inner: Makes the sampler from the denoiser; None: DDNM+ in 12 steps.
    """

    def __init__(
        self,
        denoiser: Prior,
        n_rounds: int = 5,
        n_em_samples: int = 10,
        n_frequencies: int = 512,
        lasso: float = 0.1,
        ridge: float = 1.0,
        inner: InnerSampler | None = None,
    ) -> None:
        fits = min(n_rounds, n_em_samples, n_frequencies) >= 1 and min(lasso, ridge) > 0
        rule = "n_rounds, n_em_samples and n_frequencies >= 1, lasso and ridge > 0"
        need(fits, rule, n_rounds, n_em_samples, n_frequencies, lasso, ridge)
        sampler = (inner or partial(DDNM, n_steps=12))(denoiser)
        super().__init__(denoiser, n_rounds, n_em_samples, sampler, sampler)
        self.n_frequencies, self.lasso, self.ridge = n_frequencies, lasso, ridge

    def begin(self, likelihood: GaussianLikelihood) -> GaussianLikelihood:
        """Knows no wave, and takes each lead's standard deviation for that of its noise."""
        y, observed = likelihood.y, likelihood.observed
        return _WithoutWave(likelihood, torch.zeros_like(y), _deviation(y - _mean(y, observed), observed))

    def fit(
        self, place: int, likelihood: GaussianLikelihood, present: GaussianLikelihood, x: Tensor, generator: Generators
    ) -> GaussianLikelihood:
        """Fits the wave to what the samples' mean leaves, and the white noise to what both leave: see the class."""
        left, length = likelihood.residual(x), likelihood.y.shape[-1]
        basis = fourier_basis(np.arange(length) * (x.shape[-1] / self.sampling_rate) / length, self.n_frequencies)
        model = Lasso(self.lasso, fit_intercept=False) if place == 0 else Ridge(self.ridge, fit_intercept=False)
        wave = _fit_wave(model, basis, left.mean(dim=0), likelihood.observed)
        return _WithoutWave(likelihood, wave, _deviation(left - wave, likelihood.observed))

    def end(self, likelihood: GaussianLikelihood, present: GaussianLikelihood, draws: Draws) -> Draws:
        """Takes the wave and what is around it for white noise."""
        assert isinstance(present, _WithoutWave)
        total = _deviation(present.wave, likelihood.observed).square() + present.sigma.square()
        return replace(draws, noise=WhiteNoise(total.sqrt()))


class _WithoutWave(GaussianLikelihood):
    """The likelihood of a measurement from which a wave (B, m, L) was taken, with white noise (B, m)."""

    def __init__(self, likelihood: GaussianLikelihood, wave: Tensor, sigma: Tensor) -> None:
        super().__init__(likelihood.operator, likelihood.y - wave, WhiteNoise(sigma))
        self.wave, self.sigma = wave, sigma


def fourier_basis(time: NDArray[np.float64], n_frequencies: int) -> NDArray[np.float64]:
    """Returns cosines and sines at J frequencies from 0 to 50 Hz, at times (L,) in s: shape (L, 2 J)."""
    phase = 2 * np.pi * time[:, None] * np.linspace(0, MAX_FREQUENCY_HZ, n_frequencies, endpoint=False)
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)


def _fit_wave(model: Lasso | Ridge, basis: NDArray[np.float64], left: Tensor, observed: Tensor) -> Tensor:
    """Fits a wave to each lead of `left (B, m, L)` where it was measured; returns it throughout, same shape."""
    values, measured = left.double().cpu().numpy(), observed.cpu().numpy()
    wave = np.zeros_like(values)
    for record, lead in np.ndindex(values.shape[:2]):
        here = measured[record, lead]
        if here.any():
            wave[record, lead] = basis @ model.fit(basis[here], values[record, lead, here]).coef_
    return torch.from_numpy(wave).to(left)


def _mean(values: Tensor, observed: Tensor) -> Tensor:
    """Returns the mean of each lead (B, m, 1) over the measured samples."""
    return torch.where(observed, values, 0.0).sum(dim=-1, keepdim=True) / observed.sum(dim=-1, keepdim=True).clamp(1)


def _deviation(values: Tensor, observed: Tensor) -> Tensor:
    """Returns the root mean square of each lead of `values (..., B, m, L)` where measured, shape (B, m)."""
    squares = torch.where(observed, values.square(), 0.0).reshape(-1, *observed.shape).mean(dim=0)
    return (squares.sum(dim=-1) / observed.sum(dim=-1).clamp(1)).sqrt().clamp(min=SMALLEST_STD_MV)
