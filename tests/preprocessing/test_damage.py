import numpy as np
import pytest

from einthoven.ecg.leads import LEADS
from preprocessing.cohorts.simulator import simulate_ecg
from preprocessing.damage import KINDS, damage_ecg, hurt_pieces

RATE = 100.0


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal((2, 4000)).cumsum(axis=-1) for name in ("bw", "em", "ma")}


@pytest.fixture(scope="module")
def damaged(noise):
    ecg = simulate_ecg(1, sampling_rate=RATE, seed=0, rhythm="sinus")[0].astype(np.float64)
    return ecg, [damage_ecg(ecg, RATE, noise, key, seed=3) for key in range(40)]


def test_what_is_not_hurt_stays_as_it_was(damaged):
    ecg, results = damaged
    for result in results:
        np.testing.assert_array_equal(result.signal[~result.hurt], ecg[~result.hurt])
        assert result.hurt.any()
        assert np.isfinite(result.signal).all()


def test_all_kinds_occur_in_one_to_four_leads_or_those_that_follow_from_them(damaged):
    kinds, n_leads = set(), set()
    for result in damaged[1]:
        kinds |= {stretch.kind for stretch in result.stretches}
        n_leads.add(len({stretch.lead for stretch in result.stretches}))
        assert all(stretch.lead in LEADS and stretch.stop > stretch.start for stretch in result.stretches)
    assert kinds == set(KINDS)
    assert min(n_leads) == 1


def test_damage_belongs_to_seed_and_key(damaged, noise):
    ecg, results = damaged
    np.testing.assert_array_equal(damage_ecg(ecg, RATE, noise, 5, seed=3).signal, results[5].signal)
    assert not np.array_equal(damage_ecg(ecg, RATE, noise, 5, seed=4).signal, results[5].signal)


def test_share_of_each_second():
    hurt = np.zeros((1, 250), dtype=bool)
    hurt[0, 150:220] = True
    np.testing.assert_allclose(hurt_pieces(hurt, 100.0), [[0.0, 0.5]])


def test_eight_leads_are_refused(noise):
    with pytest.raises(ValueError, match="twelve leads"):
        damage_ecg(np.zeros((8, 1000)), RATE, noise, 0)
