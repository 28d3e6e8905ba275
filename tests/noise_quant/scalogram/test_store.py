"""Stores of scalograms: made from recordings, resumed, joined by key, and refused where something is wrong."""

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.formats.wfdb import read_wfdb
from einthoven.ecg.leads import LEADS
from einthoven.run.run_folder import RunFolder
from noise_quant import compute_scalograms
from noise_quant.data.noise_labels import TYPE_COLUMNS, lead_labels
from noise_quant.scalogram import preparation as scalogram_preparation
from noise_quant.scalogram.image import ScalogramSettings, levels_image, scalogram_image
from noise_quant.scalogram.preparation import ScalogramReader, prepare_scalograms
from noise_quant.scalogram.store import LEAD_COLUMNS, ScalogramStore, write_scalogram_store
from preprocessing.cohorts.cinc2011 import cinc2011_half
from preprocessing.store import builder as store_builder
from preprocessing.store.store import Store

FILES = ("images.npy", "table.parquet", "leads.parquet", "manifest.json", "skipped.csv")


def prepare(name, raw_path, path, **options):
    return prepare_scalograms(name, raw_path, path, n_workers=1, **options)


@pytest.fixture(scope="module")
def store(noisy_ptbxl, tmp_path_factory):
    summary = prepare("ptbxl", noisy_ptbxl, tmp_path_factory.mktemp("stores") / "scalograms")
    return ScalogramStore.open(summary.store)


def of_record(store, key):
    return store.leads[store.leads["ecg_id"] == key].set_index("lead")


def test_every_lead_has_its_row_and_labels(store):
    assert len(store) == 12
    assert tuple(store.leads.columns) == LEAD_COLUMNS
    assert list(store.leads["lead"]) == list(LEADS) * 12
    assert list(of_record(store, 1).index[of_record(store, 1)["static"]]) == list(LEADS[:7])
    assert list(of_record(store, 2).index[of_record(store, 2)["electrodes"]]) == ["V6"]
    assert of_record(store, 3)["unread"].all()
    assert of_record(store, 12)["burst"].all()
    assert of_record(store, 4)["clean"].all()


def test_flat_leads_are_unusable_with_a_reason(store):
    unusable = store.leads[store.leads["unusable"]]
    assert (10, "III") in set(zip(unusable["ecg_id"], unusable["lead"], strict=True))
    assert ((store.leads["reason"] != "") == store.leads["unusable"]).all()
    assert of_record(store, 10).loc["III", "reason"] == "flat"


def test_tables_say_fold_split_rate_and_texts(store):
    table = store.table.set_index("ecg_id")
    assert table.loc[9, ["strat_fold", "split"]].tolist() == [9, "val"]
    assert table.loc[[1, 3], "source_rate"].tolist() == [500, 100]
    assert table.loc[1, "static_noise"] == ", I-V1,  "
    rows = store.lead_rows()
    assert list(rows["ecg_id"]) == list(store.leads["ecg_id"])
    assert set(rows.loc[rows["ecg_id"] == 12, "split"]) == {"test"}


@pytest.mark.parametrize(
    "key, name, rate", [(1, "records500/00000/00001_hr", 500), (4, "records100/00000/00004_lr", 100)]
)
def test_images_are_those_of_the_unfiltered_files(store, noisy_ptbxl, key, name, rate):
    recording = read_wfdb(noisy_ptbxl / name)
    assert recording.sampling_rate == rate
    row = int(np.flatnonzero(store.table["ecg_id"] == key)[0])
    levels = store.images([row] * 12, range(12))
    assert levels.dtype == np.uint8
    expected = scalogram_image(recording.ordered(LEADS), rate, store.scalogram)
    np.testing.assert_allclose(levels_image(levels), expected, atol=1e-5)


def test_images_of_any_pairs(store):
    levels = store.images([3, 0, 3], [11, 2, 0])
    assert levels.shape == (3, 32, 256)
    assert np.array_equal(levels[0], store.values[3, 11])
    assert np.array_equal(levels[1], store.values[0, 2])


def test_an_interrupted_run_goes_on_and_ends_equal(noisy_ptbxl, tmp_path, monkeypatch):
    monkeypatch.setattr(store_builder, "CHUNK_RECORDS", 5)
    read = []
    reader = ScalogramReader.__call__

    def watch(self, file):
        if file.ecg_id == 8 and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt
        read.append(file.ecg_id)
        return reader(self, file)

    stopped = []
    monkeypatch.setattr(ScalogramReader, "__call__", watch)
    with pytest.raises(KeyboardInterrupt):
        prepare("ptbxl", noisy_ptbxl, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    with pytest.raises(ValueError, match=r"no finished store of scalograms"):
        ScalogramStore.open(tmp_path / "store")
    read.clear()
    assert prepare("ptbxl", noisy_ptbxl, tmp_path / "store").n_done == 7
    assert min(read) == 6
    prepare("ptbxl", noisy_ptbxl, tmp_path / "whole")
    for name in FILES:
        assert (tmp_path / "store" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    read.clear()
    assert prepare("ptbxl", noisy_ptbxl, tmp_path / "store").up_to_date
    assert read == []


def test_other_superlets_go_to_another_folder(noisy_ptbxl, tmp_path, monkeypatch):
    other = prepare("ptbxl", noisy_ptbxl, tmp_path / "store", scalogram=ScalogramSettings(max_order=4), source_rate=100)
    assert other.store.name.startswith("store-")
    opened = ScalogramStore.open(other.store)
    assert opened.scalogram == ScalogramSettings(max_order=4)
    assert set(opened.table["source_rate"]) == {100}


def test_new_code_makes_a_new_store(noisy_ptbxl, tmp_path, monkeypatch):
    first = prepare("ptbxl", noisy_ptbxl, tmp_path / "store", source_rate=100)
    monkeypatch.setattr(scalogram_preparation, "SCALOGRAM_VERSION", 999)
    assert not prepare("ptbxl", noisy_ptbxl, tmp_path / "store", source_rate=100).up_to_date
    assert first.store.is_dir()


def test_cinc2011_counts_acceptable_records_as_clean(cinc2011_folder, tmp_path):
    store = ScalogramStore.open(prepare("cinc2011", cinc2011_folder, tmp_path / "store").store)
    table = store.table.set_index("ecg_id")
    assert list(table.index) == list(range(1001, 1009))
    assert list(table.index[~table["acceptable"]]) == [1003, 1006]
    for key, row in table.iterrows():
        assert row["half"] == cinc2011_half(key)
        assert row["split"] == ("train" if row["half"] == "fit" else "test")
        assert (of_record(store, key)["clean"] == row["acceptable"]).all()
    assert of_record(store, 1003).loc["V1", "unusable"]
    assert of_record(store, 1006)["unusable"].all()
    assert not of_record(store, 1001)["unusable"].any()


def test_a_gap_makes_a_lead_unusable_not_the_record(noisy_ptbxl, tmp_path, monkeypatch):
    original = scalogram_preparation.read_file

    def with_gap(*arguments):
        recording = original(*arguments)
        recording.signal[4, 100:200] = np.nan
        return recording

    monkeypatch.setattr(scalogram_preparation, "read_file", with_gap)
    store = ScalogramStore.open(prepare("ptbxl", noisy_ptbxl, tmp_path / "store", source_rate=100).store)
    assert set(store.leads.loc[store.leads["reason"] == "not finite", "lead"]) == {"aVL"}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "mimic"}, "dataset.name must be one of ptbxl, cinc2011"),
        ({"scalogram": ScalogramSettings(n_frequencies=16)}, "32 rows"),
        ({"name": "cinc2011", "source_rate": 100}, "500 Hz only"),
        ({"raw_path": "nowhere"}, "no folder nowhere"),
    ],
)
def test_wrong_settings_are_errors(noisy_ptbxl, cinc2011_folder, tmp_path, options, message):
    arguments = {"name": "ptbxl", "raw_path": noisy_ptbxl, **options}
    with pytest.raises(ValueError, match=message):
        prepare(arguments.pop("name"), arguments.pop("raw_path"), tmp_path / "store", **arguments)


def table_and_labels(n):
    table = pd.DataFrame({"ecg_id": np.arange(n) + 5, "split": "train", "strat_fold": 1})
    return table, lead_labels(table.assign(**dict.fromkeys(TYPE_COLUMNS.values(), "")))


def test_a_small_store_is_written_in_one_call(tmp_path):
    table, labels = table_and_labels(3)
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 32, 256), dtype=np.uint8)
    shuffled = labels.sample(frac=1, random_state=0)
    problems = [[""] * 12, ["flat", *[""] * 11], [""] * 12]
    store = write_scalogram_store(tmp_path / "store", images, table, shuffled, problems=problems)
    assert np.array_equal(store.values, images)
    assert store.leads["clean"].all()
    assert store.leads.loc[store.leads["unusable"], ["ecg_id", "lead"]].to_numpy().tolist() == [[6, "I"]]
    again = write_scalogram_store(tmp_path / "again", images, table, labels, ScalogramSettings(max_order=3))
    assert again.manifest_hash != store.manifest_hash


def test_a_store_that_does_not_fit_is_refused(tmp_path):
    table, labels = table_and_labels(2)
    images = np.zeros((2, 12, 32, 256), dtype=np.uint8)
    with pytest.raises(ValueError, match="uint8"):
        write_scalogram_store(tmp_path / "a", images.astype(np.float32), table, labels)
    with pytest.raises(ValueError, match="no labels"):
        write_scalogram_store(tmp_path / "b", images, table, labels[:-1])
    store = write_scalogram_store(tmp_path / "c", images, table, labels)
    store.leads.iloc[::-1].to_parquet(store.path / "leads.parquet")
    with pytest.raises(ValueError, match="make the store again"):
        ScalogramStore.open(store.path)
    with pytest.raises(ValueError, match="format scalograms-1"):
        Store.open(store.path)


def test_the_script_says_what_it_did(noisy_ptbxl, tmp_path, monkeypatch, capsys):
    overrides = [f"dataset.raw_path={noisy_ptbxl}", f"paths.runs={tmp_path}", "dataset.n_workers=1"]
    monkeypatch.setattr("sys.argv", ["compute_scalograms", *overrides, "dataset.source_rate=100"])
    compute_scalograms.main()
    told = capsys.readouterr().out
    assert "records: train 8, val 2, test 2; from files at 100 Hz 12" in told
    assert "records with a noise text that cannot be read: 1" in told
    assert "leads: 144" in told
    folders = [path for path in tmp_path.glob("compute_scalograms/*") if (path / "provenance.json").is_file()]
    store = ScalogramStore.open(next(tmp_path.glob("stores/ptbxl_scalograms*")))
    assert RunFolder.open(folders[0]).provenance()["data_manifest_hash"] == store.manifest_hash
