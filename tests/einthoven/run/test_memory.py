import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from einthoven.report.tables import write_measurements
from einthoven.run.memory import StepTimer, measure_alone, measure_jobs


def fill_memory(megabytes: int) -> dict[str, float]:
    return {"total": float(np.ones(megabytes * 125_000).sum()), "pid": os.getpid()}


def refuse(mistake: bool) -> dict[str, float]:
    raise ValueError("choose better") if mistake else KeyError("a fault")


def vanish() -> dict[str, float]:
    os._exit(1)


def fill_childs_memory(megabytes: int) -> dict[str, float]:
    command = f"x = b'1' * {megabytes * 1_000_000}; import time; time.sleep(0.5)"
    return {"status": subprocess.run([sys.executable, "-c", command], check=True).returncode}


class Numbers:
    def batch(self, n: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {"x": torch.rand(n, 3, generator=generator)}


def test_work_is_measured_in_a_process_of_its_own():
    small, large = measure_alone(fill_memory, megabytes=1), measure_alone(fill_memory, megabytes=200)
    assert large["total"] == 200 * 125_000
    assert os.getpid() not in (small["pid"], large["pid"])
    assert large["peak_memory_mb"] - small["peak_memory_mb"] == pytest.approx(199, abs=40)
    assert large["wall_seconds"] > 0


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_memory_of_child_processes_counts():
    small, large = (measure_alone(fill_childs_memory, megabytes=size) for size in (1, 200))
    assert large["peak_memory_mb"] - small["peak_memory_mb"] == pytest.approx(199, abs=40)


def test_faults_of_the_work_reach_the_caller():
    with pytest.raises(ValueError, match="choose better"):
        measure_alone(refuse, mistake=True)
    with pytest.raises(RuntimeError, match="a fault"):
        measure_alone(refuse, mistake=False)
    with pytest.raises(RuntimeError, match="without a result"):
        measure_alone(vanish)


def test_only_the_parts_asked_for_are_measured():
    jobs = {("a", "one"): (fill_memory, {"megabytes": 1}), ("b", "two"): (refuse, {"mistake": True})}
    table = measure_jobs(jobs, ["a"])
    assert table[["part", "case"]].values.tolist() == [["a", "one"]]
    with pytest.raises(ValueError, match="choose from a, b"):
        measure_jobs(jobs, ["c"])


def test_step_timer_gives_the_time_between_batches():
    timer = StepTimer(Numbers())
    for pause in (0.2, 0.02, 0.02, 0.02, 0.02):
        assert timer.batch(4, torch.Generator())["x"].shape == (4, 3)
        time.sleep(pause)
    assert timer.seconds_per_step(n_warmup=1) == pytest.approx(0.02, abs=0.01)
    assert len(timer.validation()["x"]) == 2


def test_measurements_are_written_three_times(tmp_path):
    table = pd.DataFrame([{"part": "a", "seconds": 1.2345}, {"part": "b", "records_per_second": 432.1}])
    markdown = write_measurements(table, tmp_path, "a machine")
    assert "1.23" in markdown and "432" in markdown and "- a machine" in markdown
    assert (tmp_path / "benchmark.md").read_text() == markdown
    assert pd.read_json(tmp_path / "benchmark.json", typ="series")["measurements"][0] == {
        "part": "a",
        "seconds": 1.2345,
    }
    assert pd.read_csv(tmp_path / "benchmark.csv").shape == (2, 3)
