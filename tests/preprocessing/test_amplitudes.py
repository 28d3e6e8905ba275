"""Amplitudes of z-scored ECGs: exact where they can be, honest where they cannot."""

import numpy as np
import pytest

from einthoven.ecg.leads import LEADS
from preprocessing.amplitudes import fit_amplitudes, impute_amplitudes, limb_scales
from preprocessing.cohorts.simulator import simulate_ecg


def z_score(ecg):
    deviations = ecg.std(axis=-1, keepdims=True)
    return (ecg - ecg.mean(axis=-1, keepdims=True)) / deviations, deviations[..., 0]


@pytest.fixture(scope="module")
def ecg():
    x = simulate_ecg(300, noise=0.01).astype(np.float64)
    return x - x.mean(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def labels(ecg):
    return np.zeros((len(ecg), 71), dtype=np.float32)


@pytest.fixture(scope="module")
def model(ecg, labels):
    return fit_amplitudes(ecg[:200], labels[:200])


def test_limb_scales_are_recovered(ecg):
    z, deviations = z_score(ecg)
    scales, residual = limb_scales(z)
    expected = deviations[:, :6] / np.sqrt(deviations[:, :1] * deviations[:, 1:2])
    np.testing.assert_allclose(scales, expected, rtol=1e-5)
    assert residual.max() < 1e-3


def test_leads_of_different_hearts_fit_no_scale(ecg, labels, model):
    z, _ = z_score(ecg[:3])
    mixed = z.copy()
    mixed[:, 2] = z[[1, 2, 0], 2]
    assert limb_scales(mixed)[1].min() > 0.05
    with pytest.raises(ValueError, match=r"\[7, 8, 9\]"):
        impute_amplitudes(mixed, labels[:3], model, np.array([7, 8, 9]))


def test_draws_cover_the_truth_as_often_as_they_should(ecg, labels, model):
    z, deviations = z_score(ecg[200:])
    draws = impute_amplitudes(z, labels[200:], model, np.arange(100), n_draws=100)
    assert draws.shape == (100, 100, 12)
    rank = (np.log(draws) < np.log(deviations)[:, None]).mean(axis=1)
    leads = [0, 6, 7, 8, 9, 10, 11]
    coverage = ((rank > 0.05) & (rank < 0.95))[:, leads].mean()
    assert 0.8 < coverage < 0.97  # 90 %, give or take four standard errors of correlated leads
    assert abs(rank[:, leads].mean() - 0.5) < 0.1
    assert (model.r2 > 0).all()


def test_limb_leads_keep_their_equations(ecg, labels, model):
    z, _ = z_score(ecg[:5])
    scaled = z * impute_amplitudes(z, labels[:5], model, np.arange(5), n_draws=1)[:, 0, :, None]
    np.testing.assert_allclose(scaled[:, LEADS.index("III")], scaled[:, 1] - scaled[:, 0], atol=1e-3)


def test_draws_depend_on_seed_and_key_only(ecg, labels, model):
    z, _ = z_score(ecg[:4])
    all_four = impute_amplitudes(z, labels[:4], model, np.array([5, 6, 7, 8]), seed=1)
    alone = impute_amplitudes(z[2:3], labels[2:3], model, np.array([7]), seed=1)
    np.testing.assert_allclose(alone[0], all_four[2], rtol=1e-10)
    assert np.abs(impute_amplitudes(z, labels[:4], model, np.array([5, 6, 7, 8]), seed=2) - all_four).max() > 1e-3


def test_too_few_records_are_an_error(ecg, labels):
    with pytest.raises(ValueError, match="at least 50"):
        fit_amplitudes(ecg[:20], labels[:20])
