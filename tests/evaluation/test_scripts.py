import subprocess
from pathlib import Path

from einthoven.run.launch import plain
from evaluation import benchmark
from evaluation.benchmarks import measuring
from tests.evaluation.conftest import FakeRun
from tests.scripts import run_script
from tests.test_configs import compose


def run(module: str, *overrides: str, runs: Path) -> subprocess.CompletedProcess[str]:
    return run_script(module, *overrides, environment={"ECG_RUNS": str(runs), "ECG_DATA": str(runs / "no_data")})


def test_evaluation_prints_its_table_and_leaves_a_run_folder(fake_run: FakeRun, tmp_path: Path):
    path = fake_run.write("amortised")
    done = run(
        "evaluation.evaluate_reconstruction", f"run={path}", "evaluate.n_resamples=20", runs=tmp_path / "results"
    )
    assert done.returncode == 0, done.stderr
    assert "| MAE of the mean (mV)" in done.stdout
    (folder,) = (tmp_path / "results" / "evaluate_reconstruction").iterdir()
    assert {"config.yaml", "provenance.json", "table.csv", "table.md", "amortised"} <= {
        p.name for p in folder.iterdir()
    }


def test_evaluation_says_what_is_missing(tmp_path: Path):
    done = run("evaluation.evaluate_reconstruction", "run=nowhere", runs=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "error:" in done.stderr


def test_benchmark_measures_training(tmp_path: Path, monkeypatch):
    sizes = ["model=tiny", "benchmark.training.n_steps=5", "benchmark.training.records=2"]
    sizes += ["benchmark.training.each.precision=[bf16]", "benchmark.parts=[training]"]
    monkeypatch.setattr(measuring, "measure_alone", measuring.rows_of)  # a process of its own is tested with it
    monkeypatch.setattr(benchmark, "run_path", lambda config: tmp_path)
    outcome = benchmark.main.__wrapped__(plain(compose("benchmark", sizes)))
    assert "records per minute" in outcome.text and "bf16" in outcome.text
    assert (tmp_path / "benchmark.csv").is_file()
