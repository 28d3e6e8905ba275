import numpy as np
import pytest

from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.repairs.hum import find_hum, without_hum

RATE = 500.0


@pytest.fixture(scope="module")
def lead():
    return simulate_ecg(1, sampling_rate=RATE, seed=0, rhythm="sinus")[0].astype(np.float64)[1]


def test_hum_is_found_and_taken_out(lead):
    time = np.arange(len(lead)) / RATE
    noisy = lead + 0.2 * np.sin(2 * np.pi * 50.1 * time)
    lines = find_hum(noisy, RATE)
    assert len(lines) == 1
    assert lines[0][0] == pytest.approx(50.0, abs=0.3)
    assert lines[0][1] == pytest.approx(0.2, rel=0.2)
    left = without_hum(noisy, RATE, lines) - lead
    assert left[500:-500].std() < 0.02


def test_none_is_found_where_there_is_none(lead):
    assert find_hum(lead, RATE) == []
    assert find_hum(np.zeros(5000), RATE) == []
    assert find_hum(lead[::5], 100.0) == []


def test_gaps_stay_gaps(lead):
    gappy = lead + 0.2 * np.sin(2 * np.pi * 60 * np.arange(len(lead)) / RATE)
    gappy[100:200] = np.nan
    assert np.isnan(without_hum(gappy, RATE, find_hum(gappy, RATE))[100:200]).all()
