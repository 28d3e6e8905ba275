"""The table and the picture of a sweep."""

import numpy as np
import pandas as pd
import pytest

from einthoven.run.run_folder import RunFolder
from einthoven.run.sweep_job import run_job
from evaluation.sweeps.results import best_command, read_sweep, write_sweep


def make_jobs(folder, settings, objective):
    for number, chosen in enumerate(settings):
        overrides = [f"{key}={value}" for key, value in chosen.items()]
        run_job(folder / str(number), ["experiment=a", *overrides], chosen, lambda chosen=chosen: objective(chosen))


@pytest.mark.usefixtures("pictures")
def test_table_holds_what_differs_the_best_first(tmp_path):
    settings = [{"n_steps": n, "spread": spread} for n in (4, 8) for spread in (1.0, 1.1, 1.3)]
    make_jobs(tmp_path / "sweep", settings, lambda chosen: 1 / chosen["n_steps"] + (chosen["spread"] - 1.1) ** 2)
    (tmp_path / "sweep" / "6").mkdir()
    sweep = read_sweep(tmp_path / "sweep")
    assert sweep.parameters == ("n_steps", "spread") and sweep.n_unfinished == 1
    assert sweep.table.iloc[0][["job", "n_steps", "spread"]].tolist() == ["4", 8.0, 1.1]
    assert sweep.table["objective"].is_monotonic_increasing
    assert read_sweep(tmp_path / "sweep", maximise=True).table.iloc[0]["job"] == "2"
    markdown = write_sweep(sweep, tmp_path / "out", "CRPS (mV)")
    assert "CRPS (mV)" in markdown and "jobs that have not ended: 1" in markdown
    assert len(pd.read_csv(tmp_path / "out" / "sweep.csv")) == 6
    assert (tmp_path / "out" / "sweep.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "settings",
    [
        [{"algo": "ddnm"}, {"algo": "mgps"}],
        [{"rate": 1e-4}, {"rate": 1e-2}],
        [{"a": 1, "b": "x", "c": 2.0}, {"a": 2, "b": "y", "c": 2.5}, {"a": 2, "b": "x", "c": 2.6}],
        [{"a": 1}],
    ],
)
def test_any_kind_of_settings_is_drawn(tmp_path, settings):
    make_jobs(tmp_path / "sweep", settings, lambda chosen: float(len(str(chosen))))
    sweep = read_sweep(tmp_path / "sweep")
    write_sweep(sweep, tmp_path, "loss")
    assert (tmp_path / "sweep.png").is_file() == (len(settings) > 1)


def test_the_next_command_makes_the_best_job_again(tmp_path, monkeypatch):
    make_jobs(tmp_path, [{"n_steps": 4}, {"n_steps": 8}], lambda chosen: 1 / chosen["n_steps"])
    sweep = read_sweep(tmp_path)
    assert best_command(sweep, tmp_path) == []
    monkeypatch.setattr("sys.argv", ["/a place/reconstruction/inpaint.py", "n_steps=8"])
    RunFolder.create(tmp_path / "1", {}, seed=0, device="cpu")
    assert best_command(sweep, tmp_path) == ["inpaint", "experiment=a", "n_steps=8"]


def test_folders_that_are_no_sweep_are_refused(tmp_path):
    with pytest.raises(ValueError, match="hydra.sweep.dir"):
        read_sweep(tmp_path / "nothing")
    run_job(tmp_path / "sweep" / "0", [], {}, lambda: None)
    with pytest.raises(ValueError, match="no single objective"):
        read_sweep(tmp_path / "sweep")


def test_job_without_a_number_comes_last(tmp_path):
    make_jobs(tmp_path / "sweep", [{"a": 1}, {"a": 2}], lambda chosen: np.nan if chosen["a"] == 1 else 0.5)
    assert read_sweep(tmp_path / "sweep").table["job"].tolist() == ["1", "0"]
