"""Run folders as `noise_quant.score_noise` writes them, with scores of known quality."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import LEADS
from einthoven.run.run_folder import RunFolder
from evaluation.noise.comparisons import AS_LOWEST, COUNTED, combine_leads
from evaluation.noise.discrimination import MACRO
from evaluation.noise.report import evaluate_noise_runs
from evaluation.noise.runs import FITTED, NEUROKIT, PLAIN, PTBXL, join_source, open_runs
from noise_quant.scoring.verdict import group_scores

FIFTY = {"n_resamples": 50}
KINDS = ("clean", "static", "baseline", "burst")


def write_run(folder: Path, table: pd.DataFrame, **config) -> Path:
    settings = {"method": "diffusion", "checkpoint": None, "noise_scheduler_type": "ddim", "timestep": 30, **config}
    RunFolder.create(folder, settings, seed=0, device="cpu")
    table.to_parquet(folder / "scores.parquet", index=False)
    return folder


def ptbxl_leads(n_records: int = 60, seed: int = 0) -> pd.DataFrame:
    """Records of folds 1-10 by turns; of each record three leads are noisy, one of each type."""
    leads = pd.MultiIndex.from_product([range(1, n_records + 1), LEADS], names=["ecg_id", "lead"]).to_frame(index=False)
    place = leads["lead"].map(LEADS.index)
    for number, kind in enumerate(KINDS[1:]):
        leads[kind] = place == number
    leads["clean"] = place > 2
    leads["strat_fold"] = leads["ecg_id"] % 10 + 1
    leads["split"] = np.select([leads["strat_fold"] == 10, leads["strat_fold"] == 9], ["test", "val"], "train")
    leads["trained"] = leads["clean"] & (leads["split"] == "train")
    leads["electrodes"] = leads["unread"] = False
    return leads.assign(segment=0)


def score(leads: pd.DataFrame, gap: float, seed: int = 0) -> pd.DataFrame:
    """PSNR that is higher in clean leads by `gap` standard deviations."""
    rng = np.random.default_rng(seed)
    psnr = 26.0 + gap * leads["clean"] + rng.standard_normal(len(leads))
    others = {"ssim": psnr / 40, "mse": 1000 / psnr, "mae": 100 / psnr}
    return leads.assign(psnr=psnr, **others, unusable=False, reason="", verdict="")


def baseline_scores(leads: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    noisy = ~leads["clean"].to_numpy(dtype=bool)
    shares = {name: rng.standard_normal(len(leads)) for name in ("power_baseline", "power_qrs", "power_high")}
    shares["power_high"] = shares["power_high"] + 3.0 * noisy
    neurokit = np.where(noisy, 0.5, 0.95) + 0.05 * rng.standard_normal(len(leads))
    table = leads.assign(**shares, kurtosis=10.0, neurokit=neurokit, flat=False, saturated=False, unusable=False)
    return table.assign(plain=-shares["power_high"], reason="")


def value(report, metric: str, group: str, method: str, name: str = "test") -> float:
    table = report.table
    chosen = table[(table[["set", "method", "metric", "group"]] == [name, method, metric, group]).all(axis=1)]
    return float(chosen["value"].iloc[0])


def test_scores_of_known_quality_give_known_areas(tmp_path):
    good, blind = (write_run(tmp_path / name, score(ptbxl_leads(), gap)) for name, gap in (("good", 9.0), ("blind", 0)))
    report = evaluate_noise_runs([good, blind], tmp_path / "out", names=["good", "blind"], **FIFTY)
    for group in (*KINDS[1:], MACRO):
        assert value(report, "auroc", group, "good") == 1.0
        assert value(report, "auroc", group, "blind") == pytest.approx(0.5, abs=0.12)
        assert value(report, "w1", group, "good") > 1.5 > value(report, "w1", group, "blind")
    rows = report.table[(report.table["set"] == "test") & (report.table["metric"] == "auroc")]
    clean = 6 * 9  # six records of fold 10, nine leads each
    assert set(rows["n_clean"]) == {clean} and set(rows.loc[rows["group"] != MACRO, "n_noisy"]) == {60}
    assert ((rows["lower"] <= rows["value"]) & (rows["value"] <= rows["upper"])).all()
    assert {"table.csv", "table.md", "ptbxl_test.png"} <= {file.name for file in (tmp_path / "out").iterdir()}
    assert "| AUROC" in report.markdown and "| W1" in report.markdown


def test_leads_are_joined_by_key(tmp_path):
    table = score(ptbxl_leads(), 1.0)
    other = score(ptbxl_leads(), 2.0, seed=1)
    ordered = [write_run(tmp_path / name, t) for name, t in (("a", table), ("b", other))]
    shuffled = [
        write_run(tmp_path / f"{name}_shuffled", t.sample(frac=1.0, random_state=seed))
        for seed, (name, t) in enumerate((("a", table), ("b", other)))
    ]
    reports = [
        evaluate_noise_runs(paths, tmp_path / "out", names=["a", "b"], **FIFTY).table for paths in (ordered, shuffled)
    ]
    pd.testing.assert_frame_equal(*reports)


def test_only_leads_that_all_methods_have_are_compared(tmp_path):
    table = score(ptbxl_leads(), 1.0)
    paths = [write_run(tmp_path / "a", table), write_run(tmp_path / "b", table[table["ecg_id"] > 20])]
    scored = join_source(open_runs(paths, names=["a", "b"]), PTBXL)
    assert scored.leads["ecg_id"].min() == 21 and "240 of a" in scored.notes[0]
    apart = write_run(tmp_path / "c", table[table["ecg_id"] < 20])
    with pytest.raises(ValueError, match="no lead in common"):
        join_source(open_runs([apart, paths[1]], names=["a", "b"]), PTBXL)


def test_trained_leads_are_never_compared(tmp_path):
    table = score(ptbxl_leads(), 3.0)
    spoilt = table.assign(psnr=table["psnr"].where(~table["trained"], -1e6))
    # One model was trained on noisy leads of some records too: no method is compared on these.
    spoilt.loc[spoilt["ecg_id"] <= 5, "trained"] = True
    spoilt.loc[spoilt["ecg_id"] <= 5, "psnr"] = 1e6
    paths = [write_run(tmp_path / "a", spoilt), write_run(tmp_path / "b", score(ptbxl_leads(), 3.0))]
    report = evaluate_noise_runs(paths, tmp_path / "out", names=["a", "b"], **FIFTY)
    assert value(report, "auroc", MACRO, "a") == pytest.approx(value(report, "auroc", MACRO, "b"))
    rows = report.table[(report.table["set"] == "test") & (report.table["group"] == "static")]
    assert set(rows["n_noisy"]) == {55}


def test_unusable_leads_count_as_the_lowest(tmp_path):
    table = score(ptbxl_leads(), 9.0)
    bad = (table["clean"] & (table["split"] == "test")).to_numpy()
    table.loc[bad, ["unusable", "psnr"]] = [True, np.nan]
    report = evaluate_noise_runs([write_run(tmp_path / "a", table)], tmp_path / "out", names=["a"], **FIFTY)
    assert value(report, "auroc", "static", "a") == 0.0
    assert np.isnan(value(report, "w1", "static", "a"))
    assert set(report.table.loc[report.table["group"] == "static", "n_unusable"]) >= {bad.sum()}


def test_worst_segment_is_the_leads_score(tmp_path):
    table = score(ptbxl_leads(), 9.0)
    worse = table.assign(segment=1, psnr=10.0)[table["ecg_id"] % 2 == 0]
    runs = open_runs([write_run(tmp_path / "a", pd.concat([table, worse]))])
    lowest = runs[0].table.groupby(runs[0].table["ecg_id"] % 2)["score"].max()
    assert len(runs[0].table) == len(table) and lowest[0] == 10.0 and lowest[1] > 20.0


def test_other_metrics_point_the_same_way(tmp_path):
    path = write_run(tmp_path / "a", score(ptbxl_leads(), 2.0))
    found = [
        value(evaluate_noise_runs([path], tmp_path / "out", metric=metric, names=["a"], **FIFTY), "auroc", MACRO, "a")
        for metric in ("psnr", "ssim", "mse", "mae")
    ]
    assert found == pytest.approx([found[0]] * 4)


def test_baseline_gives_three_methods_and_its_fit_leaves_fold_nine_out(tmp_path):
    model = write_run(tmp_path / "model", score(ptbxl_leads(200), 2.0))
    plain = write_run(tmp_path / "plain", baseline_scores(ptbxl_leads(200)), method="baseline")
    report = evaluate_noise_runs([model, plain], tmp_path / "out", **FIFTY)
    rows = report.table[(report.table["metric"] == "auroc") & (report.table["group"] == "burst")]
    test, fold_9 = (rows[rows["set"] == name].set_index("method") for name in ("test", "fold 9"))
    assert list(test.index) == ["small ddim 30", PLAIN, NEUROKIT, FITTED]
    assert test["n_noisy"].tolist() == [200, 200, 200, 180]
    assert test.loc[FITTED, "value"] > 0.95
    assert FITTED not in fold_9.index and PLAIN in fold_9.index


def cinc2011_scores(n_records: int = 200, seed: int = 0) -> pd.DataFrame:
    """Unacceptable records have one bad lead; a tenth of all have a flat one, if acceptable or not."""
    rng = np.random.default_rng(seed)
    leads = pd.MultiIndex.from_product([range(n_records), LEADS], names=["ecg_id", "lead"]).to_frame(index=False)
    leads["acceptable"] = leads["ecg_id"] % 4 > 0
    leads["half"] = np.where(leads["ecg_id"] // 4 % 2, "fit", "test")
    leads["trained"] = leads["acceptable"] & (leads["half"] == "fit")
    bad = ~leads["acceptable"] & (leads["lead"] == "V3")
    psnr = 27.0 + 0.1 * rng.standard_normal(len(leads)) - 5.0 * bad
    flat = (leads["lead"] == "V1") & (leads["ecg_id"] % 10 == 0)
    return leads.assign(segment=0, psnr=np.where(flat, np.nan, psnr), unusable=flat, reason="", verdict="")


def test_records_are_judged_by_the_rule_of_the_other_half(tmp_path):
    path = write_run(tmp_path / "a", cinc2011_scores())
    report = evaluate_noise_runs([path], tmp_path / "out", names=["a"], **FIFTY)
    assert value(report, "auroc", "records without unusable leads", "a", "CinC 2011") == 1.0
    rules = report.tables["rules.csv"]
    chosen = rules[rules["chosen"]].set_index("method").loc["a"]
    assert chosen["fit"] == rules.loc[rules["method"] == "a", "fit"].max()
    rows = report.table[report.table["group"] == "all records"]
    assert set(rows["n_clean"] + rows["n_noisy"]) == {100}
    assert "half test" in report.markdown and (tmp_path / "out" / "cinc2011.png").is_file()


def test_a_record_is_judged_as_a_whole_where_its_probability_is_known(tmp_path):
    table = cinc2011_scores()
    probability = np.where(table["acceptable"], 0.9, 0.2) - 0.1 * (table["ecg_id"] % 10 == 0)
    lost = table["ecg_id"] == 6  # no lead is usable
    table = table.assign(acceptable_probability=np.where(lost, 0.0, probability), unusable=table["unusable"] | lost)
    report = evaluate_noise_runs([write_run(tmp_path / "a", table)], tmp_path / "out", names=["a"], **FIFTY)
    for group in ("all records", "records without unusable leads"):
        assert value(report, "auroc", group, "a, record verdict", "CinC 2011") == 1.0
    rules = report.tables["rules.csv"].set_index("method").loc["a, record verdict"]
    assert rules["rule"] == "all leads together" and rules["chosen"]
    rows = report.table.set_index(["method", "group"])["n_clean"]
    for group in ("all records", "records without unusable leads"):
        assert rows["a", group] == rows["a, record verdict", group]
    assert "all leads together" in report.markdown


def test_scores_of_others_are_rows(tmp_path):
    table = cinc2011_scores()
    path = write_run(tmp_path / "a", table)
    theirs = table.assign(score=np.where(table["acceptable"], 1.0, 0.0))[["ecg_id", "lead", "score"]]
    theirs.iloc[5:].sample(frac=1.0, random_state=0).to_csv(tmp_path / "theirs.csv", index=False)
    report = evaluate_noise_runs([path], tmp_path / "out", names=["a"], files=[tmp_path / "theirs.csv"], **FIFTY)
    for group in ("all records", "records without unusable leads"):
        assert value(report, "auroc", group, "theirs", "CinC 2011") == 1.0
    assert "5 of a" in report.markdown
    for broken, message in ((theirs.drop(columns="score"), "lacks score"), (pd.concat([theirs] * 2), "a lead twice")):
        broken.to_csv(tmp_path / "theirs.csv", index=False)
        with pytest.raises(ValueError, match=message):
            evaluate_noise_runs([path], tmp_path / "out", files=[tmp_path / "theirs.csv"])
    with pytest.raises(ValueError, match="no file"):
        evaluate_noise_runs([path], tmp_path / "out", files=[tmp_path / "none.csv"])


def test_leads_are_scored_with_their_group_where_it_was_scored(tmp_path):
    table = score(ptbxl_leads(), 2.0)
    whole = write_run(tmp_path / "a", table, whole_records=True)
    part = write_run(tmp_path / "b", table)
    report = evaluate_noise_runs([whole], tmp_path / "out", names=["a"], **FIFTY)
    own, grouped = (value(report, "auroc", "static", name) for name in ("a", "a, with its group"))
    assert own != grouped > 0.5
    assert set(evaluate_noise_runs([part], tmp_path / "out", names=["a"], **FIFTY).table["method"]) == {"a"}
    found = group_scores(np.array([[20.0], [26.0], [np.nan], [30.0], [18.0]]), ["I", "II", "III", "V1", "MCL1"])
    np.testing.assert_array_equal(found[:, 0], [21.5, 24.5, np.nan, 30.0, 18.0])


def test_probabilities_of_noise_are_rows_of_leads_that_they_were_not_fitted_on(tmp_path):
    table = score(ptbxl_leads(), 0.5)
    columns = {"static_probability": "static", "drift_probability": "baseline", "burst_probability": "burst"}
    told = {name: np.where(table[label], 0.9, 0.1) for name, label in columns.items()}  # knows the kind of noise
    run = write_run(tmp_path / "a", table.assign(**told, noisy_probability=np.where(table["burst"], 0.9, 0.1)))
    report = evaluate_noise_runs([run], tmp_path / "out", names=["a"], **FIFTY)
    assert all(value(report, "auroc", kind, "a, kind of noise") == 1 for kind in KINDS[1:])
    assert value(report, "auroc", "burst", "a, noisy or not") == 1
    assert value(report, "auroc", "static", "a, noisy or not") == 0.5
    sizes = report.table[report.table["group"] == "static"].groupby("method")["n_noisy"].max()
    assert sizes["a"] == 60 and sizes["a, kind of noise"] == sizes["a, noisy or not"] == 12  # of folds 9 and 10
    assert "noisy leads of folds 1-8, on which they were fitted, are left out" in report.markdown


def test_records_with_one_label_only_are_refused(tmp_path):
    table = cinc2011_scores()
    path = write_run(tmp_path / "a", table[table["acceptable"]])
    with pytest.raises(ValueError, match="lacks acceptable or unacceptable"):
        evaluate_noise_runs([path], tmp_path / "out")


def test_leads_combine_by_their_rule():
    scores = np.array([[1.0, 2.0, 3.0, 4.0], [-np.inf, 5.0, 6.0, 7.0], [9.0, np.nan, np.nan, 8.0]])
    np.testing.assert_allclose(combine_leads(scores, "lowest lead", AS_LOWEST), [1, 1, 8])
    np.testing.assert_allclose(combine_leads(scores, "second lowest lead", AS_LOWEST), [2, 5, 9])
    np.testing.assert_allclose(combine_leads(scores, "mean", AS_LOWEST), [2.5, 4.75, 8.5])
    first, second, third = combine_leads(scores, "mean", COUNTED)
    assert second < 0 < first < third < 1


def mixture_scores(slopes: dict[str, float], n_records: int = 12, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product(
        [range(n_records), LEADS[:4], list(slopes), [24.0, 18.0, 12.0, 6.0, 0.0, -6.0]],
        names=["ecg_id", "lead", "noise_type", "snr_db"],
    ).to_frame(index=False)
    psnr = 20.0 + rows["noise_type"].map(slopes) * rows["snr_db"] + 0.01 * rng.standard_normal(len(rows))
    return rows.assign(segment=0, psnr=psnr, unusable=False, split="test", clean=True, trained=False)


def test_dose_response_follows_the_slope(tmp_path):
    table = mixture_scores({"bw": -0.1, "em": 0.2, "ma": 0.3}).sample(frac=1.0, random_state=0)
    report = evaluate_noise_runs([write_run(tmp_path / "a", table)], tmp_path / "out", names=["a"], **FIFTY)
    for metric in ("mean curve", "within records", "within leads"):
        assert value(report, metric, "em", "a", "mixtures of fold 10") == pytest.approx(1.0)
        assert value(report, metric, "bw", "a", "mixtures of fold 10") == pytest.approx(-1.0)
    assert (tmp_path / "out" / "mixtures_test.png").is_file()


def test_mixtures_of_one_ratio_are_refused(tmp_path):
    table = mixture_scores({"em": 0.2})
    path = write_run(tmp_path / "a", table[table["snr_db"] == 6.0])
    with pytest.raises(ValueError, match="score three at least"):
        evaluate_noise_runs([path], tmp_path / "out")


def test_all_sources_at_once_and_two_runs_of_one_method(tmp_path):
    leads = ptbxl_leads(120)
    tables = [score(leads[leads["split"] != "val"], 2.0), score(leads[leads["split"] == "val"], 2.0)]
    tables += [cinc2011_scores(), mixture_scores({"em": 0.2})]
    paths = [write_run(tmp_path / str(number), table) for number, table in enumerate(tables)]
    report = evaluate_noise_runs(paths, tmp_path / "out", **FIFTY)
    assert set(report.table["set"]) == {"test", "fold 10", "fold 9", "CinC 2011", "mixtures of fold 10"}
    assert set(report.table["method"]) == {"small ddim 30", "unusable leads alone"}


def test_different_scores_under_one_name_stay_apart(tmp_path):
    paths = [write_run(tmp_path / name, score(ptbxl_leads(), 2.0, seed)) for seed, name in enumerate(("one", "two"))]
    assert [run.name for run in open_runs(paths)] == ["small ddim 30", "small ddim 30 two"]
    assert [run.name for run in open_runs([paths[0], paths[0]])] == ["small ddim 30"] * 2


@pytest.mark.parametrize("column", ["psnr", "clean", "trained", "split", "lead"])
def test_a_missing_column_is_named(tmp_path, column):
    path = write_run(tmp_path / "a", score(ptbxl_leads(), 1.0).drop(columns=column))
    with pytest.raises(ValueError, match=column):
        open_runs([path])


def test_errors_are_reported(tmp_path):
    path = write_run(tmp_path / "a", score(ptbxl_leads(), 1.0))
    with pytest.raises(ValueError, match="give 'runs="):
        open_runs([])
    with pytest.raises(ValueError, match="unknown metric"):
        open_runs([path], "snr")
    with pytest.raises(ValueError, match="2 evaluate.names for 1 runs"):
        open_runs([path], names=["a", "b"])
    (path / "scores.parquet").unlink()
    with pytest.raises(ValueError, match="no finished run"):
        open_runs([path])
    known = write_run(tmp_path / "b", pd.DataFrame({"ecg_id": ["x"], "lead": ["I"], "psnr": [25.0]}))
    with pytest.raises(ValueError, match="nothing is known"):
        open_runs([known])
    clean = ptbxl_leads()
    trained = write_run(tmp_path / "c", score(clean[clean["trained"]], 1.0))
    with pytest.raises(ValueError, match="nothing to compare"):
        evaluate_noise_runs([trained], tmp_path / "out")
