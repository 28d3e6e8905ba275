import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from diffusion_prior.training.settings import TrainerSettings
from diffusion_prior.training.trainer import Trainer
from einthoven.ecg.leads import LEADS
from einthoven.randomness import seeded_generator
from einthoven.run.run_folder import RunFolder
from evaluation.classification.classifier import Classifier, load_classifier
from evaluation.classification.data import ClassificationObjective, new_classifier
from evaluation.classification.data_sets import DataSets, open_twins
from evaluation.classification.report import compare_runs, write_report
from evaluation.downstream_classifier import main
from preprocessing.store.store import Store, write_store
from tests.evaluation.classification.test_classifier import NETWORK, SPEC
from tests.evaluation.conftest import LENGTH, N_TEST, RATE, FakeRun, simulate

COUNTS = {"train": 60, "val": 12, "test": N_TEST}
SETTINGS = {**SPEC, "leads": list(LEADS), "classes": "statements"}


def labelled_store(path: Path, seed: int = 0, splits: tuple[str, ...] = tuple(COUNTS), source: str = "ptbxl") -> Store:
    """Half of the records are HVOLT: three times as large."""
    split = np.repeat(splits, [COUNTS[name] for name in splits])
    is_large = np.arange(len(split)) % 2 == 1
    ecgs = simulate(len(split), np.random.default_rng(seed)) * np.where(is_large, 3, 1)[:, None, None]
    statements = [["HVOLT", "AFIB"] if large else ["NORM", "SR"] for large in is_large]
    first = {"train": 100, "val": 200, "test": 300}
    ecg_ids = np.concatenate([first[name] + np.arange(COUNTS[name]) for name in splits])
    table = pd.DataFrame({"ecg_id": ecg_ids, "split": split, "statements": statements})
    return write_store(path, ecgs.astype(np.float32), table, RATE, LEADS, {"source": source})


@pytest.fixture
def stores(tmp_path):
    """Folders of a real store and of generated twins of its splits."""
    labelled_store(tmp_path / "real")
    for seed, split in enumerate(COUNTS):
        labelled_store(tmp_path / f"generated_{split}" / "store", seed + 10, (split,), "generated")
    return tmp_path


def open_data_sets(folder: Path, reconstructions: tuple[Path, ...] = (), split: str = "test") -> DataSets:
    twins = {name: folder / f"generated_{name}" for name in COUNTS}
    return DataSets.open(folder / "real", twins, reconstructions, split)


def train(data_sets: DataSets, kind: str, folder: Path, n_steps: int = 30) -> Classifier:
    torch.manual_seed(0)
    spec = {**SETTINGS, "trained_on": "generated" if kind == "gen" else "real"}
    untrained, data = new_classifier(*data_sets.to_train(kind), spec)
    run = RunFolder.create(folder, {}, seed=0, device="cpu")
    settings = TrainerSettings(
        n_steps=n_steps, batch_size=16, learning_rate=2e-2, warmup_steps=1, ema_decay=0.5, validate_every=n_steps
    )
    Trainer(ClassificationObjective(untrained), data, settings, run).train()
    return load_classifier(run.path)


def test_a_trained_classifier_tells_classes_apart_wherever_they_come_from(stores):
    run = FakeRun(Store.open(stores / "real"), stores / "runs").write("amortised", noise=0.05)
    data_sets = open_data_sets(stores, (run,))
    found = {}
    for kind in ("real", "gen"):
        classifier = train(data_sets, kind, stores / kind)
        predictions = data_sets.predict(classifier)
        write_report(classifier, predictions, stores / kind, n_resamples=20)
        found[kind] = pd.read_csv(stores / kind / "scores.csv").set_index("dataset")
    for table in found.values():
        assert table.index.tolist() == ["real", "generated", "amortised: samples", "amortised: mean"]
        assert (table["value"] > 0.9).all() and (table["n_classes"] == 4).all() and (table["n_records"] == N_TEST).all()
    columns = ["classifier", "dataset", "ecg_id", "class", "label", "probability"]
    assert pd.read_parquet(stores / "gen" / "predictions.parquet").columns.tolist() == columns
    markdown = compare_runs([stores / "gen", stores / "real"], stores, n_resamples=20)
    assert "trained on generated, 12 leads" in markdown and "real ECGs, trained on real, 12 leads" in markdown
    table = pd.read_csv(stores / "comparison.csv").set_index(["dataset", "statistic"])
    ratio = found["gen"].loc["real", "value"] / found["real"].loc["real", "value"]
    assert table.loc[("real", "ratio"), "value"] == pytest.approx(ratio, rel=1e-5)
    assert "amortised: mean" in compare_runs([stores / "real"], stores, n_resamples=20)


def test_a_classifier_of_generated_ecgs_never_sees_a_real_one(stores):
    weights = []
    for seed in (1, 2):
        labelled_store(stores / "real", seed)
        classifier = train(open_data_sets(stores), "gen", stores / f"gen {seed}", n_steps=2)
        weights.append(classifier.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    metrics = [RunFolder.open(stores / f"gen {seed}").metrics() for seed in (1, 2)]
    assert metrics[0] == metrics[1]


def test_batches_are_crops_of_labelled_training_records(stores):
    store = Store.open(stores / "real")
    classifier, data = new_classifier(store, store, {**SETTINGS, "classes": "rhythms"})
    x = store.read(store.rows("train"), LEADS)
    assert float(classifier.mean) == pytest.approx(x.mean(dtype=np.float64), abs=1e-6)
    assert float(classifier.std) == pytest.approx(x.std(dtype=np.float64), rel=1e-5)
    # An untrained classifier says how frequent each class is: half of the records are NSR, half AF.
    first = classifier.eval().predict(x[:1])
    np.testing.assert_allclose(first, [[0.5, 0, 0.5]], atol=0.01)
    objective = ClassificationObjective(classifier)
    batch = objective.draw(data.batch(20, seeded_generator(0)), seeded_generator(1))
    assert batch["x"].shape == (20, 12, 250) and (batch["label"].sum(1) == 1).all()
    windows = np.lib.stride_tricks.sliding_window_view(x[:, 0], 250, axis=-1)
    for crop in batch["x"][:, 0].numpy():
        assert (windows == crop).all(-1).any()
    assert objective(batch).shape == (20,)
    held_out = objective.validation_batches(data.validation(), seeded_generator(0))["crops"]
    assert len(held_out["x"]) == len(held_out["label"]) == COUNTS["val"] * 3


def test_only_the_leads_asked_for_are_read(stores):
    run = FakeRun(Store.open(stores / "real"), stores / "runs").write("ridge")
    data_sets = open_data_sets(stores, (run,))
    store = data_sets.real
    classifier, _ = new_classifier(store, store, {**SETTINGS, "leads": ["I"]})
    found = data_sets.predict(classifier.eval())
    # Lead I was observed, so reconstructions of it are the lead itself.
    np.testing.assert_allclose(found["ridge: samples"].probabilities, found["real"].probabilities, atol=1e-6)


def test_errors_are_reported_before_any_work_starts(stores):
    real, runs = stores / "real", FakeRun(Store.open(stores / "real"), stores / "runs")
    nothing = {"train": None, "val": None, "test": None}
    with pytest.raises(ValueError, match=r"diffusion_prior\.generate dataset\.training_class=train"):
        DataSets.open(real, nothing, (), "test").to_train("gen")
    with pytest.raises(ValueError, match="real or gen"):
        DataSets.open(real, nothing, (), "test").to_train("generated")
    with pytest.raises(ValueError, match="no finished run"):
        open_twins(stores / "nowhere", "test")
    with pytest.raises(ValueError, match="another split"):
        open_twins(stores / "generated_val", "test")
    labelled_store(stores / "disguised" / "store", splits=("test",))
    with pytest.raises(ValueError, match="not generated"):
        open_twins(stores / "disguised", "test")
    classifier = Classifier(SETTINGS)
    leak = runs.write("leak", ecg_ids=np.array([100, 101, 300]))
    with pytest.raises(ValueError, match="2 records of leak are not of split test"):
        open_data_sets(stores, (leak,)).check(classifier)
    with pytest.raises(ValueError, match="the classifier at 250 Hz"):
        open_data_sets(stores).check(Classifier({**SETTINGS, "sampling_rate": 250.0}))
    with pytest.raises(ValueError, match=r"shorter than model\.crop"):
        open_data_sets(stores).check(Classifier({**SETTINGS, "crop": LENGTH / RATE + 1}))
    with pytest.raises(ValueError, match="no predictions"):
        compare_runs([stores], stores)


def test_the_script_trains_evaluates_goes_on_and_compares(stores, monkeypatch, capsys):
    monkeypatch.setenv("ECG_RUNS", str(stores))

    def call(*overrides: str) -> str:
        monkeypatch.setattr(sys, "argv", ["downstream_classifier", *overrides, "evaluate.n_resamples=5"])
        main()
        return capsys.readouterr().out

    sizes = "{" + ",".join(f"{name}: {value}" for name, value in NETWORK.items()) + "}"
    data = [f"dataset.database_path={stores / 'real'}", f"generated.test={stores / 'generated_test'}"]
    settings = [f"model.network={sizes}", "train.n_steps=2", "train.batch_size=4", "evaluate.leads=[I]"]
    settings.append("train.mixed_precision=no")  # of a process it cannot change, and other tests train in it
    first, second = (f"evaluate.results_path={stores / name}" for name in ("first", "second"))
    shown = call(*data, *settings, first)
    assert "| generated" in shown and "macro AUROC" in shown and "trained on: real, I" in shown
    files = {"weights.safetensors", "loss.png", "predictions.parquet", "scores.csv", "per_class.png", "state.pt"}
    assert files <= {path.name for path in (stores / "first").iterdir()}
    scores = pd.read_csv(stores / "first" / "scores.csv")
    call(*data, *settings, first)  # everything is there
    call(*data, f"classifier={stores / 'first'}", second)
    for again in ("first", "second"):
        pd.testing.assert_frame_equal(pd.read_csv(stores / again / "scores.csv"), scores)
    assert "| generated, macro AUROC" in call(f"compare=[{stores / 'second'},{stores / 'first'}]")
    with pytest.raises(SystemExit):
        call(*data, f"classifier={stores / 'first'}", "evaluate.classes=rhythms")
    assert "leave evaluate.classes out" in capsys.readouterr().err
