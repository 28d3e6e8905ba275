"""Swapped electrodes and wrong labels as linear maps of the eight independent leads.

A recorder sees nine potentials: those of the cables RA, LA and LL and of V1 to V6. Leads are differences of them,

    I = LA - RA, II = LL - RA, Vi = Vi - W, with W = (RA + LA + LL) / 3 (Wilson's terminal),

and the potentials relative to the true W follow from the leads, as those of the three limbs add up to zero:

    RA = -(I + II) / 3, LA = (2 I - II) / 3, LL = (2 II - I) / 3, Vi = Vi.

So a swap of cables, a permutation P of the potentials, is the map A P B of the leads: B gives the potentials, A the
leads of the swapped ones, W and all. The cable RL only drives the body. Where it is swapped with an arm's, the arm's
cable lies on a leg, whose potential is that of LL (the legs differ by little), and nobody measures that arm: P repeats
LL, one limb lead is flat, and the map has no inverse. RL swapped with LL changes nothing that can be seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import INDEPENDENT_LEADS

AS_RECORDED = "as recorded"
CHEST = INDEPENDENT_LEADS[2:]
LIMBS = ("RA", "LA", "LL")
CABLES = (*LIMBS, *CHEST)
"""What a recorder measures potentials with; RL is no such cable."""
Matrix = NDArray[np.float64]

LIMB, NEIGHBOURS, PAIR, REVERSED, LIMB_CHEST, INVERTED, NAMES, LEG = (
    "limb electrodes", "neighbouring chest electrodes", "other chest electrodes", "chest electrodes reversed",
    "a limb with a chest electrode", "lead inverted", "lead names exchanged", "right leg",
)  # fmt: skip
"""Kinds of hypotheses."""


@dataclass(frozen=True)
class Hypothesis:
    """What may have happened to a recording.

    Attributes:
        name: What people read, such as "RA/LA".
        kind: Which kind it is.
        swap: What it makes of a right ECG: maps the eight leads as they should be to those recorded, (8, 8).
        undo: What brings the recorded leads back, (8, 8); None where something is lost.
    """

    name: str
    kind: str
    swap: Matrix
    undo: Matrix | None


def leads_of_potentials() -> Matrix:
    """Returns A, (8, 9): the eight leads of the potentials of `CABLES`, whatever they are relative to."""
    matrix = np.zeros((len(INDEPENDENT_LEADS), len(CABLES)))
    matrix[0, [1, 0]] = matrix[1, [2, 0]] = 1.0, -1.0
    matrix[2:, 3:] = np.eye(len(CHEST))
    matrix[2:, :3] = -1.0 / 3.0
    return matrix


def potentials_of_leads() -> Matrix:
    """Returns B, (9, 8): the potentials of `CABLES`, relative to Wilson's terminal, of the eight leads."""
    matrix = np.zeros((len(CABLES), len(INDEPENDENT_LEADS)))
    matrix[:3, :2] = np.array([[-1.0, -1.0], [2.0, -1.0], [-1.0, 2.0]]) / 3.0
    matrix[3:, 2:] = np.eye(len(CHEST))
    return matrix


def cable_map(places: Mapping[str, str]) -> Matrix:
    """Returns what the leads become, (8, 8), where cables lie at the places of others; the rest are at their own.

    Args:
        places: The place at which a cable lies, by cable; more than one may see the same potential.
    """
    seen = np.zeros((len(CABLES), len(CABLES)))
    for row, cable in enumerate(CABLES):
        seen[row, CABLES.index(places.get(cable, cable))] = 1.0
    return leads_of_potentials() @ seen @ potentials_of_leads()


def _lead_map(rows: Mapping[str, tuple[str, float]]) -> Matrix:
    """Returns the map that puts a lead, times a factor, in the place of another: `rows[place] = lead, factor`."""
    matrix = np.eye(len(INDEPENDENT_LEADS))
    for place, (lead, factor) in rows.items():
        row = INDEPENDENT_LEADS.index(place)
        matrix[row] = 0.0
        matrix[row, INDEPENDENT_LEADS.index(lead)] = factor
    return matrix


def _cables(name: str, kind: str, places: Mapping[str, str]) -> Hypothesis:
    swap = cable_map(places)
    back = {place: cable for cable, place in places.items()}
    return Hypothesis(name, kind, swap, cable_map(back) if len(back) == len(places) and kind != LEG else None)


def _exchange(first: str, second: str, kind: str) -> Hypothesis:
    return _cables(f"{first}/{second}", kind, {first: second, second: first})


@cache
def hypotheses() -> dict[str, Hypothesis]:
    """Returns all hypotheses by name, "as recorded" first."""
    same = np.eye(len(INDEPENDENT_LEADS))
    found = [Hypothesis(AS_RECORDED, AS_RECORDED, same, same)]
    found += [_exchange(first, second, LIMB) for first, second in combinations(LIMBS, 2)]
    found += [
        _cables("RA>LA>LL rotated", LIMB, {"RA": "LA", "LA": "LL", "LL": "RA"}),
        _cables("RA>LL>LA rotated", LIMB, {"RA": "LL", "LL": "LA", "LA": "RA"}),
    ]
    for first, second in combinations(CHEST, 2):
        near = CHEST.index(second) == CHEST.index(first) + 1
        found.append(_exchange(first, second, NEIGHBOURS if near else PAIR))
    found.append(_cables("V1-V6 reversed", REVERSED, dict(zip(CHEST, reversed(CHEST), strict=True))))
    found += [_exchange(limb, chest, LIMB_CHEST) for limb in LIMBS for chest in CHEST]
    for lead in INDEPENDENT_LEADS:
        turned = _lead_map({lead: (lead, -1.0)})
        found.append(Hypothesis(f"{lead} inverted", INVERTED, turned, turned))
    one, two = INDEPENDENT_LEADS[:2]
    for first, second in product((one, two), CHEST):  # I and II exchanged is LA/LL
        swap = _lead_map({first: (second, 1.0), second: (first, 1.0)})
        found.append(Hypothesis(f"leads {first} and {second} exchanged", NAMES, swap, swap))
    found += [
        _cables("RA/RL", LEG, {"RA": "LL"}),
        _cables("LA/RL", LEG, {"LA": "LL"}),
        _cables("RA/RL and LA/LL", LEG, {"RA": "LL", "LA": "LL", "LL": "LA"}),
    ]
    return {one.name: one for one in found}


def flat_lead(hypothesis: Hypothesis) -> str:
    """Returns which of the leads I, II and III a swap with the right leg makes flat."""
    rows = {"I": hypothesis.swap[0], "II": hypothesis.swap[1], "III": hypothesis.swap[1] - hypothesis.swap[0]}
    return next(lead for lead, row in rows.items() if np.allclose(row, 0.0))
