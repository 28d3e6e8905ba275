"""Filters with known answers, their choice, and the Wiener filter against the exact gain."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import signal

from einthoven.ecg.leads import INDEPENDENT_LEADS
from evaluation.denoising.baselines import (
    BandPass,
    DeepFade,
    HighPass,
    NeuroKit,
    WaveletShrinkage,
    WienerFilter,
    choose_baselines,
)
from evaluation.denoising.metrics import output_snr
from preprocessing.cohorts.simulator import simulate_ecg
from preprocessing.store.store import write_store

TIME = np.arange(1000) / 100.0
INNER = slice(200, 800)


def tone(frequency):
    return np.sin(2 * np.pi * frequency * TIME)[None, None]


def test_filters_pass_their_band_without_delay():
    mixed = tone(0.2) + tone(5.0) + tone(40.0)
    high = HighPass(1.0, 3)(mixed, 100.0)
    np.testing.assert_allclose(high[..., INNER], (tone(5.0) + tone(40.0))[..., INNER], atol=0.02)
    band = BandPass(1.0, 15.0, 3, 4)(mixed, 100.0)
    np.testing.assert_allclose(band[..., INNER], tone(5.0)[..., INNER], atol=0.02)


@pytest.mark.parametrize("length", [250, 1000, 999])
@pytest.mark.parametrize("n_levels", [1, 5])
def test_wavelets_without_threshold_leave_the_filtered_lead(length, n_levels):
    y = np.random.default_rng(0).standard_normal((2, 3, length))
    cleaned = WaveletShrinkage(scale=0.0, n_levels=n_levels)(y, 100.0)
    np.testing.assert_allclose(cleaned, HighPass()(y, 100.0), atol=1e-10)


def test_wavelets_take_white_noise():
    truth = np.zeros((1, 1, 1000))
    truth[..., 100::100] = 2.0
    truth = HighPass()(signal.fftconvolve(truth, np.hanning(9)[None, None], mode="same", axes=-1), 100.0)
    noisy = truth + 0.1 * np.random.default_rng(0).standard_normal(truth.shape)
    gains, peaks = [], []
    for rule in ("soft", "garrote"):
        cleaned = WaveletShrinkage(rule=rule)(noisy, 100.0)
        gains.append(output_snr(cleaned, truth).item() - output_snr(noisy, truth).item())
        peaks.append(np.abs(cleaned).max())
    assert gains[0] > 2.0 and gains[1] > 4.0
    assert peaks[0] < peaks[1]  # soft shrinkage lowers large coefficients by the whole threshold, garrote hardly


def test_neurokit_cleans_lead_by_lead():
    y = simulate_ecg(2)[:, :2] + tone(0.1)
    cleaned = NeuroKit()(y, 100.0)
    np.testing.assert_array_equal(cleaned[1:, :1], NeuroKit()(y[1:, :1], 100.0))
    assert np.abs(cleaned.mean(axis=-1)).max() < 0.05


def test_settings_follow_the_noise():
    rng = np.random.default_rng(0)
    truth = HighPass(0.6, 3)(simulate_ecg(2)[:, :2], 100.0)
    drift = np.cumsum(rng.standard_normal(truth.shape), axis=-1) / 30
    slow = choose_baselines(truth + drift, truth, 100.0)
    white = choose_baselines(truth + 0.1 * rng.standard_normal(truth.shape), truth, 100.0)
    assert set(slow) == {"high-pass", "band-pass", "wavelet", "neurokit2"}
    assert slow["high-pass"].settings["cutoff"] >= white["high-pass"].settings["cutoff"]
    assert white["band-pass"].settings["high"] < slow["band-pass"].settings["high"]
    chosen = slow["high-pass"]
    assert chosen.output_snr == pytest.approx(output_snr(chosen.cleaner(truth + drift, 100.0), truth).mean())
    assert chosen.output_snr >= output_snr(HighPass()(truth + drift, 100.0), truth).mean()
    assert white["wavelet"].output_snr > white["band-pass"].output_snr > white["high-pass"].output_snr
    assert "engzeemod2012" not in {found["neurokit2"].settings["method"] for found in (slow, white)}  # needs > 104 Hz
    with pytest.raises(ValueError, match="no record"):
        choose_baselines(truth[:0], truth[:0], 100.0)


def test_wiener_filter_has_the_exact_gain(tmp_path):
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((8, 8)) * 0.3
    ecgs = np.einsum("ab,nbt->nat", mixing, rng.standard_normal((400, 8, 200))).astype(np.float32)
    table = pd.DataFrame({"ecg_id": np.arange(400), "split": "train"})
    store = write_store(tmp_path / "store", ecgs, table, 100, INDEPENDENT_LEADS)
    truth = ecgs[:200].astype(np.float64)
    noisy = truth + 0.5 * rng.standard_normal(truth.shape)
    found = WienerFilter.fit(store, noisy, truth)
    covariance = mixing @ mixing.T
    exact = covariance @ np.linalg.inv(covariance + 0.25 * np.eye(8))
    assert np.abs(found.gain.mean(axis=0) - exact).max() < 0.02
    mine = output_snr(found(noisy, 100.0), truth).mean()
    best = output_snr(np.einsum("ab,nbt->nat", exact, noisy), truth).mean()
    assert best - 0.1 < mine < best + 0.1
    with pytest.raises(ValueError, match="prepare it again"):
        WienerFilter.fit(store, noisy[:0], truth[:0])


def test_deepfade_cleans_lead_by_lead(monkeypatch):
    """The network itself takes seconds a lead; what it is given, and what becomes of it, does not."""
    clean = pytest.importorskip("ecgdatakit.processing.clean")
    asked = []

    def half(lead, method, fs):
        asked.append((lead.shape, method, fs))
        return SimpleNamespace(samples=lead / 2)

    monkeypatch.setattr(clean, "clean_ecg", half)
    y = np.random.default_rng(0).standard_normal((2, 3, 1000))
    np.testing.assert_array_equal(DeepFade()(y, 100.0), y / 2)
    assert asked == [((1000,), "deepfade", 100)] * 6


@pytest.mark.slow
def test_deepfade_takes_noise_from_a_lead():
    pytest.importorskip("ecgdatakit")
    truth = simulate_ecg(1, 500, rhythm="sinus")[:, :1].astype(np.float64)
    noisy = truth + 0.1 * np.random.default_rng(0).standard_normal(truth.shape)
    assert output_snr(DeepFade()(noisy, 500.0), truth)[0] > output_snr(noisy, truth)[0] + 3
