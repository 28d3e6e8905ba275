"""Filtering and resampling: no shift, right amplitude, right bands."""

import numpy as np
import pytest

from einthoven.ecg.filters import clean_signal, fill_gaps, high_pass_power, resample

PAIRS = [(500, 100), (360, 100), (257, 100), (1000, 100), (250, 500), (100, 500), (100, 100)]


def sinusoid(frequency, rate, duration=10.0):
    return np.sin(2 * np.pi * frequency * np.arange(round(duration * rate)) / rate + 0.3)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_resampled_sinusoid_has_neither_shift_nor_gain(source, target):
    out = resample(sinusoid(5.0, source), source, target)
    assert out.shape == (round(10.0 * target),)
    margin = target // 2  # beyond the mirrored edge's reach
    np.testing.assert_allclose(out[margin:-margin], sinusoid(5.0, target)[margin:-margin], atol=2e-3)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_cleaned_sinusoid_has_neither_shift_nor_gain(source, target):
    out = clean_signal(sinusoid(10.0, source), source, target)
    inner = slice(3 * target, -3 * target)  # beyond the reach of the high-pass from the mirrored edges
    np.testing.assert_allclose(out[inner], sinusoid(10.0, target)[inner], atol=3e-3)


def test_an_impulse_stays_at_its_time_and_is_symmetric():
    x = np.zeros(5000)
    x[2500] = 1.0
    out = clean_signal(x, 500, 100)
    assert out.argmax() == 500
    np.testing.assert_allclose(out[450:500], out[501:551][::-1], atol=1e-7)


@pytest.mark.parametrize("hum", [50.0, 60.0])
def test_mains_hum_and_drift_are_removed(hum):
    ecg = sinusoid(8.0, 500)
    disturbed = ecg + sinusoid(hum, 500) + 2.0 + sinusoid(0.1, 500)
    out = clean_signal(disturbed, 500, 500)
    np.testing.assert_allclose(out[1500:-1500], ecg[1500:-1500], atol=0.02)


@pytest.mark.parametrize("rate", [100, 110, 118])
def test_rates_whose_nyquist_is_below_a_notch_are_filtered(rate):
    out = clean_signal(sinusoid(10.0, rate), rate, 100)
    np.testing.assert_allclose(out[300:-300], sinusoid(10.0, 100)[300:-300], atol=3e-3)


def test_leads_and_records_are_independent():
    x = np.random.default_rng(0).standard_normal((2, 3, 2500))
    together = clean_signal(x, 500, 100)
    assert together.shape == (2, 3, 500)
    np.testing.assert_array_equal(clean_signal(x[1, 2], 500, 100), together[1, 2])


def test_length_can_be_asked_for():
    x = sinusoid(3.0, 360, 2.5)
    there = resample(x, 360, 100)
    back = resample(there, 100, 360, length=len(x))
    assert back.shape == x.shape
    np.testing.assert_allclose(back[180:-180], x[180:-180], atol=5e-3)
    with pytest.raises(ValueError, match="more than"):
        resample(x, 360, 100, length=100_000)


def test_gaps_are_bridged_by_straight_lines():
    x = np.array([[np.nan, 1.0, np.nan, np.nan, 4.0, np.nan], [np.nan] * 6])
    np.testing.assert_array_equal(fill_gaps(x), [[1, 1, 2, 3, 4, 4], [0] * 6])
    assert np.isnan(x[0, 0])


@pytest.mark.parametrize(("source", "target"), [(0, 100), (100, -1)])
def test_rates_must_be_positive(source, target):
    with pytest.raises(ValueError, match="positive|too low"):
        clean_signal(np.zeros(100), source, target)


def test_too_short_a_signal_is_an_error():
    with pytest.raises(ValueError, match="at least two"):
        clean_signal(np.zeros((12, 1)), 500, 100)


@pytest.mark.parametrize("frequency", [0.4, 0.6, 0.9, 5.0])
def test_high_pass_power_is_that_of_the_filter(frequency):
    tone = np.sqrt(2) * sinusoid(frequency, 100, 60.0)
    middle = clean_signal(tone, 100, 100)[1500:-1500]
    assert np.square(middle).mean() == pytest.approx(float(high_pass_power(frequency)), abs=0.03)
