"""Plain features of leads: each sees its own kind of noise, whatever the rate."""

import numpy as np
import pytest

from noise_quant.scoring.rules.lead_features import FEATURES, lead_features
from preprocessing.cohorts.simulator import simulate_ecg

RATE = 100.0


@pytest.fixture(scope="module")
def ecg():
    return simulate_ecg(1, 100, duration=10.0, rhythm="sinus")[0].astype(np.float64)


def features_with(ecg, noise):
    """Features of lead II with and without noise in it."""
    noisy = ecg.copy()
    noisy[1] += noise
    return {name: values[1] for name, values in lead_features(noisy, RATE).items()}


def test_noise_makes_beats_less_alike(ecg):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(ecg[1].shape)
    found = [
        lead_features(np.vstack([ecg[:1], ecg[1:2] + k * noise, ecg[2:]]), RATE)["beats"] for k in (0.0, 0.1, 0.4, 2.0)
    ]
    assert (np.diff([row[1] for row in found]) < 0).all()
    assert found[0].min() > 0.9 and found[-1][1] < 0.5
    np.testing.assert_allclose(np.delete(found[1], 1), np.delete(found[0], 1), atol=0.02)


def test_each_kind_of_noise_is_seen(ecg):
    rng, time = np.random.default_rng(0), np.arange(1000) / RATE
    clean = features_with(ecg, 0.0)
    fast = features_with(ecg, 0.1 * rng.standard_normal(1000))
    assert fast["fast_mv"] > 0.02 > 2 * clean["fast_mv"]
    burst = features_with(ecg, np.where((time > 4) & (time < 5.5), 0.3, 0.0) * rng.standard_normal(1000))
    assert burst["fast_peak_mv"] > 0.05 and burst["fast_mv"] < 0.02
    drift = features_with(ecg, np.sin(2 * np.pi * 0.3 * time))
    assert drift["drift_mv"] > 0.5 and drift["swing_mv"] > 1.2 and drift["drift_db"] > clean["drift_db"] + 10
    assert drift["fast_mv"] == pytest.approx(clean["fast_mv"], rel=0.05)
    step = features_with(ecg, np.where(time > 5, 2.0, 0.0))
    assert step["jump_mv"] > 1.5 > clean["jump_mv"] and step["range_mv"] > clean["range_mv"] + 1.5


def test_rate_and_amplitude_change_little(ecg):
    slow, fast = lead_features(ecg, RATE), lead_features(simulate_ecg(1, 500, duration=10.0, rhythm="sinus")[0], 500.0)
    for name in ("drift_mv", "range_mv", "jump_mv"):
        np.testing.assert_allclose(fast[name], slow[name], rtol=0.15)
    np.testing.assert_allclose(fast["beats"], slow["beats"], atol=0.05)
    larger = lead_features(3 * ecg, RATE)
    np.testing.assert_allclose(larger["beats"], slow["beats"], atol=1e-3)
    np.testing.assert_allclose(larger["drift_db"], slow["drift_db"], atol=0.1)
    np.testing.assert_allclose(larger["swing_mv"], 3 * slow["swing_mv"], rtol=1e-6)


def test_what_holds_no_beats_is_told(ecg):
    short = lead_features(ecg[:, :400], RATE)
    assert set(short) == set(FEATURES) and all(np.isnan(values).all() for values in short.values())
    flat = lead_features(np.zeros((2, 1000)), RATE)
    assert all((values == 0).all() for values in flat.values())
    broken = ecg.copy()
    broken[3, 100:200] = np.nan
    broken[4, 100] = np.inf
    assert all(np.isfinite(values).all() for values in lead_features(broken, RATE).values())
