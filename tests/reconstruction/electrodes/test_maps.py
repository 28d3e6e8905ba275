"""Each hypothesis, against the potentials of electrodes that lie where they should not."""

import numpy as np
import pytest

from einthoven.ecg.leads import INDEPENDENT_LEADS
from reconstruction.electrodes.maps import CABLES, LEG, flat_lead, hypotheses

SIGHTS = ("RA", "LA", "LL", "RL", "V1", "V2", "V3", "V4", "V5", "V6")


def recorded(potentials, cables):
    """The eight leads as a recorder forms them, of the potential that each cable sees."""
    seen = {cable: potentials[place] for cable, place in cables.items()}
    wilson = (seen["RA"] + seen["LA"] + seen["LL"]) / 3
    limbs = [seen["LA"] - seen["RA"], seen["LL"] - seen["RA"]]
    return np.stack([*limbs, *(seen[cable] - wilson for cable in CABLES[3:])])


@pytest.fixture(scope="module")
def potentials():
    """Potentials of ten places against some far point; both legs have the same."""
    rng = np.random.default_rng(0)
    values = {place: rng.standard_normal(50) for place in SIGHTS}
    values["RL"] = values["LL"]
    return values


SWAPS = {
    "RA/LA": {"RA": "LA", "LA": "RA"},
    "RA/LL": {"RA": "LL", "LL": "RA"},
    "LA/LL": {"LA": "LL", "LL": "LA"},
    "RA>LA>LL rotated": {"RA": "LA", "LA": "LL", "LL": "RA"},
    "RA>LL>LA rotated": {"RA": "LL", "LL": "LA", "LA": "RA"},
    "V1/V2": {"V1": "V2", "V2": "V1"},
    "V4/V6": {"V4": "V6", "V6": "V4"},
    "V1-V6 reversed": {f"V{n}": f"V{7 - n}" for n in range(1, 7)},
    "RA/V1": {"RA": "V1", "V1": "RA"},
    "LL/V6": {"LL": "V6", "V6": "LL"},
    "RA/RL": {"RA": "RL", "RL": "RA"},
    "LA/RL": {"LA": "RL", "RL": "LA"},
    "RA/RL and LA/LL": {"RA": "RL", "RL": "RA", "LA": "LL", "LL": "LA"},
}


@pytest.mark.parametrize("name", SWAPS)
def test_swapped_electrodes_are_their_map(potentials, name):
    right = {place: place for place in SIGHTS}
    found = recorded(potentials, right | SWAPS[name])
    np.testing.assert_allclose(hypotheses()[name].swap @ recorded(potentials, right), found, atol=1e-12)


def test_what_is_known_of_the_leads():
    swaps = {name: one.swap for name, one in hypotheses().items()}
    assert np.allclose(swaps["RA/LA"][:2], [[-1, 0, *[0] * 6], [-1, 1, *[0] * 6]])  # I turned, II and III exchanged
    assert np.allclose(swaps["LA/LL"][:2, :2], [[0, 1], [1, 0]])  # I and II exchanged
    assert np.allclose(swaps["RA/LA"][2:], np.eye(8)[2:])  # Wilson's terminal does not mind


def test_every_map_but_the_right_legs_is_undone():
    for one in hypotheses().values():
        if one.kind == LEG:
            assert one.undo is None
            assert np.linalg.matrix_rank(one.swap) == 7
        else:
            np.testing.assert_allclose(one.undo @ one.swap, np.eye(8), atol=1e-12)
    flat = {one.name: flat_lead(one) for one in hypotheses().values() if one.kind == LEG}
    assert flat == {"RA/RL": "II", "LA/RL": "III", "RA/RL and LA/LL": "I"}


def test_no_map_is_there_twice():
    maps = np.stack([one.swap for one in hypotheses().values()])
    assert len(np.unique(maps.reshape(len(maps), -1).round(9), axis=0)) == len(maps)
    assert maps.shape[1:] == (len(INDEPENDENT_LEADS),) * 2
