"""The covariance, the losses and the odds, on a prior whose losses are known."""

import numpy as np
import pytest
import torch

from diffusion_prior.model.denoiser import NOTHING
from diffusion_prior.model.schedule import EDMSchedule
from einthoven.ecg.leads import INDEPENDENT_LEADS
from reconstruction.electrodes.calibration import Calibration, leg_log_odds, log_ratios, probabilities, term_of
from reconstruction.electrodes.covariance import mean_covariance, misfits
from reconstruction.electrodes.evidence import COMMON, N_RARE, Evidence, Judge
from reconstruction.electrodes.maps import AS_RECORDED, LEG, hypotheses

KNOWN = [one for one in hypotheses().values() if one.undo is not None]
LEGS = [one for one in hypotheses().values() if one.kind == LEG]


class Scaling:
    """A denoiser that returns a share of each lead: its loss without noise is known."""

    schedule, sampling_rate, leads = EDMSchedule(), 100.0, INDEPENDENT_LEADS

    def __init__(self, shares):
        self.shares = torch.tensor(shares)[:, None]

    def __call__(self, x_t, t, conditions=NOTHING):
        return self.shares * x_t


@pytest.fixture(scope="module")
def ecgs():
    """ECGs of leads that go together as eight known mixtures of three waves do."""
    rng = np.random.default_rng(0)
    mixture = rng.standard_normal((8, 3))
    return [mixture @ rng.standard_normal((3, 300)) + 0.05 * rng.standard_normal((8, 300)) for _ in range(20)]


def test_leads_that_go_together_have_the_smallest_misfit(ecgs):
    law = mean_covariance(ecgs[1:])
    assert np.trace(law) == pytest.approx(8.0)
    undo = np.stack([one.undo for one in KNOWN])
    found = misfits(ecgs[0], np.ones(8, dtype=bool), undo, law)
    assert found.argmin() == 0
    place = [one.name for one in KNOWN].index("V2/V5")
    swapped = misfits(KNOWN[place].swap @ ecgs[0], np.ones(8, dtype=bool), undo, law)
    assert swapped.argmin() == place
    assert swapped[place] == pytest.approx(found[0])
    few = np.isin(INDEPENDENT_LEADS, ("I", "II", "V2"))
    left = misfits(ecgs[0], few, undo[:1], law)
    assert left == pytest.approx(misfits(np.where(few[:, None], ecgs[0], 9.0), few, undo[:1], law))


def test_the_common_swaps_are_asked_about_and_a_few_others(ecgs):
    judge = Judge(Scaling(np.full(8, 0.5, dtype=np.float32)), mean_covariance(ecgs))
    ecg = torch.from_numpy(ecgs[0]).float()
    found = judge(ecg, torch.ones(8, dtype=torch.bool), KNOWN, "a record")
    asked = np.isfinite(found.loss).all(axis=1)
    assert all(asked[place] for place, one in enumerate(KNOWN) if one.kind in COMMON)
    assert asked.sum() == sum(one.kind in COMMON for one in KNOWN) + N_RARE
    again = judge(ecg, torch.ones(8, dtype=torch.bool), KNOWN, "a record")
    assert np.array_equal(found.loss, again.loss, equal_nan=True)
    few = judge(ecg, torch.arange(8) < 4, KNOWN, "a record")
    assert (few.loss[0, 4:] == 0).all()


def test_odds_follow_from_losses():
    loss = np.full((len(KNOWN), 8), np.nan)
    loss[0], loss[1] = 100.0, 50.0
    evidence = Evidence(np.ones(len(KNOWN)), loss)
    ratios = log_ratios(evidence)
    assert ratios[0] == 0
    assert ratios[1] == pytest.approx(np.log(110 / 60))  # a tenth of the mean is added
    few = np.where(np.arange(8) < 2, loss, 0.0)
    assert log_ratios(Evidence(evidence.misfit, few))[1] == pytest.approx(np.log(110 / 60) / 4)
    calibration = Calibration.load()
    odds = calibration.log_odds(evidence, KNOWN)
    weight, offset = calibration.terms[term_of(KNOWN[1], calibration.terms)]
    assert odds[1] == pytest.approx(weight * ratios[1] + offset)
    assert odds[0] == 0
    assert np.isneginf(odds[2:]).all()


def test_a_flat_lead_speaks_for_the_right_leg():
    rng = np.random.default_rng(0)
    ecg = rng.standard_normal((8, 500))
    assert (leg_log_odds(ecg, LEGS) < 0).all()
    ecg[1] *= 0.01  # lead II
    odds = dict(zip([one.name for one in LEGS], leg_log_odds(ecg, LEGS), strict=True))
    assert odds["RA/RL"] > 50
    assert max(odds["LA/RL"], odds["RA/RL and LA/LL"]) < 0


def test_probabilities_are_sorted_and_add_up():
    found = probabilities({AS_RECORDED: 0.0, "RA/LA": 2.0, "LA/LL": -1.0})
    assert list(found) == ["RA/LA", AS_RECORDED, "LA/LL"]
    assert sum(found.values()) == pytest.approx(1.0)
    assert found["RA/LA"] / found[AS_RECORDED] == pytest.approx(np.exp(2.0))


def test_the_packaged_calibration_knows_every_kind():
    calibration = Calibration.load()
    assert np.shape(calibration.law) == (8, 8)
    assert all(term_of(one, calibration.terms) in calibration.terms for one in KNOWN)
    assert 0 < calibration.limit < 1
    assert calibration.facts["fold"] == 9
