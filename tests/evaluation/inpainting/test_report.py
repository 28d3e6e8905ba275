from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import LEADS, NINE_REPORTED
from evaluation.inpainting.report import evaluate_runs
from evaluation.inpainting.runs import Reconstructions
from evaluation.inpainting.scores import AMPLITUDES, LEVELS, coverage_at_levels
from evaluation.scores import Estimate, per_lead
from tests.evaluation.conftest import FakeRun


def cut(path: Path, start: int, stop: int) -> Path:
    """Keeps a stretch of a run's records."""
    for name in ("samples", "mean", "lower", "upper", "truth", "observed"):
        np.save(path / f"{name}.npy", np.load(path / f"{name}.npy")[..., start:stop])
    return path


def value(table: pd.DataFrame, method: str, metric: str) -> float:
    found = table[(table["method"] == method) & (table["metric"] == metric)]
    assert len(found) == 1
    return float(found["value"].iloc[0])


def test_report_on_a_calibrated_method(fake_run: FakeRun, tmp_path: Path):
    folder = tmp_path / "report"
    report = evaluate_runs([fake_run.write("amortised", noise=0.1)], folder, n_resamples=100)
    table = pd.read_csv(folder / "table.csv")
    assert set(table["method"]) == {"amortised", "ridge", "mean ECG"}

    # Truth and samples lie 0.1 mV around a common centre: the errors of samples and of their mean follow from it.
    assert value(table, "amortised", "rmse_sample") == pytest.approx(0.1 * np.sqrt(2), rel=0.01)
    assert value(table, "amortised", "rmse_mean") == pytest.approx(0.1 * np.sqrt(1 + 1 / 6), rel=0.01)
    assert value(table, "amortised", "crps") == pytest.approx(0.1 / np.sqrt(np.pi), rel=0.02)
    assert value(table, "amortised", "network_calls") == 16

    below = 100 * (1 - value(table, "amortised", "mae_mean") / value(table, "ridge", "mae_mean"))
    assert value(table, "amortised", "mae_below_ridge") == pytest.approx(below, abs=0.01)
    assert value(table, "ridge", "crps") == pytest.approx(value(table, "ridge", "mae_mean"))
    assert value(table, "mean ECG", "mae_mean") > value(table, "ridge", "mae_mean")
    intervals = table[table["lower"].notna()]
    assert len(intervals) > 20
    assert (intervals["lower"] <= intervals["upper"]).all()
    assert [cell.strip() for cell in report.markdown.splitlines()[0].split("|")[2:5]] == [
        "amortised",
        "ridge",
        "mean ECG",
    ]
    assert "24 records" in report.markdown


@pytest.mark.usefixtures("pictures")
def test_report_leaves_its_files(fake_run: FakeRun, tmp_path: Path):
    folder = tmp_path / "report"
    evaluate_runs([fake_run.write("amortised")], folder, n_resamples=20)
    per_lead = pd.read_csv(folder / "per_lead.csv")
    assert set(per_lead["lead"]) == set(LEADS) - {"I"}
    per_record = pd.read_parquet(folder / "per_record.parquet")
    assert per_record.groupby("method").size().eq(24 * 13).all()
    mine = per_record[(per_record["method"] == "amortised") & (per_record["lead"] == "reported")]
    table = pd.read_csv(folder / "table.csv")
    assert mine["mae_mean"].mean() == pytest.approx(value(table, "amortised", "mae_mean"), rel=1e-4)
    for name in ("best", "median", "worst", "coverage", "amplitude"):
        assert matplotlib.image.imread(folder / "amortised" / f"{name}.png").size > 0
    assert (folder / "ridge.npz").is_file()


def test_damaged_record_costs_no_other_its_scores(fake_run: FakeRun, tmp_path: Path):
    path = fake_run.write("amortised")
    keys = fake_run.store.table["ecg_id"].to_numpy()[fake_run.store.rows("test")]
    for row, (name, value_) in enumerate({"samples": np.nan, "mean": 1e30, "lower": np.inf, "truth": -1e9}.items()):
        array = np.load(path / f"{name}.npy")
        array[row, ..., 7] = value_
        np.save(path / f"{name}.npy", array)
    report = evaluate_runs([path], tmp_path / "hurt", n_resamples=5)
    whole = evaluate_runs([fake_run.write("whole", ecg_ids=keys[4:])], tmp_path / "whole", n_resamples=5)
    assert value(report.table, "ridge", "mae_mean") == value(whole.table, "ridge", "mae_mean")
    assert value(report.table, "amortised", "crps") < 0.1
    assert report.table["n_records"].max() == 20
    assert f"amortised: 4 damaged records left out (ecg_id {', '.join(map(str, keys[:4]))})" in report.markdown
    np.save(path / "mean.npy", np.full_like(np.load(path / "mean.npy"), np.nan))
    with pytest.raises(ValueError, match="amortised: every record holds values that no ECG has: make the run again"):
        evaluate_runs([path], tmp_path / "none", n_resamples=5)


def test_runs_are_joined_by_key(fake_run: FakeRun, tmp_path: Path):
    ids = fake_run.store.table["ecg_id"].to_numpy()[fake_run.store.rows("test")]
    first = fake_run.write("amortised", ecg_ids=ids[:20], seed=1)
    second = fake_run.write("mgps", ecg_ids=ids[:9:-1], seed=2)
    both = evaluate_runs([first, second], tmp_path / "both", n_resamples=20)
    assert "10 records that all runs have (left out: 10 of amortised, 4 of mgps)" in both.markdown
    assert both.table["n_records"].max() == 10
    again = evaluate_runs([second, first], tmp_path / "other_order", n_resamples=20)
    assert value(again.table, "amortised", "crps") == pytest.approx(value(both.table, "amortised", "crps"))


def test_two_runs_of_one_method_keep_distinct_names(fake_run: FakeRun, tmp_path: Path):
    first = fake_run.write("mgps")
    second = tmp_path / "runs" / "later"
    first_copy = fake_run.write("mgps_copy")
    first_copy.rename(second)
    (second / "config.yaml").write_text((first / "config.yaml").read_text())
    report = evaluate_runs([first, second], tmp_path / "report", n_resamples=10)
    assert {"mgps mgps", "mgps later"} <= set(report.table["method"])


def test_missing_block_is_scored_where_it_was_missing(fake_run: FakeRun, tmp_path: Path):
    observed = np.ones((24, 12, 500), bool)
    observed[:, :, 100:300] = False
    path = cut(fake_run.write("mgps", observed=observed), 60, 180)
    report = evaluate_runs([path], tmp_path / "report", n_resamples=10)
    assert value(report.table, "mgps", "rmse_sample") == pytest.approx(0.1 * np.sqrt(2), rel=0.02)
    assert set(report.tables["per_lead.csv"]["lead"]) == set(LEADS)


def test_gaps_have_baselines_of_their_own(fake_run: FakeRun, tmp_path: Path):
    observed = np.ones((24, 12, 500), bool)
    observed[:, :, 100:140] = False
    path = cut(fake_run.write("mgps", observed=observed), 40, 200)
    report = evaluate_runs([path], tmp_path / "report", n_resamples=10)
    baselines = {"interpolation", "copied beats", "ridge"}
    assert set(report.table["method"]) == {"mgps", *baselines}
    assert set(report.tables["per_record.parquet"]["method"]) == {"mgps", *baselines}
    errors = {name: value(report.table, name, "mae_mean") for name in baselines}
    best = min(errors, key=lambda name: errors[name])
    below = value(report.table, "mgps", f"mae_below_{best.replace(' ', '_')}")
    assert below == pytest.approx(100 * (1 - value(report.table, "mgps", "mae_mean") / errors[best]))
    assert f"MAE of the mean below {best}'s (%)" in report.markdown
    assert report.table["metric"].str.startswith("mae_below").sum() == 3  # the best has nothing to be compared with
    assert "ridge from all that was given" in report.markdown
    with pytest.raises(ValueError, match="evaluate.ridge"):
        evaluate_runs([path], tmp_path / "other", ridge=tmp_path / "ridge.npz")


def test_leads_that_differ_from_record_to_record_are_gaps(fake_run: FakeRun, tmp_path: Path):
    observed = np.zeros((24, 12, 500), bool)
    observed[::2, 0] = observed[1::2, 7] = True
    path = cut(fake_run.write("mgps", observed=observed), 0, 160)
    report = evaluate_runs([path], tmp_path / "report", n_resamples=10)
    assert value(report.table, "ridge", "mae_mean") < value(report.table, "interpolation", "mae_mean")


def test_segments_are_evaluated_on_a_store_of_longer_records(fake_run: FakeRun, tmp_path: Path):
    report = evaluate_runs([cut(fake_run.write("mgps"), 100, 300)], tmp_path / "report", n_resamples=10)
    assert set(report.table["method"]) == {"mgps", "ridge"}


def test_memory_is_reported_where_it_was_recorded(fake_run: FakeRun, tmp_path: Path):
    path = fake_run.write("mgps")
    records = pd.read_parquet(path / "records.parquet")
    records.assign(memory_mb=np.arange(24.0)).to_parquet(path / "records.parquet")
    report = evaluate_runs([path], tmp_path / "report", n_resamples=10)
    assert value(report.table, "mgps", "memory_mb") == 23
    assert "peak memory" in report.markdown


def test_without_a_store_the_baselines_are_left_out_and_said(fake_run: FakeRun, tmp_path: Path):
    path = fake_run.write("mgps")
    (fake_run.store.path / "manifest.json").unlink()
    report = evaluate_runs([path], tmp_path / "report", n_resamples=10)
    assert set(report.table["method"]) == {"mgps"}
    assert "no baselines" in report.markdown


def test_a_fitted_ridge_is_taken_again(fake_run: FakeRun, tmp_path: Path):
    path = fake_run.write("mgps")
    first = evaluate_runs([path], tmp_path / "first", n_resamples=10)
    second = evaluate_runs([path], tmp_path / "second", n_resamples=10, ridge=tmp_path / "first" / "ridge.npz")
    pd.testing.assert_frame_equal(first.table, second.table)


def test_errors_are_reported(fake_run: FakeRun, tmp_path: Path):
    path = fake_run.write("mgps")
    with pytest.raises(ValueError, match="no run to evaluate"):
        evaluate_runs([], tmp_path / "report")
    with pytest.raises(ValueError, match="not a run folder"):
        evaluate_runs([tmp_path], tmp_path / "report")
    observed = np.zeros((24, 12, 500), bool)
    observed[:, 1] = True
    with pytest.raises(ValueError, match="different samples"):
        evaluate_runs([path, fake_run.write("other", observed=observed)], tmp_path / "report")
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate_runs([fake_run.write("whole", observed=np.ones((24, 12, 500), bool))], tmp_path / "report")
    (path / "truth.npy").unlink()
    with pytest.raises(ValueError, match="no true ECGs"):
        evaluate_runs([path], tmp_path / "report")
    fake_run.write("mgps")
    (path / "lower.npy").unlink()
    with pytest.raises(ValueError, match="no finished run"):
        Reconstructions.open(path)


def test_calibration_curve_of_a_calibrated_ensemble_is_the_diagonal():
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((16, 11, 12, 400))
    scored = np.ones((16, 12, 400), bool)
    estimate = Estimate(draws[:, 1:].mean(axis=1), draws[:, 0], scored, 100.0, draws[:, 1:])
    found = per_lead(estimate, {**AMPLITUDES, "coverage_at": coverage_at_levels})
    np.testing.assert_allclose(found["coverage_at"].mean(axis=(0, 2)), LEVELS, atol=0.01)
    assert found["amplitude_sample"].shape == (16, 10, 12)


def test_rmse_of_a_record_is_that_of_all_reported_samples(fake_run: FakeRun, tmp_path: Path):
    path = fake_run.write("mgps")
    report = evaluate_runs([path], tmp_path / "report", n_resamples=10)
    run = Reconstructions.open(path)
    leads = [LEADS.index(lead) for lead in NINE_REPORTED]
    error = (np.asarray(run.mean) - np.asarray(run.truth))[:, leads]
    expected = np.sqrt((error.astype(np.float64) ** 2).mean(axis=(1, 2))).mean()
    assert value(report.table, "mgps", "rmse_mean") == pytest.approx(expected, rel=1e-5)
