"""Run folders: config and provenance as given, metrics that survive a kill."""

import gc
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout

from einthoven.run import run_folder
from einthoven.run.files import write_json, write_text
from einthoven.run.lock import LOCK
from einthoven.run.run_folder import RunFolder, code_commit
from tests.paths import ROOT

CONFIG = {"seed": 3, "algo": {"n_samples": 10, "method": "mgps"}, "leads": ["I", "aVR"], "scale": 1e-3}
ORIGIN = {"data_manifest_hash": "abc", "files": {"prior": "123"}}


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", CONFIG, seed=3, device="cpu", **ORIGIN)


def test_open_gives_back_the_config(run):
    assert RunFolder.open(run.path) == run
    assert run.config == CONFIG


def test_provenance_says_where_the_run_comes_from(run):
    provenance = run.provenance()
    assert provenance["seed"] == 3
    assert provenance["device"] == "cpu"
    assert provenance["data_manifest_hash"] == "abc"
    assert provenance["versions"]["torch"] == torch.__version__
    assert provenance["commit"] == code_commit()
    assert provenance["started_at"].endswith("+00:00")


def test_commit_is_not_that_of_a_repository_around_an_installed_copy(tmp_path, monkeypatch):
    """In an environment inside someone else's checkout, their commit says nothing about this code."""
    monkeypatch.setattr(run_folder, "_git", lambda folder, *arguments: str(tmp_path))
    assert code_commit() is None


def test_taking_up_a_run_keeps_its_provenance(run):
    again = RunFolder.create(run.path, CONFIG, seed=3, device="cpu", **ORIGIN)
    before, after = run.provenance(), again.provenance()
    assert len(after.pop("resumed_at")) == 1
    before.pop("resumed_at")
    assert after == before
    assert after["data_manifest_hash"] == "abc"


def test_a_run_may_be_taken_up_by_another_engine(tmp_path):
    RunFolder.create(tmp_path / "run", {**CONFIG, "engine": {"n_workers": 2}}, seed=3, device="cpu")
    for engine in ({"engine": {"n_workers": 8}}, {}):
        assert RunFolder.create(tmp_path / "run", {**CONFIG, **engine}, seed=3, device="cpu").provenance()["seed"] == 3


def test_other_settings_in_the_same_folder_are_refused_by_name(run):
    other = {**CONFIG, "algo": {"n_samples": 20, "method": "mgps"}}
    with pytest.raises(ValueError, match=r"\(algo\.n_samples\)"):
        RunFolder.create(run.path, other, seed=3, device="cpu", **ORIGIN)


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        ({"data_manifest_hash": "abd"}, r"other data \(data_manifest_hash\)"),
        ({"data_manifest_hash": None}, r"other data .*"),
        ({"files": {"prior": "124"}}, r"other files \(prior\)"),
        ({"files": {}}, r"other files \(prior\)"),
        ({"files": {"prior": "123", "mask": "1"}}, r"other files \(mask\)"),
    ],
)
def test_other_data_and_weights_are_refused(run, origin, told):
    before = run.provenance()
    with pytest.raises(ValueError, match=f"run holds a run with {told}: choose another folder"):
        RunFolder.create(run.path, CONFIG, seed=3, device="cpu", **{**ORIGIN, **origin})
    assert run.provenance() == before


def test_a_run_of_an_earlier_version_is_taken_up_with_a_note(run):
    old = run.provenance()
    del old["files"]
    write_json(run.path / "provenance.json", old)
    with pytest.warns(UserWarning, match="was not noted"):
        again = RunFolder.create(run.path, CONFIG, seed=3, device="cpu", **ORIGIN)
    assert again.provenance()["files"] == ORIGIN["files"]
    assert "was not noted" in again.provenance()["notes"][0]


def test_the_config_of_an_earlier_version_has_the_names_of_today(tmp_path):
    old = {"algo": {"name": "ddnm", "sampler": {"_target_": "reconstruction.ddnm.DDNM", "_partial_": True, "n": 1}}}
    RunFolder.create(tmp_path, old, seed=3, device="cpu")
    new = {"algo": {"name": "ddnm", "sampler": {"n": 1}}}
    assert RunFolder.open(tmp_path).config == new
    RunFolder.create(tmp_path, new, seed=3, device="cpu")


def test_a_second_process_is_refused_as_long_as_the_run_lives(run):
    code = (
        "from einthoven.run.run_folder import RunFolder\n"
        f"RunFolder.create({str(run.path)!r}, {CONFIG!r}, seed=3, device='cpu', **{ORIGIN!r})"
    )
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert f"another process is at work in {run.path}" in second.stderr
    again = RunFolder.create(run.path, CONFIG, seed=3, device="cpu", **ORIGIN)  # this one may
    del again
    path = run.path
    with pytest.raises(ValueError, match="settings"):
        RunFolder.create(path, {}, seed=3, device="cpu", **ORIGIN)
    lock = FileLock(path / LOCK, is_singleton=False)
    with pytest.raises(Timeout):
        lock.acquire(blocking=False)


def test_the_folder_is_free_when_the_run_is_gone(tmp_path):
    run = RunFolder.create(tmp_path, CONFIG, seed=3, device="cpu")
    with pytest.raises(ValueError, match="settings"):
        RunFolder.create(tmp_path, {}, seed=3, device="cpu")
    del run
    gc.collect()
    with FileLock(tmp_path / LOCK, is_singleton=False).acquire(blocking=False):
        pass


def test_what_killed_writes_left_is_cleared(tmp_path):
    left = [".config.0123456789ab.tmp.yaml", "parts/.000000-ab.0123456789ab.tmp.npz", "parts/.x.0123456789ab.tmp"]
    kept = [".hidden", "a.tmp", ".a.tmp.npz", "parts/000000-ab.npz"]
    kept += [f"stage/{LOCK}", "stage/.y.0123456789ab.tmp"]  # another process may be at work there
    for name in left + kept:
        write_text(tmp_path / name, "")
    RunFolder.create(tmp_path, CONFIG, seed=3, device="cpu")
    assert not any((tmp_path / name).exists() for name in left)
    assert all((tmp_path / name).exists() for name in kept)


def test_metrics_are_valid_json(run):
    run.log(step=1, loss=float("nan"), best=float("inf"), n=np.float32("nan"), t=torch.tensor(float("-inf")))
    run.log(step=2, loss=0.5)
    run.truncate_metrics(1)
    line = (run.path / "metrics.jsonl").read_text()
    assert json.loads(line, parse_constant=pytest.fail) == {"step": 1, "loss": None, "best": None, "n": None, "t": None}


@pytest.mark.parametrize(("made", "reason"), [(True, "has no config.yaml"), (False, "does not exist")])
def test_no_run_folder_is_an_error_that_says_what_to_give(tmp_path, made, reason):
    folder = tmp_path / "elsewhere"
    if made:
        folder.mkdir()
    with pytest.raises(ValueError, match=f"{reason}: give the folder"):
        RunFolder.open(folder)


def test_metrics_come_back_in_order(run):
    assert run.metrics() == []
    run.log(step=1, loss=0.5)
    run.log(step=2, loss=np.float32(0.25), n=np.int64(3), rate=torch.tensor(2.0))
    assert run.metrics() == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25, "n": 3, "rate": 2.0}]


@pytest.mark.parametrize("length", [1, 5, 20])
def test_torn_last_line_is_dropped_and_written_over(run, length):
    run.log(step=1, loss=0.5)
    run.log(step=2, loss=0.4)
    file = run.path / "metrics.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-length])
    assert run.metrics() == [{"step": 1, "loss": 0.5}]
    run.log(step=2, loss=0.4)
    assert file.read_bytes() == whole


def test_torn_first_line_is_dropped(run):
    (run.path / "metrics.jsonl").write_text('{"step": 1')
    assert run.metrics() == []
    run.log(step=1)
    assert run.metrics() == [{"step": 1}]


def test_truncation_drops_later_steps_only(run):
    run.truncate_metrics(5)
    run.log(parameters=7)
    for step in range(1, 6):
        run.log(step=step)
    run.truncate_metrics(3)
    assert run.metrics() == [{"parameters": 7}, {"step": 1}, {"step": 2}, {"step": 3}]


def test_files_are_plain_yaml_and_json(run):
    assert "!!" not in (run.path / "config.yaml").read_text()
    assert json.loads((run.path / "provenance.json").read_text())["seed"] == 3


def test_a_relative_run_is_found_below_the_folder_of_runs(tmp_path, monkeypatch):
    RunFolder.create(tmp_path / "runs" / "first", {"seed": 1}, seed=1, device="cpu")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="first is not a run folder"):
        RunFolder.open("first")
    monkeypatch.setenv("ECG_RUNS", str(tmp_path / "runs"))
    assert RunFolder.open("first").path == tmp_path / "runs" / "first"
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "config.yaml").write_text("seed: 2")
    assert RunFolder.open("first").config == {"seed": 2}


@pytest.mark.parametrize("config", [{"results_path": "{}"}, {"inpaint": {"results_path": "{}"}}])
def test_a_run_goes_on_under_another_name_of_its_folder(tmp_path, config):
    for name in (None, tmp_path):
        text = json.dumps(config).replace('"{}"', json.dumps(name and str(name)))
        RunFolder.create(tmp_path, json.loads(text), seed=1, device="cpu")
        gc.collect()
