"""Fourier EM on a Gaussian prior and noise that is a wave of its basis."""

import numpy as np
import pytest
import torch

from diffusion_prior.model.schedule import EDMSchedule
from einthoven.randomness import record_generators
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.operators import Mask
from reconstruction.samplers.fourier_em import FourierEM, fourier_basis
from tests.gaussian import GaussianDenoiser

LENGTH = 64


@pytest.fixture(scope="module")
def prior():
    """Slow ECGs of two leads."""
    time = torch.arange(LENGTH, dtype=torch.float64)
    along = torch.exp(-0.5 * ((time[:, None] - time) / 4) ** 2) + 1e-4 * torch.eye(LENGTH)
    mean = torch.zeros(2, LENGTH, dtype=torch.float64)
    return GaussianDenoiser(mean, 0.3**2 * torch.block_diag(along, along), EDMSchedule(0.01, 10.0))


@pytest.fixture(scope="module")
def measured(prior):
    generator = torch.Generator().manual_seed(1)
    factor = torch.linalg.cholesky(prior.covariance)
    x = (torch.randn(2, 2 * LENGTH, generator=generator, dtype=torch.float64) @ factor.T).reshape(2, 2, LENGTH)
    time = np.arange(LENGTH) / 100
    wave = torch.from_numpy(1.0 * np.cos(2 * np.pi * 25.0 * time))
    return x, x + wave


def run(prior, y, n_samples=4, observed=None, keys=None, **settings):
    observed = torch.ones(2, LENGTH, dtype=torch.bool) if observed is None else observed
    sampler = FourierEM(prior, n_frequencies=64, **settings)
    generator = record_generators(0, range(len(y)) if keys is None else keys, n_samples)
    return sampler(GaussianLikelihood(Mask(observed), y, 0.01), n_samples, generator)


def test_a_fast_wave_is_taken_away(prior, measured):
    x, y = measured
    draws = run(prior, y)
    samples = draws.samples
    error = (samples.mean(0) - x).square().mean().sqrt()
    assert error < 0.25 * (y - x).square().mean().sqrt()
    assert samples.dtype == torch.float64
    assert draws.calls.network == 6 * 13
    level = (y - x).square().mean().sqrt()
    assert (draws.noise.rms(y) / level).log().abs().max() < 0.25


def test_samples_are_too_sure(prior, measured):
    """The wave is one estimate: the band that leaves it out covers less than it says."""
    x, y = measured
    samples = run(prior, y, 20).samples
    inside = (samples.mean(0) - x).abs() < 1.645 * samples.std(0)
    assert inside.double().mean() < 0.85


def test_a_record_does_not_depend_on_its_batch_mates(prior, measured):
    _, y = measured
    together = run(prior, y, n_rounds=2).samples
    alone = run(prior, y[1:], keys=[1], n_rounds=2).samples
    torch.testing.assert_close(together[:, 1], alone[:, 0])


def test_gaps_are_left_out_of_the_fit(prior, measured):
    _, y = measured
    observed = torch.ones(2, LENGTH, dtype=torch.bool)
    observed[0, 20:30] = False
    observed[1] = False
    samples = run(prior, torch.where(observed, y, 1e3), observed=observed, n_rounds=2).samples
    assert samples.abs().max() < 10
    with pytest.raises(ValueError, match="need n_rounds"):
        FourierEM(prior, lasso=0.0)


def test_basis_holds_waves_up_to_50_hz():
    time = np.arange(1000) / 100
    basis = fourier_basis(time, 512)
    assert basis.shape == (1000, 1024)
    np.testing.assert_allclose(basis[:, 256], np.cos(2 * np.pi * 25.0 * time), atol=1e-9)
    np.testing.assert_allclose(basis[:, 512 + 511], np.sin(2 * np.pi * 50 * 511 / 512 * time), atol=1e-9)
