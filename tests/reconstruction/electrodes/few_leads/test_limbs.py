"""Limb electrodes, judged by I and II alone."""

from dataclasses import replace

import numpy as np
import pytest

import einthoven
from reconstruction.electrodes.few_leads.beats import N_SAMPLES
from reconstruction.electrodes.few_leads.limbs import limb_hypotheses, pair_features, undone, usual_log_odds
from reconstruction.electrodes.few_leads.networks import softmax
from reconstruction.electrodes.maps import AS_RECORDED, LIMB, hypotheses


@pytest.fixture(scope="module")
def demo():
    return einthoven.read(einthoven.DEMO_ECG, leads=["I", "II"])


def swapped(recording, name):
    return replace(recording, signal=hypotheses()[name].swap[:2, :2] @ recording.signal)


@pytest.mark.parametrize("name", [one.name for one in limb_hypotheses() if one.kind == LIMB])
def test_a_swap_undone_is_the_right_beat(demo, name):
    right = pair_features(demo.signal, demo.sampling_rate)
    found = undone(pair_features(swapped(demo, name).signal, demo.sampling_rate))
    place = [one.name for one in limb_hypotheses()].index(name)
    np.testing.assert_allclose(found[0, place, : 2 * N_SAMPLES], right[0, :-2], atol=2e-3)
    assert found.shape == (1, len(limb_hypotheses()), 4 * N_SAMPLES + 1)


def test_before_the_ecg_is_looked_at_it_is_probably_right():
    assert softmax(usual_log_odds())[0] > 0.98


def test_the_check_tells_a_swap_from_two_leads(demo):
    right = einthoven.check_electrodes(demo)
    assert (right.best, right.note) == (AS_RECORDED, "")
    assert right.noted is demo
    assert right.remark in right.notes and "I and II alone" in right.remark
    found = einthoven.check_electrodes(swapped(demo, "RA/LA"))
    assert found.best == "RA/LA"
    assert found.noted.notes[-1] == found.note
    np.testing.assert_allclose(found.corrected.signal, demo.signal, atol=1e-9)


def test_without_beats_only_a_flat_lead_is_told():
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 5000))
    found = einthoven.check_electrodes(noise, 500.0, ["I", "II"])
    assert found.best == AS_RECORDED
    assert "no more than a flat lead" in found.remark
