"""The rules for noise in a lead: fitted on labels, monotone, kept in the weights and told by scores."""

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import LEADS
from einthoven.run.run_folder import RunFolder
from noise_quant.api import score
from noise_quant.model.checkpoint import load_model
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scoring.calibration import calibrate_lead_noise
from noise_quant.scoring.lead_scores import NOISES
from noise_quant.scoring.rules.lead_features import FEATURES
from noise_quant.scoring.rules.lead_noise import INPUTS, find_lead_noise, fit_lead_noise, lead_inputs
from preprocessing.cohorts.simulator import simulate_ecg

AMPLITUDES = {name: 0.01 for name in FEATURES} | {"drift_db": -10.0, "beats": 0.95, "range_mv": 1.5}
SEEN_BY = {"static": "fast_mv", "baseline": "drift_mv", "burst": "fast_peak_mv"}


def lead_table(n_records=120, seed=0):
    """Leads of which some have each kind of noise, in records that have none other, told by one feature each."""
    rng = np.random.default_rng(seed)
    keys = {"ecg_id": np.repeat(np.arange(n_records), 12), "lead": np.tile(np.array(LEADS), n_records)}
    table = pd.DataFrame(keys).assign(segment=0, unusable=False, **AMPLITUDES)
    spread = {name: np.exp(0.2 * rng.standard_normal(len(table))) for name in AMPLITUDES}
    table = table.assign(psnr=28.0 + rng.standard_normal(len(table)), **{k: table[k] * spread[k] for k in AMPLITUDES})
    for number, (label, name) in enumerate(SEEN_BY.items()):
        table[label] = (table["ecg_id"] % 9 == number) & table["lead"].isin(LEADS[:6])
        table.loc[table[label], name] *= 4.0
    table["clean"] = ~table[list(SEEN_BY)].any(axis=1)
    table.loc[table["ecg_id"] == 4, ["unusable", "psnr"]] = True, np.nan
    return table


def plain(n_leads=12):
    return {name: np.full((n_leads, 1), value) for name, value in AMPLITUDES.items()}


def test_each_kind_is_told_by_what_shows_it():
    fit = fit_lead_noise(lead_table())
    assert fit.n_leads == 119 * 12 and fit.n_noisy["static"] == 14 * 6 and fit.n_noisy["noisy"] == 42 * 6
    assert min(fit.auroc.values()) > 0.97 and tuple(sorted(fit.auroc)) == tuple(sorted(NOISES))
    psnr, lost = np.full((12, 1), 28.0), np.zeros((12, 1), dtype=bool)
    good = fit.rule.probability(psnr, plain(), lost, LEADS)
    assert all(values.shape == (12, 1) and values.max() < 0.2 for values in good.values())
    for kind, label in (("static", "static"), ("drift", "baseline"), ("burst", "burst")):
        worse = plain()
        worse[SEEN_BY[label]] = worse[SEEN_BY[label]] * np.where(np.arange(12) < 6, 5.0, 1.0)[:, None]
        found = fit.rule.probability(psnr, worse, lost, LEADS)
        assert found[kind][:6].min() > 0.5 > found[kind][6:].max()
        assert all((found[name] >= good[name] - 1e-12).all() for name in NOISES)  # noise never makes a lead cleaner
    assert "static" in fit.describe() and all("offset" in rule for rule in fit.facts.values())
    with pytest.raises(ValueError, match="30 leads of each kind of noise and 30 others are needed, not 6"):
        fit_lead_noise(lead_table(9))


def test_groups_leave_unusable_leads_out():
    lost = np.zeros((12, 1), dtype=bool)
    lost[[0, 7]] = True
    psnr = np.where(lost, np.nan, 20.0 + np.arange(12)[:, None])
    inputs = lead_inputs(psnr, plain(), lost, LEADS)
    assert set(inputs) == set(INPUTS) and np.isnan(inputs["fast_mv"][[0, 7]]).all()
    assert inputs["group_psnr"][0] == -23.0 and inputs["group_psnr"][11] == -29.0
    alone = lead_inputs(psnr[3:4], plain(1), lost[3:4], ["X"])
    assert alone["group_psnr"] == alone["psnr"] == -23.0  # of no group


@pytest.mark.filterwarnings("ignore:no thresholds are known")
def test_a_run_becomes_rules_in_a_copy_of_the_weights(tiny_model_file, tmp_path):
    settings = {"source": "ptbxl", "split": "train", "method": "diffusion", "checkpoint": str(tiny_model_file)}
    settings |= {"timestep": 30, "step_interval": 10, "noise_scheduler_type": "ddim", "discretization": None}
    run = RunFolder.create(tmp_path / "run", settings | {"n_partitions": 1}, seed=0, device="cpu")
    lead_table().to_parquet(run.path / "scores.parquet")
    weights = tmp_path / "with_rules.safetensors"
    fit = calibrate_lead_noise(run.path, tmp_path, weights)
    assert (tmp_path / "lead_noise.json").is_file()
    rule = find_lead_noise(load_model(weights), ReverseProcess())
    assert rule.weights["drift"] == pytest.approx(fit.rule.weights["drift"], abs=1e-4)
    assert find_lead_noise(load_model(weights), ReverseProcess(50)) is None
    other = RunFolder.create(tmp_path / "val", settings | {"split": "val"}, seed=0, device="cpu")
    with pytest.raises(ValueError, match="no finished run of noise_quant.score_noise source=ptbxl split=train"):
        calibrate_lead_noise(other.path, tmp_path)

    ecg = np.concatenate([simulate_ecg(1, 100, duration=10.0, rhythm="sinus")[0]] * 2, axis=-1).astype(np.float64)
    ecg[2, 1000:] = 0.0
    told, bare = score(ecg, 100.0, LEADS, weights=weights), score(ecg, 100.0, LEADS, weights=tiny_model_file)
    np.testing.assert_array_equal(told.psnr, bare.psnr)  # the rules move no score
    assert bare.noise_probability is None and bare.noisy_probability is None
    assert told.noisy_probability.shape == (12, 2) and np.isnan(told.noisy_probability[2, 1])
    assert ((told.noisy_probability >= 0) | np.isnan(told.noisy_probability)).all()
    table = told.to_data_frame()
    assert table["drift_probability"].tolist() == pytest.approx(told.noise_probability["drift"].ravel(), nan_ok=True)
    assert bare.to_data_frame()["noisy_probability"].isna().all()
    with np.load(told.save(tmp_path / "scores.npz"), allow_pickle=False) as file:
        assert file["static_probability"].shape == file["drift_mv"].shape == (12, 2)
