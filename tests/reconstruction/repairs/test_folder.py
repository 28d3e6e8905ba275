from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from einthoven.ecg.recording import Patient, Recording
from einthoven.ecg.writing import write
from einthoven.run.chunks import LocalEngine
from einthoven.run.files import write_json
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.repairs import folder as module
from reconstruction.repairs.folder import find_recordings, repair_all

SETTINGS = {"complete": False, "n_samples": 2, "seed": 0, "device": "cpu", "weights": None, "format": None}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place = tmp_path_factory.mktemp("recordings")
    ecg = simulate_ecg(1, sampling_rate=100, duration=4.0, seed=1, rhythm="sinus")[0].astype(np.float64)
    ecg[7, 100:200] = 0.0
    recording = Recording(ecg, 100.0, LEADS, "one", patient=Patient(50, "female"))
    write(recording, place / "one.csv")
    write(recording, place / "sub" / "two.hea")
    (place / "notes.md").write_text("no recording")
    (place / "broken.edf").write_bytes(b"0       " + b" " * 300)
    return place


@pytest.fixture
def quick(monkeypatch):
    """Few steps, and no scores."""
    from dataclasses import replace

    from reconstruction.repairs.repairing import Tools

    def load(**settings):
        tools = Tools.load(**settings)
        tools.repairer.n_steps = 2
        return replace(tools, scorer=None)

    monkeypatch.setattr(module, "Tools", SimpleNamespace(load=load))


@pytest.mark.slow
def test_a_folder_is_repaired_and_taken_up_again(files, tmp_path, quick):
    found = find_recordings([files])
    assert {file.name for file in found} >= {"one.csv", "two.hea"}
    found = [file for file in found if file.suffix != ".edf"]
    text, failed = repair_all(found, tmp_path, SETTINGS, LocalEngine())
    assert text.startswith("2 recordings gone through")
    assert not failed
    table = pd.read_csv(tmp_path / "recordings.csv")
    assert set(table["name"]) == {"one", "sub_two"}
    again = read(tmp_path / "one" / "repaired.csv")
    assert again.leads == LEADS
    assert read(tmp_path / "sub_two" / "repaired.hea").signal.shape == (12, 400)
    for name in ("actions.csv", "report.html", "report.pdf", "result.npz"):
        assert (tmp_path / "one" / name).stat().st_size > 100
    page = (tmp_path / "one" / "report.html").read_text()
    assert "not a medical device" in page
    assert "http" not in page.replace("http-equiv", "")
    with np.load(tmp_path / "one" / "result.npz") as file:
        assert file["signal"].shape == file["lower"].shape == file["done"].shape == (12, 400)
    stamp = (tmp_path / "one" / "result.npz").stat().st_mtime_ns
    repair_all(found, tmp_path, SETTINGS, LocalEngine())
    assert (tmp_path / "one" / "result.npz").stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_one_that_cannot_be_read_costs_no_other(files, tmp_path, quick):
    text, failed = repair_all([files / "one.csv", files / "notes.md"], tmp_path, SETTINGS, LocalEngine())
    assert failed
    assert "notes" in text


def test_recordings_of_one_name_have_folders_of_their_own(tmp_path, monkeypatch):
    targets = {}

    def work(chunk):
        targets[chunk.names[0]] = chunk.content[1]
        write_json(chunk.part, {"name": chunk.names[0], "problem": "", "text": ""})
        return {}

    monkeypatch.setattr(module, "RepairWork", lambda settings: work)
    files = [tmp_path / name for name in ("one.csv", "one.dcm", "sub/two.csv", "sub_two.csv", "sub_two.CSV", "sub")]
    for file in (*files[:-1], files[-1] / "inside"):  # the last is a folder, which cannot be read
        file.parent.mkdir(exist_ok=True)
        file.write_text(file.name)
    repair_all(files, tmp_path / "run", SETTINGS, LocalEngine())
    assert list(targets) == ["one", "one.dcm", "sub_two", "sub_two.csv", "sub_two.CSV", "sub"]
    assert targets["one.dcm"] == str(tmp_path / "run" / "one.dcm")
    assert list(pd.read_csv(tmp_path / "run" / "recordings.csv")["name"]) == list(targets)


def test_without_a_place_it_is_the_bundled_one():
    assert find_recordings([]) == [None]


def test_places_without_recordings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no recording"):
        find_recordings([tmp_path])
    with pytest.raises(ValueError, match="none.edf"):
        find_recordings([tmp_path / "none.edf"])


@pytest.mark.parametrize("n_samples", [-1, 10**12])
def test_a_number_of_samples_that_cannot_be_is_refused_before_any_work(tmp_path, n_samples):
    with pytest.raises(ValueError, match=f"n_samples is {n_samples}"):
        repair_all([None], tmp_path, {**SETTINGS, "n_samples": n_samples}, LocalEngine())
    assert not any(tmp_path.iterdir())
