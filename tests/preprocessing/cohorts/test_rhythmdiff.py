"""The published preprocessed folders, read by key and without unpickling."""

import shutil

import numpy as np
import pandas as pd
import pytest

from preprocessing.cohorts import cohort
from preprocessing.cohorts.rhythmdiff import LABEL_ORDER, RhythmDiff
from preprocessing.cohorts.simulator import simulate_ecg
from preprocessing.store.store import Store

CODES = {1: ["NORM", "SR"], 2: ["AFIB"], 3: ["SR"], 9: ["IMI", "SR"], 10: ["SBRAD"]}
FOLDS = {1: 1, 2: 5, 3: 8, 9: 9, 10: 10}
SPLITS = {"train": [1, 2, 3], "val": [9], "test": [10]}


def signal_of(key):
    return simulate_ecg(1, seed=key)[0].astype(np.float64)


def labels_of(keys):
    return np.array([[code in CODES[key] for code in LABEL_ORDER] for key in keys], dtype=np.int64)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "published" / "processed_100Hz"
    for split, keys in SPLITS.items():
        (root / split).mkdir(parents=True)
        headers = pd.DataFrame({"ecg_id": keys, "patient_id": keys, "age": 60.0, "sex": 0})
        headers["strat_fold"] = [FOLDS[key] for key in keys]
        headers["filename_hr"] = [f"records500/00000/{key:05d}_hr" for key in keys]
        headers.to_csv(root / split / "headers.csv", index=False)
        np.save(root / split / "labels.npy", labels_of(keys))
        for key in keys:
            np.savez(root / split / f"{key:05d}_hr.npz", ecg=signal_of(key), all_labels=CODES[key])
    return root


def prepare(folder, tmp_path, max_skipped=0.01, **settings):
    place = tmp_path / "store"
    return cohort.prepare(RhythmDiff(**settings), folder.parent, place, n_workers=1, max_skipped=max_skipped)


def test_records_and_labels_are_joined_by_key(folder, tmp_path):
    summary = prepare(folder, tmp_path)
    store = Store.open(summary.store)
    assert summary.splits == {"train": 3, "val": 1, "test": 1}
    for row, key in enumerate(store.table["ecg_id"]):
        np.testing.assert_allclose(store.read([row])[0], signal_of(key), atol=5.1e-4)
        assert sorted(store.table["statements"][row]) == sorted(CODES[key])
        assert store.table["strat_fold"][row] == FOLDS[key]
    assert prepare(folder, tmp_path).up_to_date


def test_the_order_of_rows_does_not_matter(folder, tmp_path):
    keys = [3, 1, 2]
    headers = pd.read_csv(folder / "train/headers.csv").set_index("ecg_id").loc[keys].reset_index()
    headers.to_csv(folder / "train/headers.csv", index=False)
    np.save(folder / "train/labels.npy", labels_of(keys))
    store = Store.open(prepare(folder, tmp_path).store)
    row = store.rows_of([2])
    assert store.table["statements"][int(row[0])] == ["AFIB"]
    np.testing.assert_allclose(store.read(row)[0], signal_of(2), atol=5.1e-4)


def test_contradicting_labels_and_damaged_files_are_broken_records(folder, tmp_path):
    np.save(folder / "train/labels.npy", labels_of([2, 1, 3]))
    (folder / "val/00009_hr.npz").write_bytes(b"PK not a zip")
    with pytest.raises(ValueError, match="3 of 5"):
        prepare(folder, tmp_path)
    summary = prepare(folder, tmp_path, max_skipped=0.9)
    reasons = summary.skipped["reason"].tolist()
    assert "disagree" in reasons[0]
    assert "disagree" in reasons[1]
    assert "is damaged" in reasons[2]


def test_a_part_of_the_files_is_enough_and_names_may_be_plain(folder, tmp_path):
    (folder / "train/00001_hr.npz").rename(folder / "train/1.npz")
    (folder / "train/00002_hr.npz").unlink()
    shutil.rmtree(folder / "val")
    summary = prepare(folder, tmp_path)
    assert summary.notes["records absent from this copy"] == 1
    assert Store.open(summary.store).table["ecg_id"].tolist() == [1, 3, 10]


def test_nothing_is_unpickled(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    np.save(folder / "train/labels.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="unpickled"):
        prepare(folder, tmp_path)


def test_pickled_labels_of_a_record_are_refused(folder, tmp_path):
    np.savez(folder / "test/00010_hr.npz", ecg=signal_of(10), all_labels=np.array([["SR"], 1], dtype=object))
    summary = prepare(folder, tmp_path, max_skipped=0.5)
    assert summary.skipped["ecg_id"].tolist() == [10]


@pytest.mark.parametrize("name", ["headers.csv", "labels.npy"])
def test_a_missing_table_stops_at_once(folder, tmp_path, name):
    (folder / "train" / name).unlink()
    with pytest.raises(ValueError, match=name):
        prepare(folder, tmp_path)


def test_a_wrong_folder_or_rate_stops_at_once(folder, tmp_path):
    with pytest.raises(ValueError, match="processed_100Hz"):
        prepare(tmp_path, tmp_path)
    with pytest.raises(ValueError, match=r"dataset\.filtered"):
        prepare(folder, tmp_path, filtered=False)
