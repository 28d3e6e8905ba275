"""Stages: when they are finished, in which order they run, what fails with them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from einthoven.run.files import write_json
from einthoven.run.run_folder import RunFolder
from evaluation.reproduction.plan import Plan, chosen_tables
from evaluation.reproduction.stages import Stage, describe, is_finished, run_stages
from tests.paths import ROOT
from tests.scripts import wait_for


def stage(root: Path, name: str = "a", overrides=("n=1",), reads=(), is_derived=False) -> Stage:
    folder = root / name
    return Stage(name, "package.script", tuple(overrides), folder, folder / "out", "results_path", reads, is_derived)


def finish(one: Stage, at: str = "2026-01-01", exit_status: int = 0) -> None:
    one.folder.mkdir(parents=True, exist_ok=True)
    one.result.write_text("")
    write_json(one.record_path, {"command": one.command, "exit_status": exit_status, "seconds": 2.0, "ended_at": at})


class Ended:
    """A process that has ended."""

    def __init__(self, status: int) -> None:
        self.status = status

    def poll(self) -> int:
        return self.status

    def kill(self) -> None:
        raise AssertionError


def play(failing=(), log=None):
    def start(one: Stage) -> Ended:
        if log is not None:
            log.append(one.name)
        one.log_path.write_text("working\nbroken\n")
        if one.name not in failing:
            one.folder.mkdir(exist_ok=True)
            one.result.write_text("")
        return Ended(2 if one.name in failing else 0)

    return start


def test_command_is_one_that_may_be_typed(tmp_path):
    one = stage(tmp_path, overrides=["leads=[I, II]"])
    assert one.command == f"python -m package.script 'leads=[I, II]' results_path={tmp_path / 'a'}"


def test_stage_is_finished_with_its_result_and_the_same_command(tmp_path):
    one = stage(tmp_path)
    assert not is_finished(one, {})
    finish(one)
    assert is_finished(one, {})
    assert not is_finished(stage(tmp_path, overrides=["n=2"]), {})
    finish(one, exit_status=2)
    assert not is_finished(one, {})
    finish(one)
    one.result.unlink()
    assert not is_finished(one, {})


def test_a_run_folder_from_elsewhere_is_not_taken_by_its_name(tmp_path):
    one = stage(tmp_path)
    one.folder.mkdir()
    one.result.write_text("")
    assert not is_finished(one, {})
    assert run_stages([one], start=play()) == {"a": "done"}
    assert is_finished(one, {})


def test_derived_stage_is_done_anew_when_what_it_reads_is_newer(tmp_path):
    source, derived = stage(tmp_path, "source"), stage(tmp_path, "derived", reads=("source",), is_derived=True)
    stages = {one.name: one for one in (source, derived)}
    finish(source, "2026-01-01")
    finish(derived, "2026-01-02")
    assert is_finished(derived, stages)
    finish(source, "2026-01-03")
    assert not is_finished(derived, stages) and is_finished(source, stages)


def test_only_derived_run_folders_are_emptied(tmp_path):
    stages = [stage(tmp_path, name, is_derived=name == "derived") for name in ("derived", "other")]
    for one in stages:
        RunFolder.create(one.folder, {}, seed=0, device="cpu")
    run_stages(stages, start=play())
    assert [(one.folder / "config.yaml").exists() for one in stages] == [False, True]


def test_seconds_of_tries_are_added(tmp_path):
    one = stage(tmp_path)
    finish(one, exit_status=1)
    assert run_stages([one], start=play()) == {"a": "done"}
    assert one.record()["seconds"] >= 2.0 and one.record()["exit_status"] == 0


def test_a_stage_that_fails_stops_only_what_reads_it(tmp_path):
    names = {"a": (), "b": (), "c": ("a",), "d": ("b",)}
    stages, lines, order = [stage(tmp_path, name, reads=reads) for name, reads in names.items()], [], []
    outcome = run_stages(stages, n_jobs=2, report=lines.append, start=play({"a"}, order))
    assert outcome == {"a": "failed", "b": "done", "c": "not begun", "d": "done"}
    assert order == ["a", "b", "d"]
    assert "a: failed (broken)" in lines[0] and lines[1] == "c: not begun, it reads a"
    assert describe(outcome) == "4 stages: 2 run now, 1 failed, 1 not begun"
    assert run_stages(stages, n_jobs=2, start=play()) == {"a": "done", "b": "kept", "c": "done", "d": "kept"}
    with pytest.raises(ValueError, match="n_jobs must be at least 1"):
        run_stages(stages, n_jobs=0)


def test_a_stage_that_ends_without_its_result_has_failed(tmp_path):
    def start(one: Stage) -> Ended:
        one.log_path.write_text("")
        return Ended(0)

    lines: list[str] = []
    assert run_stages([stage(tmp_path)], report=lines.append, start=start) == {"a": "failed"}
    assert "ended without" in lines[0]


def test_stages_come_after_what_they_read(tmp_path):
    plan = Plan(tmp_path, {})
    plan.add("a", "script", [], "out")
    plan.add("unused", "script", [], "out", ["a"])
    plan.add("b", "script", [], "out", ["a"])
    assert [one.name for one in plan.with_needed(["b"])] == ["a", "b"]
    with pytest.raises(ValueError, match="stage c reads x, which no stage makes"):
        plan.add("c", "script", [], "out", ["a", "x"])


def test_tables_are_chosen_by_name():
    assert chosen_tables("noise") == ["noise"]
    assert chosen_tables(["noise", "lead_i"]) == ["lead_i", "noise"]
    assert len(chosen_tables("all")) == 5
    with pytest.raises(ValueError, match=r"unknown table 'lead_1'.*lead_i"):
        chosen_tables("lead_1")


SLEEP = "import pathlib, sys, time; pathlib.Path(sys.argv[1].partition('=')[2]).touch(); time.sleep(60)"
DRIVER = """
import sys
from pathlib import Path
from evaluation.reproduction.stages import Stage, run_stages

root = Path(sys.argv[1])
run_stages([Stage("a", "sleeping_script", (), root / "a", root / "out", "folder")])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends processes with the one that started them")
def test_stages_end_with_the_process_that_started_them(tmp_path):
    (tmp_path / "sleeping_script.py").write_text(SLEEP)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    process = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)], env=environment, cwd=tmp_path)
    wait_for((tmp_path / "a").exists)
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists())
