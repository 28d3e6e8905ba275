import sys

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import LEADS
from einthoven.run.run_folder import RunFolder
from evaluation.evaluate_generation import main
from evaluation.generation.distances import OVERALL, compare_features, feature_values
from evaluation.generation.ecg_features import FEATURES
from evaluation.generation.neighbours import diversity, nearest, nearness_table, recording_distances
from evaluation.generation.report import evaluate_generation_runs
from preprocessing.cohorts.simulator import simulate_records
from preprocessing.store.store import write_store

RATE, N_TRAIN, N_OTHER = 100.0, 24, 8
SR = frozenset({"SR"})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    ecgs, table = simulate_records(N_TRAIN + 2 * N_OTHER, RATE, seed=1)
    table["split"] = ["train"] * N_TRAIN + ["val"] * N_OTHER + ["test"] * N_OTHER
    return write_store(tmp_path_factory.mktemp("generation") / "store", ecgs, table, RATE, LEADS)


def generate(store, folder, ecgs, labels=None, steps=25, split="test"):
    """Writes a run folder as diffusion_prior.generate does."""
    config = {
        "dataset": {"training_class": split, "database_path": str(store.path)},
        "generate": {"sampler": "multistep", "n_steps": steps, "guidance_scale": 1.0, "labels": labels},
    }
    RunFolder.create(folder, config, seed=0, device="cpu")
    table = store.table.iloc[store.rows(split)][["ecg_id", "split", "statements"]]
    write_store(folder / "store", ecgs, table, RATE, LEADS)
    return folder


@pytest.fixture(scope="module")
def report(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    fresh = simulate_records(N_OTHER, RATE, seed=99)[0]
    copies = np.roll(store.read(store.rows("train")[:N_OTHER]), 40, axis=-1)
    copies[0] = 0.0
    runs = [generate(store, folder / "fresh", fresh), generate(store, folder / "copied", 0.5 * copies, steps=10)]
    out = folder / "report"
    return evaluate_generation_runs(runs, out, n_resamples=40, n_examples=1), out


def value(report, method, metric):
    table = report.table
    return float(table[(table["method"] == method) & (table["metric"] == metric)]["value"].iloc[0])


def test_copies_are_distinguished_from_new_ecgs(report):
    found, _ = report
    for kind in ("recording", "beat"):
        assert value(found, "copies (control)", f"{kind}_training") == 100.0
        assert value(found, "multistep, 25 steps", f"{kind}_near") < 50.0
    assert value(found, "multistep, 10 steps", "recording_near") == 100.0
    assert value(found, "multistep, 10 steps", "recording_nearest") < 0.01
    assert value(found, "multistep, 25 steps", "recording_nearest") > 0.02
    assert value(found, "copies (control)", "beat_near") == 100.0
    near = found.tables["nearest.parquet"]
    copied = near[(near["set"] == "multistep, 10 steps") & (near["kind"] == "whole recording")]
    assert list(copied["train_ecg_id"][1:]) == list(range(2, N_OTHER + 1)) and copied["train_ecg_id"].iloc[0] == -1
    np.testing.assert_allclose(copied["lag_s"][1:], 0.4, atol=0.021)


def test_features_of_the_same_simulator_stay_on_the_floor_and_others_do_not(report):
    found, _ = report
    rows = found.tables["distances.csv"].set_index(["run", "feature"])
    fresh, halved = (rows.loc[f"multistep, {steps} steps"] for steps in (25, 10))
    assert fresh.loc[OVERALL, "relative_w1"] < halved.loc[OVERALL, "relative_w1"]
    single = halved.loc["r_V5"]
    assert single["w1"] > single["floor_upper"] and single["lower"] <= single["w1"] <= single["upper"]
    assert halved.loc["r_V5", "w1"] == pytest.approx(0.5 * halved.loc["r_V5", "real_mean"], rel=0.4)
    assert value(found, "multistep, 10 steps", "without_beats") == pytest.approx(100.0 / N_OTHER)
    features = found.tables["features.parquet"]
    silent = features[features["problem"] != ""]
    assert list(silent["set"]) == ["multistep, 10 steps"] and "R peaks" in silent["problem"].iloc[0]


def test_report_is_written(report):
    found, out = report
    for name in ("table", "distances", "measures", "rhythms", "judges", "neighbours", "diversity"):
        assert (out / f"{name}.csv").is_file()
    assert (out / "table.md").is_file() and (out / "features.parquet").is_file()
    judges = found.tables["judges.csv"]
    assert set(judges["judge"]) == {"PSD-MMD"} and "PSD-MMD" in found.markdown
    pictures = ["distances", "histograms", "nearest", "multistep_25_steps/example_1", "multistep_10_steps/neighbour_1"]
    assert all((out / f"{name}.png").stat().st_size > 5000 for name in pictures)
    assert "QTc" in found.markdown and "copies (control)" in found.markdown and "nan" not in found.markdown
    assert len(pd.read_csv(out / "distances.csv")) == 2 * (len(FEATURES) + 4)


def test_distance_of_shifted_values_is_the_shift():
    rng = np.random.default_rng(0)
    real, training = rng.standard_normal((40, len(FEATURES))), rng.standard_normal((80, len(FEATURES)))
    real[3] = np.nan
    table = compare_features(real, real + 0.75, training, 50, 0).set_index("feature")
    np.testing.assert_allclose(table["w1"].drop(OVERALL), 0.75)
    np.testing.assert_allclose(table["w1"].iloc[0] / table["relative_w1"].iloc[0], np.nanstd(real[:, 0]))
    assert (table["n_real"] == 39).all()
    assert table.loc[OVERALL, "relative_floor_upper"] < table.loc[OVERALL, "relative_w1"]
    with pytest.raises(ValueError, match="n_train"):
        compare_features(real, real, training[:20], 50, 0)


def test_no_pr_interval_without_p_waves():
    table = pd.DataFrame(1.0, index=range(2), columns=[feature.name for feature in FEATURES])
    values = feature_values(table, [SR, frozenset({"AFIB"})])
    missing = {feature.name for feature, gone in zip(FEATURES, np.isnan(values[1]), strict=True) if gone}
    assert missing == {"pr", *(f"p_{lead}" for lead in LEADS)} and np.isfinite(values[0]).all()


def test_distance_of_recordings_forgets_shift_and_gain():
    rng = np.random.default_rng(2)
    long = np.repeat(rng.standard_normal((3, len(LEADS), 300)), 4, axis=-1)
    first, second = long[..., :1000], 3.0 * long[..., 120:1120]
    distance, shift = recording_distances(first, second, 200.0)
    assert (np.diag(distance) < 5e-3).all() and (distance + np.eye(3) > 0.3).all()
    np.testing.assert_allclose(np.diag(shift), 0.6)
    back, shift = recording_distances(second, first, 200.0)
    np.testing.assert_allclose(back, distance.T, atol=1e-5)
    np.testing.assert_allclose(np.diag(shift), -0.6)


def test_nearest_and_its_table():
    distances = np.array([[3.0, 1.0, np.nan], [np.nan, np.nan, np.nan], [0.5, 2.0, 0.1]])
    found = nearest(distances)
    assert list(found.index) == [1, -1, 2] and np.isnan(found.distance[1])
    real, other = np.linspace(1.0, 2.0, 101), np.full(101, 1.5)
    table = nearness_table({"real": real, "near": real - 1.0}, {"real": other, "near": other}, "real", 20, 0)
    assert list(table["near"]) == pytest.approx([100.0 / 101, 100.0])
    assert list(table["training"]) == pytest.approx([100.0 * 50 / 101, 100.0])


def test_diversity_compares_pairs_of_the_same_statements():
    points = np.random.default_rng(4).standard_normal(9)
    real = np.abs(points[:, None] - points)
    statements = [SR] * 4 + [frozenset({"AFIB"})] * 3 + [frozenset({"PVC"}), frozenset({"SR", "PVC"})]
    found = diversity(real, 0.5 * real, statements, 100, 0)
    assert found["ratio"] == pytest.approx(0.5) and found["ratio_lower"] == pytest.approx(0.5)
    assert (found["n_pairs"], found["n_groups"], found["n_records"]) == (9, 2, 7)
    pairs = [real[i, j] for i in range(7) for j in range(i) if (i < 4) == (j < 4)]
    assert found["real"] == pytest.approx(np.mean(pairs))
    assert np.isnan(diversity(real[:2, :2], real[:2, :2], statements[3:5], 10, 0)["ratio"])


def test_errors_are_reported_before_any_work(store, tmp_path):
    def refused(match, paths, **settings):
        with pytest.raises(ValueError, match=match):
            evaluate_generation_runs(paths, tmp_path / "out", **settings)

    ecgs = store.read(store.rows("test"))
    twins = generate(store, tmp_path / "twins", ecgs)
    refused("give 'runs=", [])
    refused("dataset.training_class=test", [generate(store, tmp_path / "drawn", ecgs, labels=["SR"])])
    refused("no record of split val", [twins], split="val")
    refused("test or val", [twins], split="train")
    refused("n_train", [twins], n_train=3)
    refused("not a run folder", [tmp_path / "none"])
    assert not (tmp_path / "out").exists()


def test_script_prints_the_tables_even_of_ecgs_without_beats(store, tmp_path, monkeypatch, capsys):
    silent = np.zeros((N_OTHER, len(LEADS), 1000), np.float32)
    run = generate(store, tmp_path / "run", silent)
    overrides = [f"runs=[{run}]", f"evaluate.results_path={tmp_path / 'out'}", f"paths.runs={tmp_path}"]
    settings = ["evaluate.n_resamples=5", "evaluate.n_examples=1", f"evaluate.n_train={N_OTHER}"]
    monkeypatch.setattr(sys, "argv", ["evaluate_generation", *overrides, *settings])
    main()
    assert "QRS width" in capsys.readouterr().out and (tmp_path / "out" / "table.md").is_file()
