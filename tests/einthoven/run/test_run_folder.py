"""Run folders: config and provenance as given, metrics that survive a kill."""

import json

import numpy as np
import pytest
import torch

from einthoven.run import run_folder
from einthoven.run.run_folder import RunFolder, code_commit

CONFIG = {"seed": 3, "algo": {"n_samples": 10, "method": "mgps"}, "leads": ["I", "aVR"], "scale": 1e-3}


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", CONFIG, seed=3, device="cpu", data_manifest_hash="abc")


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
    again = RunFolder.create(run.path, CONFIG, seed=3, device="cpu")
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
        RunFolder.create(run.path, other, seed=3, device="cpu")


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
