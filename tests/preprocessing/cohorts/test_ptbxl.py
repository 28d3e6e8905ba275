"""PTB-XL from its own layout to a store, and every way in which it can be broken."""

import shutil

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.formats.wfdb import read_wfdb
from einthoven.ecg.leads import LEADS
from preprocessing.cohorts import cohort
from preprocessing.cohorts.ptbxl import Ptbxl
from preprocessing.cohorts.simulator import simulate_ecg
from preprocessing.store.store import Store


def prepare(root, place, max_skipped=0.01, **settings):
    return cohort.prepare(Ptbxl(**settings), root, place, n_workers=1, max_skipped=max_skipped)


def skipped(summary):
    return dict(zip(summary.skipped["ecg_id"], summary.skipped["reason"], strict=True))


def test_subset_becomes_a_store(ptbxl_folder, tmp_path):
    summary = prepare(ptbxl_folder, tmp_path / "store")
    assert summary.splits == {"train": 8, "val": 1, "test": 0}
    assert summary.source_rates == {"500 Hz": 6, "100 Hz": 3}
    assert summary.notes["records absent from this copy"] == 1
    store = Store.open(tmp_path / "store")
    assert store.table["ecg_id"].tolist() == list(range(1, 10))
    assert store.table["statements"][0] == ["NORM", "SR"]
    assert store.table["static_noise"][0] == ", I-V1,  "
    assert store.table.loc[8, ["split", "strat_fold"]].tolist() == ["val", 9]
    assert store.manifest["inputs"]["sources"].keys() == {"ptbxl_database.csv", "scp_statements.csv", "records"}
    assert len(store.manifest["steps"]) == 5


def test_signals_are_filtered_and_without_shift(ptbxl_folder, tmp_path):
    prepare(ptbxl_folder, tmp_path / "store")
    x = Store.open(tmp_path / "store").read([2, 7])
    raw = read_wfdb(ptbxl_folder / "records500/00000/00003_hr").ordered(LEADS)
    np.testing.assert_allclose(x[0], clean_signal(raw, 500, 100), atol=5.1e-4)
    in_place = simulate_ecg(9, 100, rhythm="sinus")[7]  # the simulator has little to filter out
    assert np.corrcoef(x[1, 1], in_place[1])[0, 1] > 0.99


def test_high_rate_needs_the_500_hz_files(ptbxl_folder, tmp_path):
    summary = prepare(ptbxl_folder, tmp_path / "store", sampling_rate=250)
    assert summary.source_rates == {"500 Hz": 6}
    assert summary.notes["records with a 100 Hz file only, not used"] == 3
    assert Store.open(tmp_path / "store").n_samples == 2500


def test_other_settings_go_to_another_folder(ptbxl_folder, tmp_path):
    first = prepare(ptbxl_folder, tmp_path / "store")
    others = [
        prepare(ptbxl_folder, tmp_path / "store", filtered=False),
        prepare(ptbxl_folder, tmp_path / "store", source_rate=100),
        prepare(ptbxl_folder, tmp_path / "store", sampling_rate=50),
    ]
    assert len({first.store, *(other.store for other in others)}) == 4
    assert not any(other.up_to_date for other in others)
    assert prepare(ptbxl_folder, tmp_path / "store", filtered=False).up_to_date
    assert prepare(ptbxl_folder, tmp_path / "store").up_to_date
    raw = read_wfdb(ptbxl_folder / "records100/00000/00002_lr").ordered(LEADS)
    unfiltered = prepare(ptbxl_folder, tmp_path / "store", filtered=False, source_rate=100)
    np.testing.assert_allclose(Store.open(unfiltered.store).read([1])[0], raw, atol=1e-6)


def test_changed_input_is_prepared_again(ptbxl_folder, tmp_path, write_record):
    first = prepare(ptbxl_folder, tmp_path / "store")
    write_record(ptbxl_folder / "records500/00000", "00002_hr", simulate_ecg(1, 500, seed=9)[0], 500)
    second = prepare(ptbxl_folder, tmp_path / "store")
    assert not second.up_to_date
    assert second.store == first.store
    third = prepare(ptbxl_folder, tmp_path / "store")
    assert third.up_to_date
    assert "nothing to do" in third.describe()


def test_broken_records_are_skipped_and_listed(ptbxl_folder, tmp_path, write_record):
    high, low = ptbxl_folder / "records500/00000", ptbxl_folder / "records100/00000"
    ecg = simulate_ecg(1, 500)[0]
    (high / "00001_hr.dat").unlink()
    dat = high / "00002_hr.dat"
    dat.write_bytes(dat.read_bytes()[:1000])
    header = high / "00003_hr.hea"
    header.write_text(header.read_text().replace("00003_hr.dat", "../00003_hr.dat"))
    write_record(high, "00004_hr", np.where(np.arange(5000) == 7, np.nan, ecg), 500)
    write_record(high, "00005_hr", np.full((12, 5000), 0.25), 500)
    write_record(low, "00007_lr", simulate_ecg(1, 200, 5.0)[0], 200)
    write_record(low, "00008_lr", simulate_ecg(1, 100)[0][:11], 100, leads=LEADS[:11])
    with pytest.raises(ValueError, match=r"7 of 9 records .* are broken"):
        prepare(ptbxl_folder, tmp_path / "store")
    summary = prepare(ptbxl_folder, tmp_path / "store", max_skipped=1.0)
    reasons = skipped(summary)
    words = ["missing", "truncated", "outside its folder", "NaN", "flat", "wrong rate", "lacks lead"]
    assert list(reasons) == [1, 2, 3, 4, 5, 7, 8]
    for reason, word in zip(reasons.values(), words, strict=True):
        assert word in reason
    assert summary.n_done == 0  # what was done before the error is not done again
    assert pd.read_csv(summary.store / "skipped.csv")["ecg_id"].tolist() == list(reasons)
    assert Store.open(summary.store).table["ecg_id"].tolist() == [6, 9]
    assert "skipped: 7, listed in skipped.csv" in summary.describe()


def test_a_record_in_another_lead_order_is_put_in_order(ptbxl_folder, tmp_path, write_record):
    ecg = simulate_ecg(6, 500, rhythm="sinus")[0]
    prepare(ptbxl_folder, tmp_path / "first")
    write_record(ptbxl_folder / "records500/00000", "00001_hr", ecg[::-1], 500, leads=LEADS[::-1])
    prepare(ptbxl_folder, tmp_path / "second")
    first, second = Store.open(tmp_path / "first").read([0]), Store.open(tmp_path / "second").read([0])
    np.testing.assert_array_equal(first, second)


def test_a_lead_that_was_off_is_kept_and_marked(ptbxl_folder, tmp_path, write_record):
    ecg = simulate_ecg(1, 500)[0]
    ecg[[7, 9]] = 0.0
    write_record(ptbxl_folder / "records500/00000", "00002_hr", ecg, 500)
    prepare(ptbxl_folder, tmp_path / "store")
    assert Store.open(tmp_path / "store").table["flat_leads"].tolist()[:3] == ["", "V2,V4", ""]


def test_a_row_that_cannot_be_read_is_a_broken_record(ptbxl_folder, tmp_path):
    path = ptbxl_folder / "ptbxl_database.csv"
    table = pd.read_csv(path)
    table.loc[0, "scp_codes"] = "{'NORMAL': 100.0}"
    table.loc[1, "scp_codes"] = "__import__('os').getcwd()"
    table.loc[2, "filename_hr"] = "../../elsewhere/00003_hr"
    table.to_csv(path, index=False)
    reasons = skipped(prepare(ptbxl_folder, tmp_path / "store", max_skipped=0.5))
    assert list(reasons) == [1, 2, 3]
    assert "NORM" in reasons[1]
    assert "scp_codes" in reasons[2]
    assert "outside its folder" in reasons[3]


@pytest.mark.parametrize("name", ["ptbxl_database.csv", "scp_statements.csv"])
def test_a_missing_table_stops_at_once(ptbxl_folder, tmp_path, name):
    (ptbxl_folder / name).unlink()
    with pytest.raises(ValueError, match=name):
        prepare(ptbxl_folder, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_missing_column_stops_at_once(ptbxl_folder, tmp_path):
    path = ptbxl_folder / "ptbxl_database.csv"
    pd.read_csv(path).drop(columns="strat_fold").to_csv(path, index=False)
    with pytest.raises(ValueError, match="strat_fold"):
        prepare(ptbxl_folder, tmp_path / "store")


def test_missing_folders_stop_at_once(ptbxl_folder, tmp_path):
    with pytest.raises(ValueError, match=r"dataset\.raw_path"):
        prepare(tmp_path / "nowhere", tmp_path / "store")
    for name in ("records100", "records500"):
        shutil.rmtree(ptbxl_folder / name)
    with pytest.raises(ValueError, match="records500"):
        prepare(ptbxl_folder, tmp_path / "store")


@pytest.mark.parametrize(
    "settings", [{"sampling_rate": 1000}, {"source_rate": 250}, {"sampling_rate": 200, "source_rate": 100}]
)
def test_impossible_settings_are_errors(settings):
    with pytest.raises(ValueError, match=r"dataset\."):
        Ptbxl(**settings)


@pytest.mark.data
def test_real_records_become_a_store(ecg_data, tmp_path):
    table = pd.read_csv(ecg_data / "ptb-xl/ptbxl_database.csv").iloc[::60]
    root = tmp_path / "part"
    root.mkdir()
    table.to_csv(root / "ptbxl_database.csv", index=False)
    shutil.copy(ecg_data / "ptb-xl/scp_statements.csv", root)
    for name in ("records100", "records500"):
        (root / name).symlink_to(ecg_data / "ptb-xl" / name)
    summary = prepare(root, tmp_path / "store")
    store = Store.open(summary.store)
    assert len(store) == len(table)
    assert len(summary.skipped) == 0
    x = store.read(np.arange(len(store)))
    np.testing.assert_allclose(x[:, 2], x[:, 1] - x[:, 0], atol=4e-3)  # the source's own rounding
    assert 0.05 < np.median(x.std(axis=-1)) < 0.5
