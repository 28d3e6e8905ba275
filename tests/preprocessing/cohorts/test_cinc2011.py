"""The records of the CinC Challenge 2011: its lists, the halves, and the store of the acceptable ones."""

import numpy as np
import pytest

from preprocessing.cohorts import cohort
from preprocessing.cohorts.cinc2011 import Cinc2011, cinc2011_half, read_labels
from preprocessing.cohorts.simulator import simulate_ecg
from preprocessing.store.store import Store


def prepare(root, place, n_workers=1, **settings):
    return cohort.prepare(Cinc2011(**settings), root, place, n_workers=n_workers, max_skipped=1.0)


@pytest.fixture
def folder(tmp_path, write_record):
    root = tmp_path / "cinc2011"
    ecgs = simulate_ecg(5, 500).astype(np.float64)
    ecgs[1, 6] = 0.3
    ecgs[2, 8, 1000:1100] = 5.0
    ecgs[3, 10] += np.where(np.arange(5000) % 700 < 20, 25.0, 0.0) * np.sin(np.arange(5000))
    for index, ecg in enumerate(ecgs):
        write_record(root / "set-a", str(1000 + index), ecg, 500)
    (root / "RECORDS-acceptable").write_text("1003\n1000\n1001\n1002\n1004\n1999\n")
    return root


def test_flat_saturated_and_implausible_records_are_left_out(folder, tmp_path):
    summary = prepare(folder, tmp_path / "store", n_workers=1)
    store = Store.open(summary.store)
    assert store.table["ecg_id"].tolist() == [1000, 1004]
    assert set(store.table["split"]) == {"train"}
    assert store.labels().sum() == 0
    reasons = dict(zip(summary.skipped["ecg_id"], summary.skipped["reason"], strict=True))
    assert reasons == {
        1001: "flat lead V1",
        1002: "saturated lead V3",
        1003: "implausible amplitude in lead V5",
    }
    assert summary.notes["records absent from this copy"] == 1
    assert prepare(folder, tmp_path / "store", n_workers=1).up_to_date


def test_an_unfiltered_store_keeps_large_amplitudes_and_lies_beside_the_filtered_one(folder, tmp_path):
    filtered = prepare(folder, tmp_path / "store", n_workers=1).store
    unfiltered = prepare(folder, tmp_path / "store", filtered=False, n_workers=1).store
    assert unfiltered != filtered and Store.open(filtered).manifest["inputs"]["settings"].get("filtered") is None
    store = Store.open(unfiltered)
    assert store.manifest["inputs"]["settings"]["filtered"] is False
    assert store.table["ecg_id"].tolist() == [1000, 1003, 1004]
    assert np.ptp(store.read([1])[0, 10]) > 15


def test_set_up_is_checked(folder, tmp_path):
    with pytest.raises(ValueError, match=r"dataset\.raw_path"):
        prepare(tmp_path, tmp_path / "store")
    (folder / "RECORDS-acceptable").write_text("../1000\n")
    with pytest.raises(ValueError, match="by their numbers"):
        prepare(folder, tmp_path / "store")
    with pytest.raises(ValueError, match="50 to 500"):
        prepare(folder, tmp_path / "store", sampling_rate=1000)


def write_lists(folder, acceptable="12\n3\n", unacceptable="7\n"):
    (folder / "RECORDS-acceptable").write_text(acceptable)
    (folder / "RECORDS-unacceptable").write_text(unacceptable)


def test_reads_both_lists(tmp_path):
    write_lists(tmp_path)
    labels = read_labels(tmp_path)
    assert list(labels["ecg_id"]) == [3, 7, 12]
    assert list(labels["acceptable"]) == [True, False, True]
    assert labels["acceptable"].dtype == bool
    assert list(labels["half"]) == [cinc2011_half(key) for key in (3, 7, 12)]


def test_halves_are_about_equal_and_depend_on_the_record_alone():
    halves = [cinc2011_half(key) for key in range(1_000_000, 1_004_000)]
    assert abs(halves.count("fit") - 2000) < 4 * (4000 * 0.25) ** 0.5
    # Which records are held out must never change: models were trained on the others.
    assert [cinc2011_half(key) for key in (1002603, 1002867, 1004502, 1005639)] == ["fit", "test", "fit", "fit"]


@pytest.mark.parametrize(
    "acceptable, unacceptable, message",
    [("3\n3\n", "7\n", "twice|already"), ("3\n", "3\n", "already"), ("a\n", "7\n", "numbers")],
)
def test_broken_lists_are_errors(tmp_path, acceptable, unacceptable, message):
    write_lists(tmp_path, acceptable, unacceptable)
    with pytest.raises(ValueError, match=message):
        read_labels(tmp_path)


def test_a_missing_list_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="lacks RECORDS-acceptable"):
        read_labels(tmp_path)
