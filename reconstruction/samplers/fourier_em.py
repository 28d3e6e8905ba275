"""Fourier EM: denoising as RhythmDiff describes it, the noise being a sum of cosines and sines.

Reference:
    Bedin et al., Phil. Trans. R. Soc. A 383:20240330, 2025 (five rounds; 512 frequencies from 0 to 50 Hz; Lasso 0.1 in
    the first round, then Ridge 1). The released script differs: it draws no ECG in the first round and none after the
    last fit, adds white noise to the measurement, and takes the cleaned lead's standard deviation for the noise's.
"""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Lasso, Ridge
from torch import Tensor

from diffusion_prior.model.denoiser import Prior
from einthoven.randomness import Generators
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import WhiteNoise
from reconstruction.samplers.base import Calls, Draws, InnerSampler, PosteriorSampler, first_generators
from reconstruction.samplers.ddnm import DDNM

MAX_FREQUENCY_HZ = 50.0
SMALLEST_STD_MV = 0.01


class FourierEM(PosteriorSampler):
    """Samples of an ECG whose noise is a fixed wave of cosines and sines in each lead, and white noise around it.

    Each round draws ECGs given the measurement without the present wave, then fits the wave to what the samples' mean
    leaves of the measurement, and the white noise to what both leave of it. As published, the first round knows no wave
    and takes the standard deviation of each lead for that of its noise; the noise of the likelihood is not used. The
    last draw is the result; its noise is white, with the root mean square of the wave and what is around it. The wave
    is one estimate without an uncertainty, so the samples are too sure.

    Args:
        denoiser: The prior.
        n_rounds: Rounds, each a draw and a fit.
        n_em_samples: Samples that a fit is made from; never more than are asked for.
        n_frequencies: Frequencies of the wave.
        lasso: Penalty of the first fit, as in scikit-learn's `Lasso`.
        ridge: Penalty of the others, as in its `Ridge`.
        inner: Makes the sampler from the denoiser; None: DDNM+ in 12 steps.

    Raises:
        ValueError: If a number is not in its range.
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
        if min(n_rounds, n_em_samples, n_frequencies) < 1 or lasso <= 0 or ridge <= 0:
            raise ValueError(
                "need n_rounds, n_em_samples and n_frequencies >= 1, lasso and ridge > 0, got "
                f"{n_rounds}, {n_em_samples}, {n_frequencies}, {lasso} and {ridge}"
            )
        super().__init__(denoiser)
        self.n_rounds, self.n_em_samples, self.n_frequencies = n_rounds, n_em_samples, n_frequencies
        self.lasso, self.ridge = lasso, ridge
        self.inner = (inner or partial(DDNM, n_steps=12))(denoiser)

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Draws:
        """Draws samples: see `PosteriorSampler`; the likelihood's noise is not used."""
        operator, y, observed = likelihood.operator, likelihood.y, likelihood.observed
        duration = operator.adjoint(y).shape[-1] / self.sampling_rate
        basis = fourier_basis(np.arange(y.shape[-1]) * duration / y.shape[-1], self.n_frequencies)
        n_drawn = min(self.n_em_samples, n_samples)
        drawing = first_generators(generator, n_drawn)
        wave, sigma = torch.zeros_like(y), _deviation(y - _mean(y, observed), observed)
        calls = Calls()
        for round_ in range(self.n_rounds):
            draws = self.inner(GaussianLikelihood(operator, y - wave, WhiteNoise(sigma)), n_drawn, drawing)
            calls, left = calls + draws.calls, likelihood.residual(draws.samples)
            model = Lasso(self.lasso, fit_intercept=False) if round_ == 0 else Ridge(self.ridge, fit_intercept=False)
            wave = _fit_wave(model, basis, left.mean(dim=0), observed)
            sigma = _deviation(left - wave, observed)
        draws = self.inner(GaussianLikelihood(operator, y - wave, WhiteNoise(sigma)), n_samples, generator)
        noise = WhiteNoise((_deviation(wave, observed).square() + sigma.square()).sqrt())
        return Draws(draws.samples, draws.mean, calls + draws.calls, noise)


def fourier_basis(time: NDArray[np.float64], n_frequencies: int) -> NDArray[np.float64]:
    """Returns cosines and sines at frequencies from 0 to 50 Hz.

    Args:
        time: Times in s, shape (L,).
        n_frequencies: Number of frequencies J.

    Returns:
        Basis, shape (L, 2 J).
    """
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
