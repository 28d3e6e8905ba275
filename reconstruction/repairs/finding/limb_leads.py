"""What limb leads that obey Einthoven's law together say of each other: noise of an electrode is in all leads but one.

Where the law holds and something is bad, it came from the electrodes, and all limb leads have it but the one that is
measured between the other two: I without the left leg, II without the left arm, III without the right arm. So the six
are judged together.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import LIMB_COEFFICIENTS

LAW_MV = 0.01
"""Root mean square difference from the law up to which it holds."""
WEIGHT = 0.2
"""What the evidence of one lead counts for where six are judged together: they are not independent."""
LARGEST = 6.0
_SPARED = ("I", "II", "III")


def judge_together(
    log_odds: NDArray[np.float64], holds: NDArray[np.bool_], leads: Sequence[str]
) -> NDArray[np.float64]:
    """Weighs what may be: none is bad, all are, or all but I, II or III; returns the log odds of each lead.

    Args:
        log_odds: Those of each lead by itself, shape (n_leads, pieces).
        holds: Where the law holds between the limb leads, shape (pieces,).
        leads: Names of the leads.
    """
    rows = [row for row, lead in enumerate(leads) if lead in LIMB_COEFFICIENTS]
    if len(rows) < 3:
        return log_odds
    names = [leads[row] for row in rows]
    cases = [np.zeros(len(rows), dtype=bool), np.ones(len(rows), dtype=bool)]
    cases += [np.array([name != spared for name in names]) for spared in _SPARED if spared in names]
    is_bad = np.stack(cases)
    evidence = WEIGHT * (2.0 * is_bad - 1) @ log_odds[rows].clip(-LARGEST, LARGEST)
    joint = log_odds.copy()
    for place, row in enumerate(rows):
        bad = is_bad[:, place]
        odds = (evidence[bad].max(axis=0) - evidence[~bad].max(axis=0)) / 2 if (~bad).any() else log_odds[row]
        joint[row] = np.where(holds, odds, log_odds[row])
    return joint


def spare_at_most_one(
    bad: NDArray[np.bool_], probability: NDArray[np.float64], holds: NDArray[np.bool_], leads: Sequence[str]
) -> NDArray[np.bool_]:
    """Calls all limb leads bad where one is and the law holds, but for the best one if it is I, II or III and good.

    Otherwise two that were missed would give the others, with their noise, by the law.
    """
    rows = [row for row, lead in enumerate(leads) if lead in LIMB_COEFFICIENTS]
    if len(rows) < 3:
        return bad
    joint = bad.copy()
    spread = bad[rows].any(axis=0) & holds
    best = np.array(rows)[probability[rows].argmin(axis=0)]
    for row in rows:
        spared = (best == row) & ~bad[row] & (leads[row] in _SPARED)
        joint[row] = np.where(spread, ~spared, bad[row])
    return joint
