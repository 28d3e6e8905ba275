import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.ecg.leads import LEADS
from einthoven.run.run_folder import RunFolder
from tests.scripts import run_script


def evaluate(*overrides: str, runs: Path) -> subprocess.CompletedProcess[str]:
    environment = {"ECG_RUNS": str(runs), "ECG_DATA": str(runs / "no_data")}
    return run_script("evaluation.evaluate_noise", *overrides, environment=environment)


def write_scores(folder: Path) -> Path:
    """Writes a finished run on PTB-XL's fold 10: limb leads clean, chest leads with static noise."""
    leads = pd.MultiIndex.from_product([range(8), LEADS], names=["ecg_id", "lead"]).to_frame(index=False)
    noisy = leads["lead"].str.startswith("V")
    psnr = 27.0 - 4.0 * noisy + np.random.default_rng(0).standard_normal(len(leads))
    labels = {"clean": ~noisy, "static": noisy, "baseline": False, "burst": False, "split": "test", "trained": False}
    RunFolder.create(
        folder, {"checkpoint": "runs/pixel", "noise_scheduler_type": "ddpm", "timestep": 50}, seed=0, device="cpu"
    )
    leads.assign(segment=0, psnr=psnr, unusable=False, **labels).to_parquet(folder / "scores.parquet")
    return folder


def test_evaluation_prints_its_table_and_leaves_a_run_folder(tmp_path):
    path = write_scores(tmp_path / "scores")
    done = evaluate(f"runs=[{path}]", "evaluate.n_resamples=20", runs=tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert "| pixel ddpm 50 |" in done.stdout and "static" in done.stdout
    (folder,) = (tmp_path / "results" / "evaluate_noise").iterdir()
    names = {"config.yaml", "provenance.json", "table.csv", "table.md", "rules.csv", "ptbxl_test.png"}
    assert names <= {file.name for file in folder.iterdir()}


def test_evaluation_says_what_is_missing(tmp_path):
    for overrides, message in (([], "give 'runs="), (["runs=[nowhere]"], "nowhere")):
        done = evaluate(*overrides, runs=tmp_path / message.split()[0])
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1 and message in done.stderr
