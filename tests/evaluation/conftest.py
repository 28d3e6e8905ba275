"""Simulated reconstructions with known answers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, to_twelve
from einthoven.run.run_folder import RunFolder
from preprocessing.store.store import Store, write_store

RATE = 100.0
LENGTH = 500
N_TEST = 24


@pytest.fixture
def pictures():
    """Says that a test looks at the figures that it makes."""


@pytest.fixture(autouse=True)
def undrawn_figures(request, monkeypatch):
    """Leaves figures of other tests empty, as drawing takes most of a report's time."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(Figure, "savefig", lambda figure, path, **settings: Path(path).write_bytes(b""))


def simulate(n_records: int, rng: np.random.Generator) -> np.ndarray:
    """Draws ECG-like pulse trains of random rate and amplitude, (n, 12, L) in mV; leads correlate with lead I."""
    times = np.arange(LENGTH) / RATE
    independent = np.zeros((n_records, len(INDEPENDENT_LEADS), LENGTH))
    for record in range(n_records):
        period, start = rng.uniform(0.6, 1.0), rng.uniform(0.0, 0.6)
        phase = (times - start) % period
        beat = np.exp(-0.5 * ((phase - 0.2) / 0.02) ** 2) + 0.2 * np.exp(-0.5 * ((phase - 0.45) / 0.05) ** 2)
        gains = 0.5 + 0.5 * rng.uniform(size=(len(INDEPENDENT_LEADS), 1))
        independent[record] = gains * beat + 0.02 * rng.standard_normal(independent[record].shape)
    return to_twelve(independent).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    rng = np.random.default_rng(3)
    counts = {"train": 40, "val": 10, "test": N_TEST}
    table = pd.DataFrame(
        {"ecg_id": np.arange(sum(counts.values())) + 100, "split": np.repeat(list(counts), list(counts.values()))}
    )
    return write_store(tmp_path / "store", simulate(len(table), rng), table, RATE, LEADS)


@dataclass(frozen=True)
class FakeRun:
    """Writes run folders as `reconstruction.inpaint` does, for a store's test records."""

    store: Store
    folder: Path

    def write(
        self,
        name: str,
        *,
        ecg_ids: np.ndarray | None = None,
        observed: np.ndarray | None = None,
        noise: float = 0.1,
        seed: int = 0,
        n_samples: int = 6,
    ) -> Path:
        """Truth and samples are exchangeable draws around a hidden centre, so the ensemble is calibrated."""
        rng = np.random.default_rng(seed)
        rows = self.store.rows("test") if ecg_ids is None else self.store.rows_of(list(ecg_ids))
        truth = self.store.read(rows, LEADS)
        shape = (len(rows), n_samples, *truth.shape[1:])
        centre = truth - noise * rng.standard_normal(truth.shape)
        samples = centre[:, None] + noise * rng.standard_normal(shape)
        if observed is None:
            observed = np.zeros(truth.shape, bool)
            observed[:, 0] = True
        samples = np.where(observed[:, None], truth[:, None], samples).astype(np.float32)
        path = self.folder / name
        config = {"algo": {"name": name}, "dataset": {"store": str(self.store.path), "sampling_rate": RATE}}
        RunFolder.create(path, config, seed=seed, device="cpu")
        mean = samples.mean(axis=1)
        spread = 1.7 * noise * ~observed
        arrays = {"samples": samples, "mean": mean, "lower": mean - spread, "upper": mean + spread}
        for key, array in {**arrays, "truth": truth, "observed": observed}.items():
            np.save(path / f"{key}.npy", array.astype(bool if key == "observed" else np.float32))
        ids = self.store.table["ecg_id"].to_numpy()[rows]
        pd.DataFrame({"ecg_id": ids, "seconds": 2.0, "network_calls": 16}).to_parquet(path / "records.parquet")
        return path


@pytest.fixture
def fake_run(store: Store, tmp_path: Path) -> FakeRun:
    return FakeRun(store, tmp_path / "runs")
