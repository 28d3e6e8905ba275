import numpy as np
import pytest
import torch
from scipy.stats import norm

from einthoven.statistics import (
    band_stretch,
    bootstrap_intervals,
    finite_mean,
    percent_below,
    predictive_band,
)


@pytest.mark.parametrize("n_samples", [2, 5, 10, 20, 100])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_band_of_exchangeable_samples_covers_its_level(n_samples: int, level: float):
    n = 40_000
    draws = 3.0 + 0.2 * np.random.default_rng(1).standard_normal((n_samples + 1, n))
    lower, upper = predictive_band(draws[1:], level)
    covered = np.mean((draws[0] >= lower) & (draws[0] <= upper))
    assert covered == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / n) + 0.001)


def test_plain_percentiles_of_ten_samples_would_not():
    draws = np.random.default_rng(2).standard_normal((11, 40_000))
    lower, upper = np.quantile(draws[1:], [0.05, 0.95], axis=0)
    assert np.mean((draws[0] >= lower) & (draws[0] <= upper)) == pytest.approx(0.74, abs=0.02)


def test_band_tends_to_the_percentiles():
    assert band_stretch(10) > band_stretch(20) > band_stretch(100) > band_stretch(2000) > 1.0
    assert band_stretch(2000) == pytest.approx(1.0, abs=0.005)
    lower, upper = predictive_band(np.random.default_rng(0).standard_normal((100_000, 1)))
    assert float(upper[0]) == pytest.approx(norm.ppf(0.95), abs=0.03)
    assert float(lower[0]) == pytest.approx(norm.ppf(0.05), abs=0.03)


def test_band_of_tensors_equals_that_of_arrays_and_keeps_the_type():
    samples = np.random.default_rng(0).standard_normal((7, 2, 3)).astype(np.float32)
    for array, tensor in zip(predictive_band(samples), predictive_band(torch.from_numpy(samples)), strict=True):
        assert array.dtype == np.float32 and tensor.dtype == torch.float32
        np.testing.assert_allclose(array, tensor.numpy(), atol=1e-6)


def test_band_of_equal_samples_is_that_value_to_the_bit():
    value = np.random.default_rng(0).standard_normal((4, 50)).astype(np.float32)
    for edge in predictive_band(np.repeat(value[None], 10, axis=0)):
        np.testing.assert_array_equal(edge, value)


def test_band_refuses_one_sample_and_levels_that_are_none():
    with pytest.raises(ValueError, match="n_samples"):
        predictive_band(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="level"):
        predictive_band(np.zeros((5, 3)), 90)


def test_bootstrap_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(0).standard_normal(400)
    (interval,) = bootstrap_intervals(values[:, None], n_resamples=2000)
    assert interval.estimate == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert interval.lower == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert interval.upper == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_bootstrap_is_seeded_and_covers():
    rng = np.random.default_rng(5)
    column = np.arange(9.0)[:, None]
    assert bootstrap_intervals(column, seed=1) == bootstrap_intervals(column, seed=1)
    assert bootstrap_intervals(column, seed=1) != bootstrap_intervals(column, seed=2)
    inside = []
    for seed in range(150):
        (interval,) = bootstrap_intervals(rng.standard_normal((60, 1)), n_resamples=300, seed=seed)
        inside.append(interval.lower <= 0.0 <= interval.upper)
    assert 0.88 <= np.mean(inside) <= 0.99


def test_paired_ratio_is_narrower_than_its_parts():
    rng = np.random.default_rng(0)
    reference = rng.lognormal(0.0, 1.0, 100)
    pairs = np.stack([0.8 * reference, reference], axis=1)
    (interval,) = bootstrap_intervals(pairs[..., None], percent_below)
    assert interval.estimate == pytest.approx(20.0)
    assert interval.upper - interval.lower < 1e-9


def test_records_without_a_value_are_left_out():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(finite_mean(values), [2.0, np.nan])
    first, second = bootstrap_intervals(values, n_resamples=50)
    assert first.estimate == 2.0 and first.lower >= 1.0
    assert np.isnan([second.estimate, second.lower, second.upper]).all()
    assert float(percent_below(np.array([[1.0, 2.0], [np.nan, 9.0]]))) == 50.0
    assert np.isnan(percent_below(np.array([[1.0, 0.0]])))


def test_bootstrap_needs_a_record():
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_intervals(np.empty((0, 1)))
