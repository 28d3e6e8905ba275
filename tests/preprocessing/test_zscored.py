"""Z-scored records become a store with imputed amplitudes."""

import numpy as np
import pytest

from einthoven.ecg.leads import LEADS
from preprocessing.cohorts.simulator import simulate_ecg, simulate_store
from preprocessing.store.store import Store
from preprocessing.zscored import KEY_STEP, UNITS_PER_DEVIATION, prepare_zscored

KEYS = np.arange(20_001, 20_013)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return simulate_store(tmp_path_factory.mktemp("stores") / "reference", 80, noise=0.01).path


def write(path, folds=3, codes="{'NORM': 100.0, 'SR': 0.0}", ecg=None):
    ecg = simulate_ecg(len(KEYS), seed=5, noise=0.01) if ecg is None else ecg
    z = (ecg - ecg.mean(axis=-1, keepdims=True)) / ecg.std(axis=-1, keepdims=True)
    units = np.rint(np.clip(z, -16, 16) * UNITS_PER_DEVIATION).astype(np.int16)
    np.savez(path, ecg=units, ecg_id=KEYS, strat_fold=np.full(len(KEYS), folds), scp_codes=np.full(len(KEYS), codes))
    return path


def test_each_record_comes_in_several_amplitudes(tmp_path, reference):
    summary = prepare_zscored(write(tmp_path / "train.npz"), tmp_path / "store", reference, n_draws=4)
    store = Store.open(summary.store)
    assert len(store) == 4 * summary.n_records
    assert summary.n_records + summary.n_skipped == len(KEYS)
    assert set(store.table["split"]) == {"train"}
    assert store.table["statements"][0] == ["NORM", "SR"]
    np.testing.assert_array_equal(store.table["ecg_id"], store.table["original_id"] + KEY_STEP * store.table["draw"])
    x = store.read(np.arange(len(store)))
    np.testing.assert_allclose(x[:, LEADS.index("III")], x[:, 1] - x[:, 0], atol=2e-3)
    spans = np.ptp(x[store.table["original_id"] == KEYS[0], 8], axis=-1)
    assert spans.std() > 0.01 * spans.mean()


def test_morphology_is_kept(tmp_path, reference):
    prepare_zscored(write(tmp_path / "train.npz"), tmp_path / "store", reference)
    store = Store.open(tmp_path / "store")
    key = int(store.table["original_id"][0])
    original = simulate_ecg(len(KEYS), seed=5, noise=0.01)[key - KEYS[0]]
    for lead in (0, 1, 7, 11):
        assert np.corrcoef(store.read([0])[0, lead], original[lead])[0, 1] > 0.97


def test_a_second_run_does_nothing_and_other_settings_go_elsewhere(tmp_path, reference):
    source = write(tmp_path / "train.npz")
    first = prepare_zscored(source, tmp_path / "store", reference)
    second = prepare_zscored(source, tmp_path / "store", reference)
    other = prepare_zscored(source, tmp_path / "store", reference, n_draws=2)
    assert not first.up_to_date
    assert second.up_to_date
    assert "nothing to do" in second.describe()
    assert other.store != first.store


def test_only_training_folds_may_be_imputed(tmp_path, reference):
    with pytest.raises(ValueError, match="folds 1 to 8"):
        prepare_zscored(write(tmp_path / "train.npz", folds=9), tmp_path / "store", reference)


def test_set_up_is_checked(tmp_path, reference):
    with pytest.raises(ValueError, match=r"dataset\.raw_path"):
        prepare_zscored(tmp_path / "train.npz", tmp_path / "store", reference)
    with pytest.raises(ValueError, match="AFIB"):
        prepare_zscored(write(tmp_path / "train.npz", codes="{'AFIBB': 1}"), tmp_path / "store", reference)
    np.savez(tmp_path / "train.npz", ecg=np.zeros((1, 12, 10), np.int16))
    with pytest.raises(ValueError, match="lacks an array"):
        prepare_zscored(tmp_path / "train.npz", tmp_path / "store", reference)
    with pytest.raises(ValueError, match="no finished store"):
        prepare_zscored(write(tmp_path / "train.npz"), tmp_path / "store", tmp_path)
