"""Beats that are moved: to the rhythm told, with their waves, from bar to bar."""

import math

import numpy as np
import pytest

from diffusion_prior.model.covariates import find_beats, measure_rhythm
from diffusion_prior.retiming import retime
from einthoven.ecg.leads import INDEPENDENT_ROWS
from preprocessing.cohorts.simulator import simulate_records


@pytest.fixture(scope="module")
def ecg():
    return simulate_records(1, 100.0, seed=3, rhythm="af")[0][0, INDEPENDENT_ROWS]


@pytest.mark.parametrize(("mean", "sd"), [(0.8, 0.02), (0.6, 0.1), (1.1, 0.0)])
def test_beats_come_as_told(ecg, mean, sd):
    moved = retime(ecg, 100.0, mean, sd)
    assert moved.shape == ecg.shape and moved.dtype == np.float32
    np.testing.assert_allclose(measure_rhythm(moved, 100.0), (mean, sd), atol=0.02)


def test_complexes_keep_their_shape(ecg):
    moved = retime(ecg, 100.0, 0.9, 0.01)
    before, after = (
        [one[:, peak - 5 : peak + 6].ravel() for peak in find_beats(one, 100.0)[1:-1]] for one in (ecg, moved)
    )
    assert min(max(np.corrcoef(shape, one)[0, 1] for one in before) for shape in after) > 0.9


def test_what_is_not_told_stays(ecg):
    mean, sd = measure_rhythm(ecg, 100.0)
    np.testing.assert_array_equal(retime(ecg, 100.0, math.nan, math.nan), ecg)
    faster = measure_rhythm(retime(ecg, 100.0, 0.7 * mean, math.nan), 100.0)
    assert faster[0] == pytest.approx(0.7 * mean, abs=0.06) and faster[1] == pytest.approx(0.7 * sd, rel=0.5)
    silent = np.zeros((8, 1000), dtype=np.float32)
    np.testing.assert_array_equal(retime(silent, 100.0, 0.8, 0.02), silent)


def test_regular_beats_are_the_largest_of_those_that_are_alike():
    ecg = simulate_records(1, 100.0, seed=3)[0][0, INDEPENDENT_ROWS]
    peaks = find_beats(ecg, 100.0)
    third, fourth = peaks[2], peaks[3]
    ecg[:, third - 30 : third + 40] *= 1.6  # drawn better than the others
    ecg[:, fourth - 12 : fourth + 12] = 3.0 * ecg[:, fourth + 12 : fourth - 12 : -1]  # large, and like none
    moved = retime(ecg, 100.0, 0.9, 0.01)
    places = find_beats(moved, 100.0)[1:-1]
    for place in places:
        np.testing.assert_allclose(
            np.ptp(moved[:, place - 5 : place + 6]), np.ptp(ecg[:, third - 5 : third + 6]), rtol=0.05
        )


def test_a_long_pr_interval_stays():
    ecg = simulate_records(1, 100.0, seed=3)[0][0, INDEPENDENT_ROWS]
    for peak in find_beats(ecg, 100.0):
        ecg[:, peak - 28 : peak - 5] = 0.0
        ecg[:, peak - 26 : peak - 18] = 0.15  # a P wave that begins 0.26 s before the peak
    moved = retime(ecg, 100.0, 1.0, 0.01)
    place = find_beats(moved, 100.0)[4]
    assert np.abs(moved[:, place - 26 : place - 18] - 0.15).max() < 0.03
