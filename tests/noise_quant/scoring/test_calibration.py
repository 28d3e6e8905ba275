"""Thresholds of the verdict from scores of clean leads and of mixtures."""

import json

import numpy as np
import pandas as pd
import pytest

from einthoven.run.run_folder import RunFolder
from noise_quant.model.checkpoint import load_model
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scoring.calibration import best_cut, calibrate, calibrate_runs, verdict_shares
from noise_quant.scoring.verdict import find_thresholds

RNG = np.random.default_rng(0)
RATIOS = (24.0, 18.0, 12.0, 6.0, 0.0, -6.0)


def clean_table(n_leads=1200):
    table = pd.DataFrame({"ecg_id": np.arange(n_leads) // 12, "lead": np.tile(np.arange(12), n_leads // 12)})
    return table.assign(
        psnr=RNG.permutation(np.linspace(25, 35, n_leads)), segment=0, clean=True, unusable=False, split="val"
    )


def mixture_table(centre):
    """Mixed leads whose PSNR is `centre` at 6 dB and a third of a dB more at each dB."""
    rows = [
        {"ecg_id": key, "lead": "I", "segment": 0, "noise_type": noise, "snr_db": ratio, "unusable": False}
        | {"psnr": centre + (ratio - 6) / 3 + 0.01 * key}
        for key in range(50)
        for noise in ("bw", "em", "ma")
        for ratio in RATIOS
    ]
    return pd.DataFrame(rows)


def test_best_cut_parts_two_samples():
    cut, youden = best_cut([1.0, 2.0, 3.0], [5.0, 6.0])
    assert (cut, youden) == (4.0, 1.0)
    cut, youden = best_cut([1.0, 2.0, 9.0], [8.0, 10.0, 11.0])
    assert (cut, youden) == (5.0, pytest.approx(2 / 3))
    low, high = RNG.normal(0, 1, 400), RNG.normal(1, 1, 300)
    brute = max(((low < t).mean() - (high < t).mean()) for t in np.linspace(-4, 5, 20_001))
    assert best_cut(low, high)[1] == pytest.approx(brute, abs=1e-9)
    with pytest.raises(ValueError, match="sources.mixtures.snr_db"):
        best_cut([], [1.0])


def test_thresholds_are_percentiles_unless_mixtures_part_lower():
    clean = clean_table()
    alone = calibrate(clean, mixture_table(28).iloc[:0], "ddim-10-30")
    assert (alone.clean, alone.heavy) == (pytest.approx(26), pytest.approx(25.1))
    assert (clean["psnr"] < alone.heavy).mean() <= 0.01
    assert alone.best_cut is None
    high = calibrate(clean, mixture_table(30), "ddim-10-30")  # the cut, about 30 dB, is above the percentile
    assert high.best_cut == pytest.approx(30.25, abs=0.3)
    assert high.youden == 1.0
    assert high.heavy == alone.heavy
    low = calibrate(clean, mixture_table(20), "ddim-10-30")
    assert low.heavy == low.best_cut == pytest.approx(20.25, abs=0.3)
    assert (low.n_leads, low.n_records, low.n_mixtures) == (1200, 100, 50 * 2 * 5)
    with pytest.raises(ValueError, match="too few"):
        calibrate(clean.iloc[:50], mixture_table(20), "ddim-10-30")


def test_verdict_shares_add_up():
    clean, mixtures = clean_table(), mixture_table(27)
    shares = verdict_shares(clean, mixtures, calibrate(clean, mixtures, "ddim-10-30").thresholds)
    verdicts = shares.drop(columns=["noise_type", "snr_db", "n_leads"])
    np.testing.assert_allclose(verdicts.sum(axis=1), 1)
    indexed = shares.set_index(["noise_type", "snr_db"])
    assert indexed.loc[("none", np.inf), "clean"] == pytest.approx(0.9, abs=0.01)
    assert indexed.loc[("em", -6.0), "heavily noisy"] == 1
    assert indexed.loc[("em", 24.0), "clean"] == 1


@pytest.fixture
def runs(tiny_model_file, tmp_path):
    """Two finished runs of score_noise, and a function that makes another one."""

    def make(name, table, **config):
        settings = {
            **{"source": "ptbxl", "split": "val", "method": "diffusion", "checkpoint": str(tiny_model_file)},
            **{"timestep": 30, "step_interval": 10, "noise_scheduler_type": "ddim"},
            **{"discretization": None, "n_partitions": 1},
        }
        run = RunFolder.create(tmp_path / name, {**settings, **config}, seed=0, device="cpu")
        table.to_parquet(run.path / "scores.parquet")
        return run.path

    clean = clean_table()
    noisy = clean.iloc[:12].assign(ecg_id=900, clean=False, psnr=0.0)
    broken = clean.iloc[:12].assign(ecg_id=901, unusable=True, psnr=np.nan)
    make("clean", pd.concat([clean, noisy, broken]))
    make("mixed", mixture_table(20), source="mixtures")
    return make


def test_runs_become_thresholds_in_a_copy_of_the_weights(runs, tiny_model, tmp_path):
    weights = tmp_path / "out" / "calibrated.safetensors"
    calibration = calibrate_runs([tmp_path / "clean", tmp_path / "mixed"], tmp_path / "out", weights)
    assert calibration.clean == pytest.approx(26)
    assert (calibration.n_leads, calibration.n_records) == (1200, 100)
    content = json.loads((tmp_path / "out" / "thresholds.json").read_text())
    assert (content["process"], content["clean"]) == ("ddim-10-30", calibration.clean)
    assert content["runs"] == ["clean", "mixed"]
    model = load_model(weights)
    thresholds = find_thresholds(model, ReverseProcess())
    assert thresholds.clean == pytest.approx(calibration.clean, abs=1e-3)
    assert thresholds.heavy == pytest.approx(calibration.heavy, abs=1e-3)
    assert model.facts["name"] == "tiny"
    for name, weight in tiny_model.state_dict().items():
        assert (model.state_dict()[name] == weight).all()
    assert (tmp_path / "out" / "verdict_shares.csv").is_file()


def test_runs_that_do_not_fit_are_refused(runs, tmp_path):
    clean, mixed = tmp_path / "clean", tmp_path / "mixed"
    other = runs("other", mixture_table(20), source="mixtures", timestep=50)
    test = runs("test", clean_table(), split="test")
    for chosen, message in (
        ([], "give 'runs="),
        ([mixed], "no run of clean leads"),
        ([clean, other], "differ in timestep"),
        ([clean, test], "split val"),
        ([clean, clean], "the same leads"),
        ([tmp_path / "none"], "not a run folder"),
    ):
        with pytest.raises(ValueError, match=message):
            calibrate_runs(chosen, tmp_path / "out")
    with pytest.raises(ValueError, match="safetensors"):
        calibrate_runs([clean, mixed], tmp_path / "out", tmp_path / "weights.pth")
