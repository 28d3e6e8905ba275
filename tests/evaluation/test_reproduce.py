"""The whole reproduction at its smallest size."""

from dataclasses import dataclass
from multiprocessing.process import BaseProcess

import pandas as pd
import pytest

from einthoven.run.launch import plain
from einthoven.run.lock import LOCK, held_folder
from evaluation.reproduction.plan import TABLES, next_command
from evaluation.reproduction.plans import make_plan
from evaluation.reproduction.report import write_report
from evaluation.reproduction.stages import Stage, is_finished, run_stages
from preprocessing.cohorts.simulated_files import write_synthetic_files
from tests.scripts import run_script, start_script
from tests.test_configs import compose

FEWER = (
    "size.noise.refinement=null",
    *("~size.denoising.methods.descod", "~size.denoising.methods.unet_denoiser"),
    *("~size.generation.classifiers.lead_i", "size.generation.comparisons=[[generated,real],[real]]"),
)
"""Twelve stages fewer, of kinds that others are of too."""


@dataclass
class Forked:
    """A stage in a process that starts with the libraries loaded."""

    process: BaseProcess

    def poll(self) -> int | None:
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()


def fork(stage: Stage) -> Forked:
    output = stage.log_path.with_suffix("")
    output.mkdir()
    stage.log_path.symlink_to(output / "stderr")
    return Forked(start_script(stage.module, *stage.arguments, output=output))


@pytest.mark.slow
def test_smoke_makes_every_table_and_then_has_nothing_to_do(tmp_path):
    config = plain(compose("reproduce", ["size=smoke", *FEWER]))
    paths = {"data": f"{tmp_path}/data", "stores": f"{tmp_path}/stores", "runs": f"{tmp_path}/runs"}
    plan = make_plan(tmp_path, paths, config["size"])
    write_synthetic_files(paths["data"], config["size"]["simulated_records"])
    stages, lines = plan.wanted(list(TABLES)), []
    outcome = run_stages(stages, n_jobs=2, report=lines.append, start=fork)
    assert set(outcome.values()) == {"done"}, lines
    write_report(plan, outcome, 1.0)
    for table in TABLES:
        numbers = pd.read_csv(tmp_path / "tables" / f"{table}.csv")
        assert numbers["value"].notna().any()
        assert {f"{table}.md", f"{table}.tex"} <= {path.name for path in (tmp_path / "tables").iterdir()}
    lead_i = pd.read_csv(tmp_path / "tables" / "lead_i.csv")
    assert {"amortised", "unet_regression", "ridge"} <= set(lead_i["method"])
    page = (tmp_path / "index.html").read_text()
    assert page.count("data:image/png") > 5 and "reconstruction.train_rival" in page
    assert all(is_finished(stage, plan.stages) for stage in stages)


def test_dry_run_lists_commands(tmp_path):
    runs = {"ECG_RUNS": str(tmp_path)}
    done = run_script("evaluation.reproduce", "size=smoke", "table=noise", "reproduce.dry_run=true", environment=runs)
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("python -m preprocessing.prepare_ptbxl") and "evaluation.evaluate_noise" in last
    assert not (tmp_path / "reproduce" / "smoke" / "data").exists()


def test_a_second_process_is_refused(tmp_path):
    words, folder = ("evaluation.reproduce", "size=smoke"), tmp_path / "reproduce" / "smoke"
    with held_folder(folder):
        done = run_script(*words, environment={"ECG_RUNS": str(tmp_path)})
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and f"another process is at work in {folder}:" in done.stderr
    assert [path.name for path in folder.iterdir()] == [LOCK]


def test_the_next_command_is_the_next_size_and_then_a_recording():
    assert next_command("smoke", ["lead_i", "noise"]) == ["reproduce", "table=[lead_i,noise]", "size=shared"]
    assert next_command("full", ["noise"])[0] == "inpaint"


def test_unknown_table_is_reported_before_any_work(tmp_path):
    runs = {"ECG_RUNS": str(tmp_path)}
    done = run_script("evaluation.reproduce", "table=lead_1", "size=smoke", environment=runs)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "lead_i" in done.stderr
    assert not (tmp_path / "reproduce" / "smoke" / "data").exists()
