import numpy as np

from einthoven.ecg.hum import find_hum
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.repairs.hum import LEAST_MV, without_hum

RATE = 500.0


def test_hum_is_taken_out_and_gaps_stay_gaps():
    lead = simulate_ecg(1, sampling_rate=RATE, seed=0, rhythm="sinus")[0].astype(np.float64)[1]
    noisy = lead + 0.2 * np.sin(2 * np.pi * 50.1 * np.arange(len(lead)) / RATE)
    left = without_hum(noisy, RATE, find_hum(noisy, RATE, LEAST_MV)) - lead
    assert left[500:-500].std() < 0.02
    noisy[100:200] = np.nan
    assert np.isnan(without_hum(noisy, RATE, find_hum(noisy, RATE, LEAST_MV))[100:200]).all()


def test_hum_of_a_thirtieth_of_a_millivolt_is_found_and_half_of_it_left():
    lead = simulate_ecg(1, sampling_rate=RATE, seed=0, rhythm="sinus")[0].astype(np.float64)[1]
    for hertz in (49.9, 50.03, 60.07):
        wave = np.sin(2 * np.pi * hertz * np.arange(len(lead)) / RATE)
        ((found, amplitude),) = find_hum(lead + 0.03 * wave, RATE, LEAST_MV)
        assert abs(found - hertz) < 0.05
        assert abs(amplitude - 0.03) < 0.005
        assert not find_hum(lead + 0.015 * wave, RATE, LEAST_MV)
