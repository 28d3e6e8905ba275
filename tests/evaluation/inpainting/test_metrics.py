import numpy as np
import pytest
from scipy.stats import norm, pearsonr

from einthoven.statistics import crps, predictive_band
from evaluation.inpainting import metrics

ALL = np.ones((1, 1, 1), bool)


def test_errors_are_those_of_unobserved_samples():
    truth = np.zeros((1, 2, 4))
    estimate = np.array([[[1.0, -3.0, 50.0, 0.0], [7.0, 7.0, 7.0, 7.0]]])
    unobserved = np.array([[[True, True, False, True], [False] * 4]])
    np.testing.assert_allclose(metrics.absolute_error(estimate, truth, unobserved), [[4 / 3, np.nan]])
    np.testing.assert_allclose(metrics.squared_error(estimate, truth, unobserved), [[10 / 3, np.nan]])


def test_pearson_is_scipys_on_the_unobserved_samples():
    rng = np.random.default_rng(0)
    truth, estimate = rng.standard_normal((2, 3, 4, 100)) + 5.0
    unobserved = rng.uniform(size=truth.shape) < 0.5
    found = metrics.pearson(estimate, truth, unobserved)
    for place in np.ndindex(3, 4):
        kept = unobserved[place]
        assert found[place] == pytest.approx(pearsonr(estimate[place][kept], truth[place][kept]).statistic)


def test_pearson_of_flat_leads_is_defined():
    wave = np.sin(np.arange(50.0))[None, None]
    flat = np.full((1, 1, 50), 0.1, np.float32)
    assert metrics.pearson(flat, wave, ALL).item() == 0.0
    assert np.isnan(metrics.pearson(wave, flat, ALL)).item()
    assert np.isnan(metrics.pearson(wave, wave, ~ALL)).item()
    assert metrics.pearson(2.0 * wave + 1.0, wave, ALL).item() == pytest.approx(1.0)


@pytest.mark.parametrize("n_samples", [2, 5, 50])
def test_fair_crps_has_the_expectation_of_the_distribution(n_samples: int):
    # For y ~ N(0, 1) and the forecast N(m, s^2), E[CRPS] follows from the closed form of Gneiting and Raftery (2007).
    m, s = 0.5, 2.0
    rng = np.random.default_rng(n_samples)
    truth = rng.standard_normal((1, 1, 200_000))
    samples = m + s * rng.standard_normal((1, n_samples, 1, 200_000))
    z = (truth - m) / s
    closed = s * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps(samples, truth, ALL).item() == pytest.approx(closed.mean(), abs=0.015)
    assert crps(samples, truth, ALL, fair=False).item() > crps(samples, truth, ALL).item()


def test_crps_is_the_sum_over_pairs_and_the_error_where_samples_agree():
    rng = np.random.default_rng(0)
    samples, truth = rng.standard_normal((3, 6, 2, 40)), rng.standard_normal((3, 2, 40))
    pairs = np.abs(samples[:, :, None] - samples[:, None]).sum(axis=(1, 2))
    distance = np.abs(samples - truth[:, None]).mean(axis=1)
    np.testing.assert_allclose(crps(samples, truth, ALL), (distance - pairs / (2 * 6 * 5)).mean(axis=-1))
    same = np.repeat(samples[:, :1], 6, axis=1)
    np.testing.assert_allclose(crps(same, truth, ALL), metrics.absolute_error(same[:, 0], truth, ALL))
    with pytest.raises(ValueError, match="n_samples"):
        crps(samples[:, :1], truth, ALL)


def test_calibrated_ensemble_covers_ninety_per_cent():
    draws = np.random.default_rng(0).standard_normal((11, 20, 3, 500))
    lower, upper = predictive_band(draws[1:])
    unobserved = np.ones((20, 3, 500), bool)
    unobserved[:, 2] = False
    covered = metrics.coverage(lower, upper, draws[0], unobserved)
    assert covered[:, :2].mean() == pytest.approx(0.90, abs=4 * 0.3 / np.sqrt(20 * 2 * 500))
    assert np.isnan(covered[:, 2]).all()


def test_amplitude_statistics_of_exact_posteriors():
    # Amplitude a = b + c, with b known to the posterior: rho = var(b) / var(a) = 0.64.
    rng = np.random.default_rng(0)
    n = 200_000
    b = 0.8 * rng.standard_normal((n, 1))
    truth = b + 0.6 * rng.standard_normal((n, 1))
    samples = b[:, None] + 0.6 * rng.standard_normal((n, 4, 1))
    assert metrics.amplitude_variance_ratio(samples, truth).item() == pytest.approx(1.0, abs=0.02)
    assert metrics.amplitude_variance_ratio(b[:, None], truth).item() == pytest.approx(0.64, abs=0.02)
    r2, slope = metrics.amplitude_error_regression(samples, truth)
    assert (r2.item(), slope.item()) == (pytest.approx(0.18, abs=0.01), pytest.approx(-0.36, abs=0.01))
    r2, slope = metrics.amplitude_error_regression(b[:, None], truth)
    assert (r2.item(), slope.item()) == (pytest.approx(0.36, abs=0.01), pytest.approx(-0.36, abs=0.01))


def test_regression_to_the_mean_has_r2_one_and_slope_minus_one():
    truth = np.random.default_rng(0).uniform(0.5, 2.0, (30, 2))
    constant = np.ones((30, 1, 2))
    r2, slope = metrics.amplitude_error_regression(constant, truth)
    np.testing.assert_allclose(r2, 1.0)
    np.testing.assert_allclose(slope, -1.0)
    np.testing.assert_allclose(metrics.amplitude_variance_ratio(constant, truth), 0.0, atol=1e-12)
    r2, slope = metrics.amplitude_error_regression(truth[:, None], truth)
    np.testing.assert_allclose([r2, slope], 0.0)


def test_records_without_an_amplitude_are_left_out_lead_by_lead():
    rng = np.random.default_rng(0)
    truth, estimate = rng.uniform(size=(12, 2)), rng.uniform(size=(12, 3, 2))
    holed = truth.copy()
    holed[:4, 0] = np.nan
    ratio = metrics.amplitude_variance_ratio(estimate, holed)
    assert ratio[0] == pytest.approx((estimate[4:, :, 0].var(axis=0) / truth[4:, 0].var()).mean())
    assert ratio[1] == pytest.approx((estimate[..., 1].var(axis=0) / truth[:, 1].var()).mean())
    assert np.isnan(metrics.amplitude_variance_ratio(estimate[:1], truth[:1])).all()
    assert np.isnan(metrics.amplitude_error_regression(estimate, np.ones((12, 2)))[0]).all()
