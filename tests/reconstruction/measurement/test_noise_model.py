import math

import numpy as np
import pytest
import torch
from scipy.fft import dct, idct

from reconstruction.measurement.noise_model import SpectralNoise, WhiteNoise, cosine_basis

N_LEADS, LENGTH = 3, 20


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MODELS = {
    "white": WhiteNoise(0.3),
    "white, of each lead": WhiteNoise(torch.tensor([0.1, 0.2, 0.3])),
    "white, of each record": WhiteNoise(torch.tensor([[0.1, 0.2, 0.3], [0.6, 0.5, 0.4]])),
    "spectrum": SpectralNoise(draw(N_LEADS, LENGTH).square() + 0.1),
    "spectrum of each record": SpectralNoise(draw(2, N_LEADS, LENGTH).square() + 0.1),
}


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def noise(request):
    return request.param


def dense(noise):
    """Covariance of each record, (2, m L, m L)."""
    basis = torch.eye(N_LEADS * LENGTH, dtype=torch.float64).reshape(-1, 1, N_LEADS, LENGTH)
    return noise.covariance(basis.expand(-1, 2, -1, -1)).flatten(2).permute(1, 2, 0)


def test_covariance_is_symmetric_positive_and_of_independent_leads(noise):
    covariance = dense(noise)
    torch.testing.assert_close(covariance, covariance.mT)
    assert (torch.linalg.eigvalsh(covariance) > 0).all()
    lead = torch.arange(N_LEADS).repeat_interleave(LENGTH)
    assert not covariance[:, lead[:, None] != lead].any()


def test_coloured_noise_has_the_covariance(noise):
    # colour is a linear map K of white noise, so its covariance is K K^T.
    basis = torch.eye(N_LEADS * LENGTH, dtype=torch.float64).reshape(-1, 1, N_LEADS, LENGTH)
    colour = noise.colour(basis.expand(-1, 2, -1, -1)).flatten(2).permute(1, 2, 0)
    torch.testing.assert_close(colour @ colour.mT, dense(noise))


def test_synthesis_undoes_and_transposes_the_analysis(noise):
    v, w = draw(4, 2, N_LEADS, LENGTH), draw(4, 2, N_LEADS, LENGTH, seed=1)
    torch.testing.assert_close(noise.synthesise(noise.analyse(v)), v)
    torch.testing.assert_close((noise.analyse(v) * w).sum(), (v * noise.synthesise(w)).sum())


def test_levels_are_the_root_mean_squares_of_the_leads(noise):
    like = torch.zeros(2, N_LEADS, LENGTH, dtype=torch.float64)
    power = dense(noise).diagonal(dim1=-2, dim2=-1).reshape(2, N_LEADS, LENGTH).mean(dim=-1)
    torch.testing.assert_close(noise.rms(like).expand(2, -1), power.sqrt())


def test_type_follows_the_signal(noise):
    v = draw(2, N_LEADS, LENGTH).float()
    results = (noise.variances(v), noise.covariance(v), noise.colour(v), noise.rms(v))
    assert {result.dtype for result in results} == {torch.float32}


def test_the_basis_is_the_orthonormal_cosine_transform():
    v = draw(2, LENGTH)
    basis = cosine_basis(LENGTH)
    np.testing.assert_allclose((v @ basis.T).numpy(), dct(v.numpy(), norm="ortho"), atol=1e-12)
    np.testing.assert_allclose((v @ basis).numpy(), idct(v.numpy(), norm="ortho"), atol=1e-12)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf, torch.tensor([0.1, 0.0])])
def test_white_noise_must_have_a_positive_level(sigma):
    with pytest.raises(ValueError, match="sigma_y"):
        WhiteNoise(sigma)


@pytest.mark.parametrize("spectrum", [torch.zeros(2, 5), torch.ones(5), torch.full((2, 5), math.nan)])
def test_a_spectrum_must_be_positive_and_one_for_each_lead(spectrum):
    with pytest.raises(ValueError, match="spectrum"):
        SpectralNoise(spectrum)
