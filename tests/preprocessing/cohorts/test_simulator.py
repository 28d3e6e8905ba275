"""The simulator obeys the laws of the leads and its seed."""

import numpy as np
import pytest
from scipy.signal import find_peaks

from einthoven.ecg.leads import LEADS
from preprocessing.cohorts.simulator import simulate_ecg, simulate_records, simulate_store


def test_einthoven_and_goldberger_hold():
    x = simulate_ecg(4, premature=True)
    one, two = x[:, 0], x[:, 1]
    assert x.shape == (4, 12, 1000)
    assert x.dtype == np.float32
    for lead, derived in {
        "III": two - one,
        "aVR": -(one + two) / 2,
        "aVL": one - two / 2,
        "aVF": two - one / 2,
    }.items():
        np.testing.assert_allclose(x[:, LEADS.index(lead)], derived, atol=1e-6)


def test_a_record_depends_on_seed_and_number_only():
    np.testing.assert_array_equal(simulate_ecg(5, seed=3)[:2], simulate_ecg(2, seed=3))
    assert np.abs(simulate_ecg(1, seed=3) - simulate_ecg(1, seed=4)).max() > 0.1


def test_records_differ_and_amplitudes_are_those_of_hearts():
    x = simulate_ecg(30)
    spans = np.ptp(x[:, LEADS.index("V5")], axis=-1)
    assert spans.std() > 0.2
    assert 0.3 < np.median(np.ptp(x, axis=-1)) < 3.0


def intervals(record):
    peaks, _ = find_peaks(np.linalg.norm(record, axis=0), height=1.2, distance=30)
    return np.diff(peaks) / 100


def test_fibrillation_is_less_regular_than_sinus_rhythm():
    def irregularity(rhythm):
        return np.median([np.std(gaps) / np.mean(gaps) for gaps in map(intervals, simulate_ecg(12, rhythm=rhythm))])

    assert irregularity("sinus") < 0.08
    assert irregularity("af") > 0.12


def test_rate_and_length_are_those_asked_for():
    slow, fast = simulate_ecg(2, 100, 4.0, noise=0.0), simulate_ecg(2, 500, 4.0, noise=0.0)
    assert fast.shape == (2, 12, 2000)
    np.testing.assert_allclose(fast[..., ::5], slow, atol=1e-5)


def test_statements_tell_the_rhythm():
    _, table = simulate_records(40, premature=True)
    assert {code for codes in table["statements"] for code in codes} == {"SR", "AFIB", "PVC"}


def test_store_has_all_splits(tmp_path):
    store = simulate_store(tmp_path / "store", 20)
    assert [len(store.rows(split)) for split in ("train", "val", "test")] == [16, 2, 2]
    np.testing.assert_allclose(store.read([3])[0], simulate_ecg(20)[3], atol=5.01e-4)


@pytest.mark.parametrize(
    "arguments", [{"n_records": 0}, {"n_records": 1, "rhythm": "vf"}, {"n_records": 1, "noise": -1.0}]
)
def test_impossible_wishes_are_errors(arguments):
    with pytest.raises(ValueError):
        simulate_ecg(**arguments)
