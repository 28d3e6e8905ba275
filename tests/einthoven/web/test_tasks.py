"""What jobs make, with the bundled networks, and how it is kept, shown and downloaded."""

import dataclasses
import io

import numpy as np
import pandas as pd
import pytest

import einthoven
from einthoven.ecg.leads import LEADS as ALL_LEADS
from einthoven.ecg.reading import read
from einthoven.web import tasks
from einthoven.web.downloads import STEMS, file_names, make_file
from einthoven.web.results import load_result
from einthoven.web.stored import load_recording, save_recording

LEADS = ("I", "II", "V2")


class Told(list):
    def __call__(self, done, total, message=""):
        self.append((done, total, message))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with a recording whose V2 is off for more than a second, a repair of it, and twelve leads made of it."""
    folder = tmp_path_factory.mktemp("kept")
    demo = read(leads=LEADS, duration=3.0)
    signal = demo.signal.copy()
    signal[2, 300:1000] = 0.0
    recording = dataclasses.replace(demo, signal=signal, name="Smith")
    told = {"facts": save_recording(recording, folder), "progress": Told()}
    told["verdict"] = tasks.judge(Told(), str(folder))
    told["repair"] = tasks.repair(told["progress"], str(folder), str(folder / "repair"))
    told["reconstruct"] = tasks.reconstruct(Told(), str(folder), str(folder / "reconstruct"), "reconstruct", ["I"], 2)
    return folder, recording, told


def test_a_recording_is_kept_whole_and_anonymous_on_request(kept):
    folder, recording, told = kept
    back = load_recording(folder)
    np.testing.assert_array_equal(back.signal, recording.signal)
    assert (back.name, back.leads, back.notes) == (recording.name, recording.leads, recording.notes)
    assert load_recording(folder, anonymous=True).name == "" and told["facts"]["duration"] == 3.0


def test_the_page_repairs_as_python_does(kept):
    folder, recording, told = kept
    ours, theirs = load_result(folder / "repair", folder), einthoven.repair(recording)
    np.testing.assert_array_equal(ours.recording.signal, theirs.recording.signal)
    np.testing.assert_array_equal(ours.upper, theirs.upper)
    pd.testing.assert_frame_equal(ours.actions, theirs.actions, check_dtype=False)
    assert ours.notes == theirs.notes
    for field in dataclasses.fields(ours.findings):
        found, wanted = (getattr(each.findings, field.name) for each in (ours, theirs))
        assert np.array_equal(found, wanted, equal_nan=found.dtype != object)


def test_a_repair_knows_the_verdict_and_says_how_far_it_is(kept):
    _, _, told = kept
    assert told["repair"]["verdict"]["leads"] == told["verdict"]["leads"]
    assert any(told["verdict"]["leads"]["V2"]["bad"]) and told["verdict"]["until"] == 3.0
    done = [each[0] for each in told["progress"]]
    assert done == sorted(done) and done[-1] == told["progress"][-1][1] == 6.0
    assert {each["lead"] for each in told["repair"]["stretches"]} == {"V2"}


def test_twelve_leads_are_kept_with_their_band_and_samples(kept):
    folder, _, told = kept
    made = load_result(folder / "reconstruct", folder)
    assert made.mean.shape == (12, 3 * 500) or made.mean.shape[0] == 12
    assert told["reconstruct"]["versions"] == ["after", "lower", "upper", "sample_0", "sample_1"]
    assert {each["kind"] for each in told["reconstruct"]["stretches"]} == {"rebuilt"}
    assert all((folder / "reconstruct" / f"{version}.npy").is_file() for version in told["reconstruct"]["versions"])


@pytest.mark.parametrize("kind", ["repair", "reconstruct"])
@pytest.mark.parametrize("name", ["report.html", "report.pdf", "sheet.svg", "actions.csv", "csv"])
def test_files_of_results_name_no_patient(kept, tmp_path, kind, name):
    folder, _, _ = kept
    name = f"{STEMS[kind]}.csv" if name == "csv" else name
    assert name in file_names(kind)
    target = tmp_path / f"made.{name.rpartition('.')[2]}"
    look = {"start": 0.0, "layout": "6x2"} if name.startswith("sheet") else {}
    make_file(Told(), str(folder), str(folder / kind), name, str(target), look)
    content = target.read_bytes()
    assert len(content) > 100 and b"Smith" not in content and str(folder).encode() not in content
    if name == "actions.csv":
        assert len(pd.read_csv(io.BytesIO(content))) > 0


def test_few_leads_tell_what_they_can_of_their_electrodes(kept, tmp_path):
    folder, recording, _ = kept
    told = tasks.check_electrodes(Told(), str(folder))
    assert (told["best"], told["note"]) == ("as recorded", "")
    assert "I and II alone" in told["remark"]
    save_recording(dataclasses.replace(recording, signal=recording.signal[:1], leads=("I",)), tmp_path / "one")
    told = tasks.check_electrodes(Told(), str(tmp_path / "one"))
    assert told["best"] == "as recorded" and told["note"].startswith("Read as lead I")
    assert set(told["probabilities"]) == set(ALL_LEADS)
