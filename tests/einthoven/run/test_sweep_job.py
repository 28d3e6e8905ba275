"""Sweeps: with every sweeper and launcher, each job in a folder of its own, and finished jobs are not done again."""

import json
import shutil

import pytest
import yaml

from einthoven.run.launch import CONFIGS
from einthoven.run.sweep_job import JOB, read_job, run_job
from tests.scripts import run_in_project

SCRIPT = """
import os
import sys
from pathlib import Path

if os.environ.get("WITHOUT_PLUGINS"):
    import hydra_plugins

    hydra_plugins.__path__ = []

from einthoven.run import launch

launch.CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@launch.script("measure")
def main(config):
    if config["x"] < 0:
        raise ValueError("x must not be negative")
    folder = launch.run_path(config)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "done", "a") as file:
        file.write(" ".join(sys.argv[1:]) + "\\n")
    return launch.Outcome("", objective=float((config["x"] - 3) ** 2))


if __name__ == "__main__":
    main()
"""

CONFIG = "defaults: [{settings: default}, {paths: default}, _self_]\nx: 1.0\nmeasure: {results_path: null}\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    for group in ("settings", "paths", "hydra"):
        shutil.copytree(CONFIGS / group, folder / "configs" / group)
    (folder / "configs" / "measure.yaml").write_text(CONFIG)
    (folder / "verbs").mkdir()
    (folder / "verbs" / "measure.py").write_text(SCRIPT)
    return folder


@pytest.fixture
def sweep(project, tmp_path):
    def run(*arguments, **variables):
        words = ["-m", "verbs.measure", "--multirun", f"hydra.sweep.dir={tmp_path}/sweep", *arguments]
        return run_in_project(project, tmp_path / "runs", *words, **variables)

    return run


def jobs_in(folder):
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob(f"*/{JOB}"))}


def test_jobs_note_their_objective_and_are_not_done_again(sweep, tmp_path):
    assert sweep("x=1,2").returncode == 0
    again = sweep("x=1,2,5")
    assert again.returncode == 0, again.stderr
    jobs = jobs_in(tmp_path / "sweep")
    assert {name: job["objective"] for name, job in jobs.items()} == {"0": 4, "1": 1, "2": 4}
    assert [(tmp_path / "sweep" / name / "done").read_text() for name in jobs] == ["x=1\n", "x=2\n", "x=5\n"]


def test_another_sweep_does_not_take_the_folder(tmp_path):
    assert run_job(tmp_path, ["x=1"], {"x": 1}, lambda: 4) == 4
    assert run_job(tmp_path, ["x=1"], {"x": 1}, lambda: 5) == 4
    with pytest.raises(ValueError, match=r"other settings \(x=1\): choose another hydra.sweep.dir"):
        run_job(tmp_path, ["x=7"], {"x": 7}, lambda: 16)


@pytest.mark.slow
def test_optuna_with_joblib_is_seeded_and_goes_on(sweep, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs einthoven[sweep]")
    words = ["hydra/sweeper=optuna", "x=interval(0.0,10.0)"]
    answer = sweep(*words, "hydra.sweeper.n_trials=2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert answer.returncode == 0, answer.stderr
    first = jobs_in(tmp_path / "sweep")
    answer = sweep(*words, "hydra.sweeper.n_trials=3")
    assert answer.returncode == 0, answer.stderr
    jobs = jobs_in(tmp_path / "sweep")
    assert list(jobs) == ["0", "1", "2"] and {name: jobs[name] for name in first} == first
    assert all(len((tmp_path / "sweep" / name / "done").read_text().splitlines()) == 1 for name in jobs)
    best = yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text())
    assert best["best_value"] == min(job["objective"] for job in jobs.values())
    for job in jobs.values():
        assert job["objective"] == pytest.approx((float(job["overrides"][0].partition("=")[2]) - 3) ** 2)


@pytest.mark.slow
def test_jobs_of_submitit(sweep, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs einthoven[sweep]")
    answer = sweep("hydra/launcher=submitit_local", "x=1,2")
    assert answer.returncode == 0, answer.stderr
    assert [job["objective"] for job in jobs_in(tmp_path / "sweep").values()] == [4, 1]


def test_a_failing_job_is_reported_in_one_line_and_the_others_are_done(sweep, tmp_path):
    answer = sweep("x=-1,2")
    assert answer.returncode == 2
    assert answer.stderr.splitlines()[-1] == "measure: error: x must not be negative"
    assert "Traceback" not in answer.stderr
    assert list(jobs_in(tmp_path / "sweep")) == ["1"]


def test_jobs_do_not_share_a_folder(sweep, tmp_path):
    answer = sweep("x=1,2", f"measure.results_path={tmp_path}/one")
    assert answer.returncode == 2
    assert "leave out measure.results_path" in answer.stderr and "hydra.sweep.dir" in answer.stderr


def test_a_missing_plugin_is_named(sweep):
    answer = sweep("hydra/launcher=ray", "x=1,2", WITHOUT_PLUGINS="1")
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    assert "hydra-ray-launcher, or what it needs, is not installed: pip install 'einthoven[ray]'" in answer.stderr


def test_a_broken_record_of_a_job_is_refused(tmp_path):
    assert run_job(tmp_path, ["x=1"], {"x": 1}, lambda: None) is None
    (tmp_path / JOB).write_text("{}")
    with pytest.raises(ValueError, match="remove it"):
        read_job(tmp_path)
