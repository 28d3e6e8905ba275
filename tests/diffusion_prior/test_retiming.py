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
