import numpy as np
import pytest

from einthoven.ecg.hum import describe_hum, find_hum, mains_hum
from preprocessing.cohorts.simulator import simulate_ecg

RATE = 500


@pytest.fixture(scope="module")
def ecg():
    return simulate_ecg(1, RATE, duration=10.0, noise=0.02)[0, :2].astype(np.float64)


@pytest.mark.parametrize("hertz", [50, 60])
@pytest.mark.parametrize("amplitude", [0.2, 0.5, 8.0])
@pytest.mark.parametrize("off", [-0.2, 0.0, 0.1])
def test_hum_is_found_with_its_frequency_and_amplitude(ecg, hertz, amplitude, off):
    wave = amplitude * np.sin(2 * np.pi * (hertz + off) * np.arange(ecg.shape[-1]) / RATE + 1)
    found = mains_hum(ecg + [[0], [1]] * wave, RATE)
    np.testing.assert_allclose(found[1], [amplitude * (hertz == 50), amplitude * (hertz == 60)], rtol=0.1)
    assert not found[0].any()


def test_noise_spikes_and_other_frequencies_are_no_hum(ecg):
    time = np.arange(ecg.shape[-1]) / RATE
    spikes = np.where(np.arange(ecg.shape[-1]) % 500 == 0, 5.0, 0.0)
    noise = np.random.default_rng(0).normal(size=ecg.shape)
    for other in (spikes, noise, np.sin(2 * np.pi * 45 * time)):
        assert not mains_hum(ecg + other, RATE).any()


def test_rates_that_do_not_show_it_and_gaps():
    wave = np.sin(2 * np.pi * 50 * np.arange(1000) / 100)[None]
    assert not mains_hum(wave, 100).any()
    gap = np.sin(2 * np.pi * 50 * np.arange(5000) / RATE)[None].copy()
    gap[:, 1000:1010] = np.nan
    assert mains_hum(gap, RATE)[0, 0] == pytest.approx(1.0, rel=0.1)
    assert not mains_hum(np.full((1, 5000), np.nan), RATE).any()


def test_it_is_said_in_words():
    notes = describe_hum(["I", "V2"], np.array([[0.0, 0.0], [0.517, 0.0]]))
    assert notes == ["mains hum of 50 Hz removed: V2 0.52 mV"]


def test_lines_of_a_long_lead_come_with_their_harmonics(ecg):
    lead = np.tile(ecg[1], 3)[: 25 * RATE]
    time = np.arange(len(lead)) / RATE
    hum = 0.2 * np.sin(2 * np.pi * 50.1 * time) + 0.05 * np.sin(2 * np.pi * 100.2 * time)
    (first, amplitude), (second, smaller) = find_hum(lead + hum, RATE, 0.03)
    assert (first, second) == pytest.approx((50.1, 100.2), abs=0.05)
    assert (amplitude, smaller) == pytest.approx((0.2, 0.05), rel=0.1)
    assert len(find_hum(lead + hum, RATE)) == 1
    assert find_hum(lead + 0.2 * np.sin(2 * np.pi * 100 * time), RATE) == []


def test_a_lead_without_hum_has_no_lines(ecg):
    for lead, rate in ((ecg[1], RATE), (np.zeros(5000), RATE), (np.full(5000, np.nan), RATE), (ecg[1, ::5], 100)):
        assert find_hum(lead, rate, 0.03) == []
    assert find_hum(np.sin(2 * np.pi * 50 * np.arange(500) / RATE), RATE) == []
