"""Simulated runs of `reconstruction.denoise` with known scores."""

import json
from dataclasses import dataclass
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, to_twelve
from einthoven.run.run_folder import RunFolder
from evaluation.denoising.report import evaluate_denoising_runs
from evaluation.denoising.runs import Condition, open_denoising_runs
from preprocessing.cohorts.nstdb import MANIFEST, NOISE, mix_recorded_noise
from preprocessing.cohorts.simulator import simulate_store
from preprocessing.store.store import Store
from tests.evaluation.test_scripts import run

FAST = {"n_resamples": 20, "n_validation": 1}


@dataclass(frozen=True)
class FakeDenoising:
    store: Store
    noise_path: Path
    folder: Path

    def write(self, name, noise_type="em", *, error=0.02, folder=None, rows=None, seed=0, known_type=True, **level):
        """Samples and truth are exchangeable draws around a hidden centre, so the ensemble is calibrated."""
        level = level or {"snr_db": 0.0}
        rng = np.random.default_rng(seed)
        rows = self.store.rows("test") if rows is None else rows
        ids = [int(key) for key in self.store.table["ecg_id"].to_numpy()[rows]]
        clean = self.store.read(rows, INDEPENDENT_LEADS)
        noise = {kind: array for kind, array in self.noise().items()}
        noisy = to_twelve(mix_recorded_noise(clean, noise, noise_type, ids, seed, **level))
        truth = to_twelve(clean)
        centre = truth - error * rng.standard_normal(truth.shape)
        samples = centre[:, None] + error * rng.standard_normal((len(ids), 6, *truth.shape[1:]))
        mean = samples.mean(axis=1)
        path = self.folder / (folder or f"{name}_{noise_type}_{'_'.join(map(str, level.values()))}")
        denoising = {"noise_type": noise_type, "half": "test", "noise_path": str(self.noise_path), **level}
        config = {
            "algo": {"name": name},
            "dataset": {"store": str(self.store.path), "sampling_rate": 100, "split": "test"},
            "denoising": {"snr_db": None, "power": None, "known_type": known_type, **denoising},
        }
        RunFolder.create(path, config, seed=seed, device="cpu")
        arrays = {"samples": samples, "mean": mean, "lower": mean - 1.8 * error, "upper": mean + 1.8 * error}
        for key, array in {**arrays, "truth": truth, "noisy": noisy}.items():
            np.save(path / f"{key}.npy", array.astype(np.float32))
        np.save(path / "observed.npy", np.zeros(truth.shape, bool))
        pd.DataFrame({"ecg_id": ids, "seconds": 2.0, "network_calls": 16}).to_parquet(path / "records.parquet")
        return path

    def noise(self):
        with np.load(self.noise_path / NOISE) as file:
            return {kind: file[f"{kind}_test"] for kind in ("bw", "em", "ma")}


@pytest.fixture
def fake(tmp_path):
    """Noise: random walks of three speeds."""
    store = simulate_store(tmp_path / "store", 30, duration=6.0)
    noise_path = tmp_path / "nstdb"
    noise_path.mkdir()
    rng = np.random.default_rng(0)
    arrays = {}
    for place, kind in enumerate(("bw", "em", "ma")):
        for half in ("fit", "test"):
            walk = np.cumsum(rng.standard_normal((2, 4000)), axis=1) * (0.1, 0.03, 0.005)[place]
            arrays[f"{kind}_{half}"] = (walk + 0.1 * place * rng.standard_normal(walk.shape)).astype(np.float32)
    np.savez(noise_path / NOISE, **arrays)
    (noise_path / MANIFEST).write_text(json.dumps({"sampling_rate": 100.0}))
    return FakeDenoising(store, noise_path, tmp_path / "runs")


def value(table, method, metric, column="value"):
    found = table[(table["method"] == method) & (table["metric"] == metric)]
    assert len(found) == 1
    return float(found[column].iloc[0])


def test_damaged_record_costs_no_other_its_scores(fake, tmp_path):
    path = fake.write("amortised")
    noisy = np.load(path / "noisy.npy")
    noisy[1, 2, 3] = np.nan
    np.save(path / "noisy.npy", noisy)
    (runs,) = open_denoising_runs([path]).values()
    keys = fake.store.table["ecg_id"].to_numpy()[fake.store.rows("test")]
    assert runs[0].left_out == (keys[1],)
    assert list(runs[0].ecg_ids) == [keys[0], *keys[2:]]
    assert np.isfinite(runs[0].noisy).all()


@pytest.mark.usefixtures("pictures")
def test_report_on_a_calibrated_method(fake, tmp_path):
    path = fake.write("mine", rows=fake.store.rows("test")[:2])
    report = evaluate_denoising_runs([path], tmp_path / "report", **FAST)
    table = pd.read_csv(tmp_path / "report" / "table.csv")
    baselines = ["high-pass", "band-pass", "wavelet", "neurokit2"]
    assert list(dict.fromkeys(table["method"])) == ["mine", "noisy", *baselines, "Wiener"]
    assert value(table, "mine", "rmse") == pytest.approx(0.02 * np.sqrt(1 + 1 / 6), rel=0.02)
    assert value(table, "mine", "crps") == pytest.approx(0.02 / np.sqrt(np.pi), rel=0.03)
    assert value(table, "mine", "coverage") == pytest.approx(90.0, abs=2.0)
    assert value(table, "noisy", "output_snr") == pytest.approx(0.0, abs=1e-3)
    assert value(table, "mine", "snr_improvement") == pytest.approx(value(table, "mine", "output_snr"), abs=1e-3)
    best = max(value(table, name, "output_snr") for name in baselines)
    above = value(table, "mine", "output_snr") - best
    assert value(table, "mine", "snr_above_best") == pytest.approx(above, abs=1e-3)
    assert value(table, "mine", "timing_ms") < value(table, "noisy", "timing_ms") + 20.0
    assert value(table, "mine", "network_calls") == 16
    assert "| em, 0 dB |" in report.markdown and "output SNR above the best baseline (dB)" in report.markdown
    folder = tmp_path / "report"
    for name in ("em_0dB/mine/best", "em_0dB/mine/median", "em_0dB/mine/worst", "snr"):
        assert matplotlib.image.imread(folder / f"{name}.png").size > 0
    chosen = pd.read_csv(folder / "baselines.csv")
    assert chosen["baseline"].tolist() == [*baselines, "Wiener"] and chosen["output_snr"].notna().all()
    per_record = pd.read_parquet(folder / "per_record.parquet")
    assert per_record.groupby("method").size().eq(2 * 13).all()
    assert set(pd.read_csv(folder / "per_lead.csv")["lead"]) == set(LEADS)


def test_runs_are_grouped_by_noise_and_level(fake):
    runs = [
        fake.write("a", "ma", snr_db=6.0),
        fake.write("a", "bw", power=2.0),
        fake.write("a", "ma", snr_db=0.0),
        fake.write("b", "ma", snr_db=0.0, rows=fake.store.rows("test")[::-1][:2], seed=0),
        fake.write("b", "ma", snr_db=0.0, folder="again", known_type=False),
    ]
    groups = open_denoising_runs(runs)
    assert [condition.name for condition in groups] == ["bw, power 2", "ma, 0 dB", "ma, 6 dB"]
    assert [run.name for run in groups[Condition("ma", 0.0, None)]] == ["a", "b", "b, type unknown"]
    ids = {tuple(run.ecg_ids) for run in groups[Condition("ma", 0.0, None)]}
    assert len(ids) == 1 and len(ids.pop()) == 2
    twice = open_denoising_runs([runs[0], fake.write("a", "ma", snr_db=6.0, folder="later")])
    assert [run.name for run in twice[Condition("ma", 6.0, None)]] == ["a a_ma_6.0", "a later"]


def test_without_store_or_noise_the_baselines_are_left_out_and_said(fake, tmp_path):
    path = fake.write("mine", rows=fake.store.rows("test")[:1])
    (fake.noise_path / NOISE).unlink()
    (fake.noise_path / MANIFEST).unlink()
    fake.noise_path.rmdir()
    report = evaluate_denoising_runs([path], tmp_path / "report", **FAST)
    assert set(report.table["method"]) == {"mine", "noisy"} and "evaluate.noise_path" in report.markdown
    for picture in ("best", "median", "worst"):
        assert (tmp_path / "report" / "em_0dB" / "mine" / f"{picture}.png").is_file()


def test_errors_are_reported(fake, tmp_path):
    with pytest.raises(ValueError, match="no run to evaluate"):
        evaluate_denoising_runs([], tmp_path / "report")
    path = fake.write("mine")
    with pytest.raises(ValueError, match="unknown lead"):
        evaluate_denoising_runs([path], tmp_path / "report", beat_leads=["V7"])
    with pytest.raises(ValueError, match="different ECGs or noise"):
        open_denoising_runs([path, fake.write("other", seed=1)])
    plain = tmp_path / "plain"
    RunFolder.create(plain, {"algo": {"name": "mgps"}}, seed=0, device="cpu")
    with pytest.raises(ValueError, match="no run of reconstruction.denoise"):
        open_denoising_runs([plain])
    (path / "truth.npy").unlink()
    with pytest.raises(ValueError, match="no true ECGs"):
        open_denoising_runs([path])
    (path / "noisy.npy").unlink()
    (path / "mean.npy").unlink()
    with pytest.raises(ValueError, match="no finished run"):
        open_denoising_runs([path])


def test_script_prints_its_table(fake, tmp_path):
    runs = f"runs=[{fake.write('mine')}]"
    done = run(
        "evaluation.evaluate_denoising",
        runs,
        "evaluate.n_resamples=5",
        "evaluate.n_validation=1",
        runs=tmp_path / "out",
    )
    assert done.returncode == 0, done.stderr
    assert "| em, 0 dB |" in done.stdout and "made: " in done.stdout
