"""The store: what is written is what is read, and nothing is silently lost."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS
from preprocessing.cohorts.simulator import simulate_records, simulate_store
from preprocessing.store.store import Store, write_store


@pytest.fixture
def store(tmp_path):
    return simulate_store(tmp_path / "store", 20)


def test_signals_come_back_to_half_a_unit(store):
    signals, _ = simulate_records(20)
    x = store.read(np.arange(20))
    assert x.dtype == np.float32
    assert np.abs(x - signals).max() <= 0.5e-3 + 1e-6
    assert store.signals.dtype == np.int16
    assert isinstance(store.signals, np.memmap)


def test_rows_may_come_in_any_order(store):
    np.testing.assert_array_equal(store.read([7, 2, 7]), store.read(np.arange(20))[[7, 2, 7]])


def test_other_processes_get_the_path_and_not_the_signals(store):
    sent = pickle.dumps(store)
    assert len(sent) < 1000
    copy = pickle.loads(sent)
    assert isinstance(copy.signals, np.memmap)
    np.testing.assert_array_equal(copy.read([3]), store.read([3]))


def test_leads_are_selected_or_derived(store, tmp_path):
    chosen = store.read([1, 2], INDEPENDENT_LEADS)
    np.testing.assert_array_equal(chosen, store.read([1, 2])[:, [LEADS.index(lead) for lead in INDEPENDENT_LEADS]])
    eight = write_store(tmp_path / "eight", chosen, store.table.iloc[[1, 2]], 100, INDEPENDENT_LEADS)
    np.testing.assert_allclose(eight.read([0, 1], LEADS), store.read([1, 2]), atol=2e-3)


def test_facts_and_labels(store):
    assert (store.sampling_rate, store.n_samples, store.leads, len(store)) == (100.0, 1000, LEADS, 20)
    labels = store.labels()
    assert labels.shape == (20, 71)
    assert (labels.sum(axis=1) >= 1).all()
    assert store.table["statements"].map(lambda codes: isinstance(codes, list)).all()


def test_rows_by_split_and_by_key(store):
    assert store.rows("test").tolist() == [9, 19]
    assert store.rows_of([5, 1]).tolist() == [4, 0]
    with pytest.raises(ValueError, match="999"):
        store.rows_of([1, 999])
    with pytest.raises(ValueError, match="train, val, test"):
        store.rows("dev")


def test_manifest_hash_follows_the_content(store, tmp_path):
    again = simulate_store(tmp_path / "again", 20)
    other = simulate_store(tmp_path / "other", 20, seed=1)
    assert store.manifest_hash == again.manifest_hash != other.manifest_hash


def test_a_signal_beyond_the_range_is_never_clipped(tmp_path):
    signals, table = simulate_records(2)
    signals[1, 3, 5] = 32.8
    with pytest.raises(ValueError, match=r"32\.8 mV"):
        write_store(tmp_path / "store", signals, table, 100, LEADS)
    with pytest.raises(ValueError, match="no finished store"):
        Store.open(tmp_path / "store")
    signals[1, 3, 5] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        write_store(tmp_path / "store", signals, table, 100, LEADS)


def test_keys_must_be_unique_unless_samples_tell_them_apart(tmp_path):
    signals, table = simulate_records(2)
    table["ecg_id"] = 7
    with pytest.raises(ValueError, match="unique"):
        write_store(tmp_path / "store", signals, table, 100, LEADS)
    store = write_store(tmp_path / "store", signals, table.assign(sample=[0, 1]), 100, LEADS)
    assert store.table["sample"].tolist() == [0, 1]


def test_only_a_store_is_replaced(tmp_path):
    place = tmp_path / "mine"
    place.mkdir()
    (place / "notes.txt").write_text("precious")
    with pytest.raises(ValueError, match="not a store"):
        simulate_store(place, 2)
    assert (place / "notes.txt").read_text() == "precious"
    simulate_store(tmp_path / "store", 3)
    assert len(simulate_store(tmp_path / "store", 2)) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "store"]


def test_unfinished_or_foreign_folders_are_refused(store):
    with pytest.raises(ValueError, match="prepare_ptbxl"):
        Store.open(store.path.parent)
    manifest = store.path / "manifest.json"
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(ValueError, match="99"):
        Store.open(store.path)
    manifest.write_text(json.dumps({**facts, "n_samples": 500}))
    with pytest.raises(ValueError, match="shape"):
        Store.open(store.path)


@pytest.mark.parametrize(
    ("column", "value", "message"), [("split", "dev", "split"), ("statements", [["AFIBB"], []], "AFIB")]
)
def test_table_is_checked(tmp_path, column, value, message):
    signals, table = simulate_records(2)
    with pytest.raises(ValueError, match=message):
        write_store(tmp_path / "store", signals, table.assign(**{column: value}), 100, LEADS)


def test_unknown_columns_are_filled(tmp_path):
    signals, _ = simulate_records(1)
    table = write_store(tmp_path / "store", signals, pd.DataFrame({"ecg_id": [3]}), 100, LEADS).table
    assert table.loc[0, "statements"] == []
    assert np.isnan(table.loc[0, "age"])
    assert table.loc[0, "static_noise"] == ""


def test_some_records_of_a_split_are_always_the_same(tmp_path):
    signals, table = simulate_records(60)
    store = write_store(tmp_path / "store", signals, table.assign(split="test"), 100, LEADS)
    chosen = store.rows("test", 20)
    assert np.array_equal(chosen, store.rows("test", 20)) and (np.diff(chosen) > 0).all()
    assert set(chosen) <= set(store.rows("test")) and not np.array_equal(chosen, np.arange(20))
    with pytest.raises(ValueError, match="cannot choose 61 of the 60"):
        store.rows("test", 61)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"leads": None}, "damaged"),
        ({"leads": ["I"] * 12}, "given twice"),
        ({"units_per_mv": -1}, "units_per_mv is -1"),
        ({"units_per_mv": float("nan")}, "units_per_mv is nan"),
        ({"sampling_rate": 0}, "sampling_rate is 0"),
        ({"sampling_rate": "fast"}, "damaged"),
        ({"n_records": 7}, "shape"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(store, facts, message):
    manifest = store.path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **facts}))
    with pytest.raises(ValueError, match=message):
        Store.open(store.path)


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"format": 1}'])
def test_a_manifest_that_is_none_is_refused(store, text):
    (store.path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match="damaged"):
        Store.open(store.path)


@pytest.mark.parametrize("name", ["signals.npy", "table.parquet"])
def test_a_file_that_is_cut_or_missing_is_refused(store, name):
    file = store.path / name
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged"):
        Store.open(store.path)
    file.unlink()
    with pytest.raises(ValueError, match="damaged"):
        Store.open(store.path)


def test_other_signals_are_found_by_their_hash(store):
    Store.open(store.path).verify()
    signals = np.load(store.path / "signals.npy")
    signals[3, 2, 1] += 1
    np.save(store.path / "signals.npy", signals)
    with pytest.raises(ValueError, match="not what its manifest says"):
        Store.open(store.path).verify()
