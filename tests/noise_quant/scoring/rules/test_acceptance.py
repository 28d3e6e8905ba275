"""The rule for whole records: what it sees, how it is fitted, kept and told."""

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import LEADS
from einthoven.run.run_folder import RunFolder
from noise_quant.api import score
from noise_quant.model.checkpoint import load_model, save_model
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scoring.calibration import calibrate_acceptance
from noise_quant.scoring.rules.acceptance import Acceptance, find_acceptance, fit_acceptance
from noise_quant.scoring.verdict import find_thresholds
from preprocessing.cohorts.simulator import simulate_ecg

RATE = 100.0


@pytest.fixture(scope="module")
def ecg():
    return simulate_ecg(1, 100, duration=10.0, rhythm="sinus")[0].astype(np.float64)


def record_table(n_records=160, seed=0):
    """Records of which every third is unacceptable: the PSNR of one lead and the beats of another tell it."""
    rng = np.random.default_rng(seed)
    keys = {"ecg_id": np.repeat(np.arange(n_records), 12), "lead": np.tile(np.array(LEADS), n_records)}
    table = pd.DataFrame(keys).assign(segment=0, reason="", split=None)
    table["acceptable"] = table["ecg_id"] % 3 > 0
    table["psnr"] = 28.0 + rng.standard_normal(len(table)) - 5.0 * (~table["acceptable"] & (table["lead"] == "V1"))
    table["beats"] = 0.95 - 0.02 * rng.random(len(table)) - 0.3 * (~table["acceptable"] & (table["lead"] == "V2"))
    table["range_mv"] = 2.0 + rng.random(len(table)) + 3.0 * (~table["acceptable"] & (table["lead"] == "V3"))
    table["unusable"] = ~table["acceptable"] & (table["lead"] == "I") & (table["ecg_id"] % 2 == 0)
    table.loc[table["unusable"], "psnr"] = np.nan
    table["half"] = np.where(table["ecg_id"] < 120, "fit", "test")
    return table


def test_the_fitted_rule_parts_records_and_is_monotone():
    table = record_table()
    fit = fit_acceptance(table[table["half"] == "fit"])
    assert (fit.n_records, fit.n_unacceptable) == (120, 40)
    assert fit.auroc > 0.95 and fit.auroc_usable > 0.95
    assert min(fit.rule.psnr, fit.rule.beats, fit.rule.unusable, fit.rule.range_mv) >= 0
    psnr, lost = np.full((12, 1), 28.0), np.zeros((12, 1), dtype=bool)
    plain = {"beats": np.full((12, 1), 0.94), "range_mv": np.full((12, 1), 2.5)}
    good = fit.rule.probability(psnr, plain, lost)
    alike, wide = plain | {"beats": plain["beats"] - 0.2}, plain | {"range_mv": plain["range_mv"] + 2.0}
    few = np.arange(12)[:, None] < 3
    for worse in ((psnr - 3, plain, lost), (psnr, alike, lost), (psnr, wide, lost), (psnr, plain, few)):
        assert fit.rule.probability(*worse) < good
    assert fit.rule.probability(psnr, plain, ~lost) == 0
    assert np.isnan(fit.rule.probability(psnr, plain | {"beats": psnr * np.nan}, lost))
    assert fit.rule.probability(psnr * np.inf, plain, lost) > good


def test_inputs_that_say_nothing_or_the_wrong_way_get_no_weight():
    table = record_table()
    table["psnr"] = np.where(table["acceptable"], 20.0, 30.0)
    assert fit_acceptance(table).rule.psnr == 0
    with pytest.raises(ValueError, match="16 acceptable and 16 unacceptable records are needed, not 3"):
        fit_acceptance(table[table["ecg_id"] < 9])


@pytest.mark.filterwarnings("ignore:no thresholds are known")
def test_a_run_becomes_a_rule_in_a_copy_of_the_weights(tiny_model_file, tmp_path, ecg):
    settings = {"source": "cinc2011", "method": "diffusion", "checkpoint": str(tiny_model_file), "timestep": 30}
    settings |= {"step_interval": 10, "noise_scheduler_type": "ddim", "discretization": None, "n_partitions": 1}
    run = RunFolder.create(tmp_path / "run", settings, seed=0, device="cpu")
    with pytest.raises(ValueError, match="no finished run"):
        calibrate_acceptance(run.path, tmp_path)
    record_table().to_parquet(run.path / "scores.parquet")
    model = load_model(tiny_model_file)
    limits = {"thresholds": {ReverseProcess().key: {"clean": 27.0, "heavy": 22.0}}}
    save_model(tmp_path / "limits.safetensors", model, limits)
    weights = tmp_path / "with_rule.safetensors"
    fit = calibrate_acceptance(run.path, tmp_path, weights, tmp_path / "limits.safetensors")
    assert fit.n_records == 120 and (tmp_path / "acceptance.json").is_file()
    written = load_model(weights)
    rule = find_acceptance(written, ReverseProcess())
    assert rule.psnr == pytest.approx(fit.rule.psnr, abs=1e-3)
    assert find_acceptance(written, ReverseProcess(50)) is None
    assert find_thresholds(written, ReverseProcess()).clean == 27.0  # facts that were there stay
    record_table().drop(columns="beats").to_parquet(run.path / "scores.parquet")
    with pytest.raises(ValueError, match="lacks beats: score again"):
        calibrate_acceptance(run.path, tmp_path)
    old = {"acceptance": {ReverseProcess().key: {"offset": 1.0, "psnr": 0.1, "beats": 2.0, "unusable": 3.0}}}
    save_model(tmp_path / "old.safetensors", model, old)  # as rules were before they saw ranges
    assert find_acceptance(load_model(tmp_path / "old.safetensors"), ReverseProcess()).range_mv == 0

    ecg = np.concatenate([ecg, ecg], axis=-1)
    ecg[2, 1000:] = 0.0
    told, plain = score(ecg, RATE, LEADS, weights=weights), score(ecg, RATE, LEADS, weights=tiny_model_file)
    np.testing.assert_array_equal(told.psnr, plain.psnr)  # the rule moves no score
    assert plain.acceptable_probability is None and "acceptable" not in repr(plain)
    first, second = told.acceptable_probability
    assert 0 <= second < first <= 1 and "acceptable" in repr(told) and "from 10 s on" in repr(told)
    table = told.to_data_frame()
    assert (table.loc[table["segment"] == 1, "acceptable_probability"] == second).all()
    assert plain.to_data_frame()["acceptable_probability"].isna().all()
    assert isinstance(rule, Acceptance)
