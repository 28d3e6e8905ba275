"""The whole reproduction at its smallest size, as a user runs it; and the process that runs its stages."""

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.paths import ROOT


def reproduce(*overrides: str, runs: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ECG_RUNS": str(runs), "ECG_DATA": str(runs / "no_data")}
    command = [sys.executable, "-m", "evaluation.reproduce", *overrides]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_smoke_makes_every_table_and_then_has_nothing_to_do(tmp_path):
    lean = ["size=smoke", "size.noise.refinement=null"]  # five stages fewer
    done = reproduce(*lean, runs=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    root = tmp_path / "reproduce" / "smoke"
    for table in ("lead_i", "missing_block", "denoising", "generation", "noise"):
        numbers = pd.read_csv(root / "tables" / f"{table}.csv")
        assert numbers["value"].notna().any()
        assert {f"{table}.md", f"{table}.tex"} <= {path.name for path in (root / "tables").iterdir()}
    lead_i = pd.read_csv(root / "tables" / "lead_i.csv")
    assert {"amortised", "unet_regression", "ridge"} <= set(lead_i["method"])
    page = (root / "index.html").read_text()
    assert page.count("data:image/png") > 5 and "reconstruction.train_rival" in page
    again = reproduce(*lean, "reproduce.dry_run=true", runs=tmp_path)
    assert again.returncode == 0 and again.stdout.strip() == ""


def test_unknown_table_is_told_before_any_work(tmp_path):
    done = reproduce("table=lead_1", "size=smoke", runs=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "lead_i" in done.stderr
    assert not (tmp_path / "reproduce" / "smoke" / "data").exists()


SCRIPT = """
import sys, time
from pathlib import Path

kind, folder = sys.argv[1:]
folder = Path(folder.removeprefix("results_path="))
folder.mkdir(parents=True, exist_ok=True)
print("started", kind)
if kind == "fail":
    raise SystemExit(2)
if kind == "sleep":
    (folder / "started").write_text("")
    time.sleep(60)
(folder / "out").write_text(kind)
"""

DRIVER = """
import sys
from pathlib import Path

import evaluation.reproduction.runner as runner
from evaluation.reproduction.stages import Stage

runner.PRELOAD = ("evaluation.reproduction.runner",)
root = Path(sys.argv[1])


def stage(name, kind, *reads):
    return Stage(name, "fake_script", (kind,), root / name, "results_path", reads, (root / name / "out",))


if __name__ == "__main__":
    stages = [stage("a", sys.argv[2]), stage("b", "write"), stage("c", "write", "a"), stage("d", "write", "b")]
    print(runner.run_stages(stages, n_jobs=2, tell=print))
"""


@pytest.fixture
def driver(tmp_path):
    (tmp_path / "fake_script.py").write_text(SCRIPT)
    (tmp_path / "driver.py").write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}

    def start(kind: str) -> "subprocess.Popen[str]":
        command = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path / "runs"), kind]
        return subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True)

    return start


@pytest.mark.slow
def test_a_stage_that_fails_stops_only_what_reads_it(driver, tmp_path):
    told, _ = driver("fail").communicate(timeout=300)
    assert "{'a': 'failed', 'c': 'not begun', 'b': 'done', 'd': 'done'}" in sorted_outcome(told)
    assert "a: failed (started fail)" in told
    told, _ = driver("write").communicate(timeout=300)
    assert "{'a': 'done', 'c': 'done', 'b': 'kept', 'd': 'kept'}" in sorted_outcome(told)


@pytest.mark.slow
def test_stages_end_with_the_process_that_asked_for_them(driver, tmp_path):
    process = driver("sleep")
    marker, log = tmp_path / "runs" / "a" / "started", tmp_path / "runs" / "stages" / "a.log"
    wait_for(marker.exists)
    writers = [pid for pid in children_of(process.pid) if log.exists() and opens(pid, log)]
    assert writers
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in writers))


def sorted_outcome(told: str) -> str:
    outcome = ast.literal_eval(told.splitlines()[-1])
    return str({name: outcome[name] for name in "acbd"})


def wait_for(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            found += [child, *children_of(child)]
    return found


def opens(pid: int, path: Path) -> bool:
    """Tells whether a process has a file as its standard output."""
    try:
        return os.readlink(f"/proc/{pid}/fd/1") == str(path)
    except OSError:
        return False
