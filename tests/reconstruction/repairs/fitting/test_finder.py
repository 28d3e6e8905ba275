import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from diffusion_prior.checkpoint import shared_denoiser
from einthoven.ecg.leads import LEADS
from preprocessing.clean_records import CleanRecord
from preprocessing.cohorts.ptbxl import NOISE_COLUMNS
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.repairs.finding.finder import FEATURES, FINDER, SCORE, Finder
from reconstruction.repairs.fitting.finder import (
    Records,
    Settings,
    choose_limits,
    finder_arrays,
    fit_finder,
    training_records,
)
from reconstruction.repairs.fitting.windows import Windows
from reconstruction.repairs.windows import WindowRepairer
from tests.scripts import run_script

RATE_HZ = 100.0
SETTINGS = Settings(
    n_first=2,
    n_records=2,
    n_limits=1,
    clean_every=2,
    n_first_trees=3,
    n_trees=3,
    surely=0.3,
    tolerance=0.005,
    most_touched=1.0,
    archives={},
    seed=0,
    damage_seed=1,
)


@pytest.fixture(scope="module")
def records():
    signals = simulate_ecg(5, sampling_rate=RATE_HZ, seed=0, rhythm="sinus").astype(np.float64)
    made = [CleanRecord(str(key), signal[:, :1000], RATE_HZ) for key, signal in enumerate(signals)]
    return Records(made[:2], made[2:4], {"fold_9": made[4:]})


def test_a_few_records_make_a_finder_that_comes_back_from_its_file(records, tmp_path):
    rng = np.random.default_rng(0)
    noise = {name: rng.standard_normal((2, 4000)).cumsum(axis=-1) for name in ("bw", "em", "ma")}
    repairer = WindowRepairer(shared_denoiser(), n_samples=2, n_steps=3)
    made = finder_arrays(*fit_finder(records, lambda rate: noise, repairer, None, SETTINGS))
    np.savez_compressed(tmp_path / "finder.npz", **made)
    finder = Finder.load(tmp_path / "finder.npz")
    assert set(finder.arrays()) == set(Finder.load().arrays())
    assert finder.joined.columns.tolist() == list(range(len(FEATURES) - len(SCORE)))
    facts = json.loads(str(made["facts"]))
    assert facts["n_records"] == 2
    assert facts["seed"] == 0
    assert 0 <= facts["fold_9"]["f1"] <= 1
    features = np.zeros((12, 10, len(FEATURES)))
    assert np.isfinite(finder.judge(features, LEADS)[0]).all()
    del made["facts"]
    old = {name: value for name, value in made.items() if not name.startswith("context")}
    np.savez_compressed(tmp_path / "old.npz", **old)
    assert np.isfinite(Finder.load(tmp_path / "old.npz").judge(features, LEADS)[0]).all()


def test_the_packaged_finder_says_what_it_was_fitted_on():
    with np.load(FINDER, allow_pickle=False) as file:
        facts = json.loads(str(file["facts"]))
    assert facts["command"].startswith("einthoven fit_finder")
    assert facts["fold_9"]["f1"] > 0.85
    assert {"date", "data", "n_records", "seed"} <= set(facts)


def test_of_limits_that_are_as_good_those_that_find_most_are_taken():
    finder = Finder.load(FINDER)
    rng = np.random.default_rng(1)
    features = rng.standard_normal((6, 12, 10, len(FEATURES)))
    features[..., FEATURES.index("held_s")] = np.where(hurt := rng.random((6, 12, 10)) < 0.2, 1.0, 0.0)
    windows = Windows(features, np.where(hurt, 1.0, 0.0), np.array([True] * 5 + [False]), np.arange(6))
    limits = {"fold_9": windows}
    recalls = [
        choose_limits(finder, limits, replace(SETTINGS, tolerance=tolerance))[1]["fold_9"] for tolerance in (0.0, 1.0)
    ]
    assert recalls[1]["recall"] >= recalls[0]["recall"]
    assert recalls[0]["f1"] >= recalls[1]["f1"]


def test_too_few_records_and_a_folder_without_ptbxl_are_said(tmp_path, write_record):
    with pytest.raises(ValueError, match=r"ptbxl_database\.csv"):
        training_records(tmp_path, SETTINGS)
    rows = [{"ecg_id": k, "strat_fold": fold, "filename_lr": f"r{k}"} for k, fold in enumerate((1, 8, 9, 10))]
    pd.DataFrame(rows).assign(**dict.fromkeys(NOISE_COLUMNS, np.nan)).to_csv(tmp_path / "ptbxl_database.csv")
    with pytest.raises(ValueError, match="too few records"):
        training_records(tmp_path, SETTINGS)


def test_the_script_says_what_is_missing(tmp_path):
    done = run_script("reconstruction.fit_finder", f"paths.data={tmp_path}", f"paths.runs={tmp_path}")
    assert done.returncode != 0
    assert "bw" in done.stderr
    assert not (tmp_path / "finder").exists()
