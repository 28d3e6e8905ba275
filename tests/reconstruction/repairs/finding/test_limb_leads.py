import numpy as np

from einthoven.ecg.leads import LEADS
from reconstruction.repairs.finding.limb_leads import judge_together, spare_at_most_one

HOLDS, BROKEN = np.array([True]), np.array([False])


def odds(**leads):
    return np.array([[float(leads.get(lead, -2.0))] for lead in LEADS])


def test_noise_of_the_left_leg_is_in_all_limb_leads_but_one():
    # aVR was missed: with I it would give II, with its noise, by the law.
    found = judge_together(odds(I=-3, II=3, III=3, aVR=-1, aVL=2, aVF=3), HOLDS, LEADS)
    assert (found[:6, 0] > 0).tolist() == [False, True, True, True, True, True]
    assert (found[6:] == -2).all()


def test_a_false_alarm_in_one_lead_is_outvoted():
    assert (judge_together(odds(aVL=2), HOLDS, LEADS) < 0).all()


def test_leads_are_judged_alone_where_the_law_is_broken_or_there_are_two():
    alone = odds(II=3)
    np.testing.assert_array_equal(judge_together(alone, BROKEN, LEADS), alone)
    np.testing.assert_array_equal(judge_together(alone[:2], HOLDS, LEADS[:2]), alone[:2])


def test_no_two_limb_leads_are_good_where_one_is_bad():
    bad = np.zeros((12, 1), dtype=bool)
    bad[[1, 2]] = True
    probability = np.where(bad, 0.9, 0.1)
    probability[0] = 0.05
    assert spare_at_most_one(bad, probability, HOLDS, LEADS)[:, 0].tolist() == [False] + [True] * 5 + [False] * 6
    np.testing.assert_array_equal(spare_at_most_one(bad, probability, BROKEN, LEADS), bad)
