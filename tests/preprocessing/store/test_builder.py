"""Building a store: parallel, resumable, atomic."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from preprocessing.cohorts.cohort import prepare
from preprocessing.cohorts.ptbxl import Ptbxl
from preprocessing.store.builder import CHUNK_RECORDS, build_store
from preprocessing.store.files import SignalForm
from preprocessing.store.preparation import Inputs, Processed, RecordFile, settled_path
from preprocessing.store.store import Store

N_RECORDS = 3 * CHUNK_RECORDS + 5


def make_inputs(n_records=N_RECORDS, **settings):
    files = [RecordFile(key, str(key), 100.0, "signature") for key in range(1, n_records + 1)]
    table = pd.DataFrame({"ecg_id": range(1, n_records + 1), "split": "train", "statements": [["SR"]] * n_records})
    return Inputs(files, table, {"name": "test", **settings}, {}, ("none",))


class Reader:
    """Gives record k the constant signal k mV / 100; stops at a record if told so."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.read = []

    def __call__(self, file):
        if file.ecg_id == self.stop_at:
            raise KeyboardInterrupt
        self.read.append(file.ecg_id)
        return Processed(np.full((12, 20), file.ecg_id / 100), {"parity": file.ecg_id % 2})


def build(path, inputs, reader, **options):
    return build_store(path, inputs, reader, SignalForm(20, 100), n_workers=1, **options)


def test_an_interrupted_run_goes_on_and_ends_equal(tmp_path):
    whole = build(tmp_path / "whole", make_inputs(), Reader())
    first = Reader(stop_at=2 * CHUNK_RECORDS + 3)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "store", make_inputs(), first)
    assert not (tmp_path / "store").exists()
    second = Reader()
    resumed = build(tmp_path / "store", make_inputs(), second)
    assert min(second.read) == 2 * CHUNK_RECORDS + 1
    assert resumed.n_done == N_RECORDS - 2 * CHUNK_RECORDS
    for name in ("signals.npy", "manifest.json", "table.parquet", "skipped.csv"):
        assert (resumed.store / name).read_bytes() == (whole.store / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "whole"]


def test_rows_follow_the_keys(tmp_path):
    store = Store.open(build(tmp_path / "store", make_inputs(), Reader()).store)
    keys = store.table["ecg_id"].to_numpy()
    np.testing.assert_allclose(store.read(np.arange(N_RECORDS))[:, 4, 7], keys / 100, atol=1e-6)
    np.testing.assert_array_equal(store.table["parity"], keys % 2)


def test_a_second_run_reads_nothing(tmp_path):
    build(tmp_path / "store", make_inputs(), Reader())
    before = (tmp_path / "store" / "signals.npy").stat().st_mtime_ns
    reader = Reader()
    summary = build(tmp_path / "store", make_inputs(), reader)
    assert summary.up_to_date
    assert reader.read == []
    assert (tmp_path / "store" / "signals.npy").stat().st_mtime_ns == before


def test_new_code_or_new_records_are_prepared_again(tmp_path, monkeypatch):
    build(tmp_path / "store", make_inputs(10), Reader())
    assert len(Store.open(build(tmp_path / "store", make_inputs(12), Reader()).store)) == 12
    monkeypatch.setattr("preprocessing.store.preparation.PROCESSING_VERSION", 999)
    assert not build(tmp_path / "store", make_inputs(12), Reader()).up_to_date


def test_a_run_killed_while_moving_into_place_is_finished(tmp_path):
    build(tmp_path / "store", make_inputs(5), Reader())
    (tmp_path / "store").rename(tmp_path / "store.partial")
    assert build(tmp_path / "store", make_inputs(5), Reader()).up_to_date


def test_the_old_store_stays_until_the_new_one_is_whole(tmp_path):
    build(tmp_path / "store", make_inputs(5), Reader())
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "store", make_inputs(50), Reader(stop_at=49))
    assert len(Store.open(tmp_path / "store")) == 5


def broken(file):
    if file.ecg_id in (3, 5):
        raise ValueError("no  good\nat all")
    return Processed(np.zeros((12, 20 if file.ecg_id != 7 else 19)))


def test_too_many_broken_records_are_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"3 of 101 records \(3\.0%\) .*dataset\.allow_skipped=true"):
        build(tmp_path / "store", make_inputs(), broken)
    assert pd.read_csv(tmp_path / "store.partial" / "skipped.csv")["ecg_id"].tolist() == [3, 5, 7]
    summary = build(tmp_path / "store", make_inputs(), broken, max_skipped=0.05)
    assert summary.skipped["reason"].tolist()[:2] == ["no good at all"] * 2
    assert "(12, 19)" in summary.skipped["reason"].tolist()[2]


def test_nothing_left_is_an_error_whatever_is_allowed(tmp_path):
    def all_broken(file):
        raise ValueError("flat")

    with pytest.raises(ValueError, match="5 of 5"):
        build(tmp_path / "store", make_inputs(5), all_broken, max_skipped=1.0)


def test_a_store_whose_signals_are_others_is_made_again(tmp_path):
    path = tmp_path / "store"
    build(path, make_inputs(4), Reader())
    whole = (path / "signals.npy").read_bytes()
    for damaged in (whole[:-2] + b"\xff\x7f", whole[:-20]):
        (path / "signals.npy").write_bytes(damaged)
        assert not build(path, make_inputs(4), Reader()).up_to_date
        assert (path / "signals.npy").read_bytes() == whole
    assert build(path, make_inputs(4), Reader()).up_to_date


def test_settings_decide_the_folder(tmp_path):
    path = tmp_path / "store"
    standard = {"name": "test"}
    assert settled_path(path, {"name": "test", "rate": 100}, standard) == path
    build(path, make_inputs(2, rate=100), Reader())
    other = settled_path(path, {"name": "test", "rate": 50}, standard)
    assert other.parent == path.parent
    assert other.name.startswith("store-")
    assert settled_path(path, {"name": "else", "rate": 100}, standard) == tmp_path / "store-name_else"
    standard = {"filtered": True, "absent": None, "image": {"low": 1.0, "high": 2.0}}
    settings = {"filtered": False, "image": {"low": 1.0, "high": None}}
    assert settled_path(path, settings, standard).name == "store-filtered_false-high_null"


@pytest.mark.slow
def test_processes_make_the_same_store_and_survive_a_kill(ptbxl_folder, tmp_path):
    """Prepares 72 records with two processes, kills all with SIGKILL, goes on with one, and compares."""
    path = ptbxl_folder / "ptbxl_database.csv"
    table = pd.read_csv(path).iloc[:6]
    table = pd.concat([table] * 12, ignore_index=True).assign(ecg_id=range(1, 73))
    table.to_csv(path, index=False)
    code = (
        "import sys; from preprocessing.cohorts.cohort import prepare; from preprocessing.cohorts.ptbxl import Ptbxl\n"
        "if __name__ == '__main__': prepare(Ptbxl(), sys.argv[1], sys.argv[2], n_workers=2)"
    )
    script = tmp_path / "prepare.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(ptbxl_folder), str(tmp_path / "store")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    chunks = tmp_path / "store.chunks"
    while process.poll() is None and not (chunks.is_dir() and any(chunks.glob("[!.]*.npz"))):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = prepare(Ptbxl(), ptbxl_folder, tmp_path / "store", n_workers=1)
    assert 0 < resumed.n_done < 72
    alone = prepare(Ptbxl(), ptbxl_folder, tmp_path / "alone", n_workers=1)
    for name in ("signals.npy", "manifest.json", "table.parquet"):
        assert (tmp_path / "store" / name).read_bytes() == (alone.store / name).read_bytes()
