"""The selection of the cleanest training leads, by key, and its script."""

import numpy as np
import pandas as pd
import pytest

from einthoven.run.run_folder import RunFolder
from noise_quant import refine
from noise_quant.data.training_data import read_selection
from noise_quant.scoring.selection import METRICS, select_leads

LEADS = ["I", "II", "V1", "V6"]
N_RECORDS = 50


def scores(seed=0):
    """Scores of all folds: PSNR from 10 to 40 dB, a tenth of the leads noisy; SSIM rises with it, MSE and MAE fall."""
    rng = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product([range(1, N_RECORDS + 1), LEADS], names=["ecg_id", "lead"])
    table = keys.to_frame(index=False)
    psnr = rng.uniform(10, 40, len(table))
    table = table.assign(segment=0, psnr=psnr, ssim=psnr / 40, mse=np.exp(-psnr), mae=1 / psnr, unusable=False)
    table["clean"] = np.random.default_rng(99).random(len(table)) > 0.1
    table["strat_fold"] = (table["ecg_id"] - 1) % 10 + 1
    return table


def keys_of(table):
    return set(zip(table["ecg_id"], table["lead"], strict=True))


def training(table):
    return table[table["clean"] & (table["strat_fold"] <= 8)]


def test_keeps_the_intersection_of_both_tops():
    static, burst = scores(0), scores(1)
    chosen = select_leads(static, burst, "psnr", 0.5, 0.25)
    n = len(training(static))
    tops = [
        keys_of(training(table).nlargest(int(np.ceil(share * n)), "psnr"))
        for table, share in ((static, 0.5), (burst, 0.25))
    ]
    assert keys_of(chosen.leads) == tops[0] & tops[1]
    assert chosen.counts["static_ranked"] == n
    assert chosen.counts["burst_kept"] == len(tops[1])
    assert chosen.counts["selected"] == len(chosen.leads)
    assert chosen.leads["static_psnr"].min() >= chosen.counts["static_cut"]
    assert f"{len(chosen.leads)} leads" in chosen.describe()


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_ranks_the_cleanest_first(metric):
    assert keys_of(select_leads(scores(0), scores(1), metric).leads) == keys_of(
        select_leads(scores(0), scores(1)).leads
    )


def test_rows_are_joined_by_key_whatever_their_order():
    expected = select_leads(scores(0), scores(1)).leads
    shuffled = select_leads(scores(0).sample(frac=1, random_state=1), scores(1).sample(frac=1, random_state=2)).leads
    pd.testing.assert_frame_equal(shuffled, expected)


def test_only_clean_leads_of_folds_1_to_8_are_selected():
    chosen = select_leads(scores(0), scores(1), static_percentage=1, burst_percentage=1).leads
    assert keys_of(chosen) == keys_of(training(scores(0)))


def test_unusable_and_unscored_leads_are_not_ranked():
    static = scores(0)
    static.loc[0, "psnr"] = np.nan
    static.loc[1, "unusable"] = True
    static.loc[[0, 1], ["clean", "strat_fold"]] = [True, 1]
    chosen = select_leads(static, scores(1), static_percentage=1, burst_percentage=1).leads
    assert not keys_of(chosen) & keys_of(static.iloc[:2])


def test_segments_of_a_lead_count_together():
    static = scores(0)
    worse = static.assign(segment=1, psnr=static["psnr"] - 4)
    both = select_leads(pd.concat([static, worse]), scores(1)).leads
    assert keys_of(both) == keys_of(select_leads(static, scores(1)).leads)
    best = static["psnr"].idxmax()
    broken = worse.assign(unusable=False)
    broken.loc[best, ["psnr", "unusable"]] = [np.nan, True]
    chosen = select_leads(pd.concat([static, broken]), scores(1), static_percentage=1, burst_percentage=1).leads
    assert tuple(static.loc[best, ["ecg_id", "lead"]]) not in keys_of(chosen)


def test_mistakes_are_told_with_what_to_do():
    table = scores()
    with pytest.raises(ValueError, match="psnr, ssim, mse, mae"):
        select_leads(table, table, "snr")
    for share in (0, -0.1, 50):
        with pytest.raises(ValueError, match="burst_percentage is a share"):
            select_leads(table, table, burst_percentage=share)
    with pytest.raises(ValueError, match="include_all_folds=true"):
        select_leads(table, table[table["strat_fold"] == 10])
    with pytest.raises(ValueError, match="static_run lack column.* clean"):
        select_leads(table.drop(columns="clean"), table)
    with pytest.raises(ValueError, match="share no clean training lead"):
        select_leads(table, table.assign(ecg_id=table["ecg_id"] + 1000))
    with pytest.raises(ValueError, match="raise static_percentage"):
        select_leads(table, table.assign(psnr=-table["psnr"]), static_percentage=0.01, burst_percentage=0.01)


def write_run(folder, table):
    RunFolder.create(folder, {"source": "ptbxl"}, seed=0, device="cpu")
    table.to_parquet(folder / "scores.parquet")
    return folder


def run_script(monkeypatch, *overrides):
    monkeypatch.setattr("sys.argv", ["refine", *overrides])
    refine.main()


def test_the_script_writes_a_selection_to_train_on(tmp_path, monkeypatch, capsys):
    runs = [write_run(tmp_path / name, scores(seed)) for seed, name in enumerate(("static", "burst"))]
    overrides = [f"static_run={runs[0]}", f"burst_run={runs[1]}", "metric=ssim", f"paths.runs={tmp_path}"]
    run_script(monkeypatch, *overrides, f"refine.results_path={tmp_path / 'out'}")
    expected = select_leads(scores(0), scores(1), "ssim")
    for name in ("selection.parquet", "selection.csv"):
        assert keys_of(read_selection(tmp_path / "out" / name)) == keys_of(expected.leads)
    run = RunFolder.open(tmp_path / "out")
    assert run.config["metric"] == "ssim"
    assert run.metrics()[0]["selected"] == len(expected.leads)
    assert "dataset.selection" in capsys.readouterr().out


def test_the_script_refuses_what_is_no_run(tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path / "run", scores())
    (tmp_path / "run" / "scores.parquet").unlink()
    for static, message in ((run, "holds no scores.parquet"), (tmp_path / "absent", "is not a run folder")):
        with pytest.raises(SystemExit):
            run_script(monkeypatch, f"static_run={static}", f"burst_run={static}", f"paths.runs={tmp_path}")
        assert message in capsys.readouterr().err
