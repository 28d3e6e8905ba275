"""The reconstructions in the run folder of `reconstruction.inpaint`, read by key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from einthoven.checked_files import intact, map_array, read_table
from einthoven.ecg.leads import LEADS
from einthoven.ecg.lost import ABSURD_MV
from einthoven.run.run_folder import CONFIG, RunFolder
from evaluation.report import distinct_names
from evaluation.scores import Estimate
from preprocessing.store.store import Store

ARRAYS = ("samples", "mean", "lower", "upper", "truth", "observed")
HINT = "make the run again, in another folder"
"""What to do with a damaged one."""
COSTS = ("seconds", "network_calls", "gradient_calls", "memory_mb")


@dataclass(frozen=True)
class Reconstructions:
    """Reconstructions of N records by one method; signals in mV, leads in the order of `LEADS`.

    Attributes:
        name: Name of the method.
        ecg_ids: Keys of the records, shape (N,).
        samples: Samples, shape (N, S, 12, L); memory-mapped when read from a run folder.
        mean: Their mean, shape (N, 12, L).
        lower: Lower edge of the 90 % band, shape (N, 12, L).
        upper: Upper edge of the 90 % band, shape (N, 12, L).
        truth: True ECG, shape (N, 12, L).
        observed: True where a sample was given to the method, shape (N, 12, L).
        sampling_rate: Sampling rate in Hz.
        cost: Seconds, network calls and peak memory until then of each record, columns among `COSTS`.
        store: Folder of the store that the records come from, where the run's config names one.
        left_out: Keys of the records that are damaged.
    """

    name: str
    ecg_ids: np.ndarray
    samples: np.ndarray
    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    truth: np.ndarray
    observed: np.ndarray
    sampling_rate: float
    cost: pd.DataFrame
    store: Path | None = None
    left_out: tuple[int, ...] = ()

    @classmethod
    def open(cls, path: Path | str) -> "Reconstructions":
        """Opens a run folder of `reconstruction.inpaint`; a ValueError if it is not, unfinished, or has no truth."""
        run = RunFolder.open(path)
        missing = [name for name in ARRAYS if not (run.path / f"{name}.npy").is_file()]
        if "truth" in missing and len(missing) == 1:
            raise ValueError(f"{path} holds no true ECGs: evaluate a run on whole records (data=store)")
        if missing or not (run.path / "records.parquet").is_file():
            raise ValueError(f"{path} is no finished run of reconstruction.inpaint: start that run again, it goes on")
        arrays = {name: map_array(run.path / f"{name}.npy", HINT) for name in ARRAYS}
        records = read_table(run.path / "records.parquet", HINT)
        if "ecg_id" not in records or arrays["mean"].ndim != 3:
            raise ValueError(f"{path} is damaged: its records have no ecg_id, or its arrays no leads: {HINT}")
        if "problem" in records:  # the arrays hold the records that worked
            records = records[records["problem"] == ""].reset_index(drop=True)
        shape = (len(records), len(LEADS), arrays["mean"].shape[-1])
        for name, array in arrays.items():
            if array.ndim < 3 or (array.shape[0], *array.shape[-2:]) != shape or array.dtype.kind not in "fb":
                raise ValueError(f"{path}/{name}.npy has shape {array.shape}, its records and leads say {shape}")
        with intact(run.path / CONFIG, HINT):
            dataset = run.config.get("dataset") or {}
            store, rate = dataset.get("store"), float(dataset.get("sampling_rate") or 100.0)
        return cls(
            name=method_name(run.config, run.path),
            ecg_ids=records["ecg_id"].to_numpy(),
            sampling_rate=rate,
            cost=records[[column for column in COSTS if column in records]],
            store=Path(store) if store else None,
            left_out=(),
            **arrays,
        )

    @property
    def is_point_estimate(self) -> bool:
        """Whether the method gives one estimate: the samples of each record are equal, so they make no band."""
        return all(bool((record[1:] == record[:1]).all()) for record in self.samples)

    def select(self, ecg_ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Returns the rows of records by key, in the order asked for, shape (n,)."""
        return pd.Index(self.ecg_ids).get_indexer(pd.Index(ecg_ids))

    def restricted(self, ecg_ids: np.ndarray) -> Self:
        """Selects records by key, in the order asked for; signals stay on disk where all are wanted in their order."""
        rows = self.select(ecg_ids)
        if np.array_equal(rows, np.arange(len(self.ecg_ids))):
            return self
        arrays = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, cost=self.cost.iloc[rows], **arrays)

    def undamaged(self) -> Self:
        """Leaves out records with estimates that are not finite, or with what no ECG has; a ValueError if all are."""
        arrays = [value for value in vars(self).values() if isinstance(value, np.ndarray) and value.ndim > 2]
        signals = [array for array in arrays if array is not self.observed and array is not self.truth]
        truth = (np.nan_to_num(ecg, nan=0.0) for ecg in self.truth)  # parts of it may be unknown
        sound = [
            bool(np.all([np.max(np.abs(x), initial=0.0) <= ABSURD_MV for x in ecgs]))
            for ecgs in zip(truth, *signals, strict=True)
        ]
        if all(sound) or not sound:
            return self
        if not any(sound):
            raise ValueError(f"{self.name}: every record holds values that no ECG has: {HINT}")
        damaged = tuple(int(key) for key in self.ecg_ids[~np.array(sound)])
        return replace(self.restricted(self.ecg_ids[sound]), left_out=damaged)

    @property
    def left_out_note(self) -> str:
        """Says which records are damaged; empty without any."""
        keys = ", ".join(map(str, self.left_out[:10])) + (", ..." if len(self.left_out) > 10 else "")
        return f"{self.name}: {len(self.left_out)} damaged records left out (ecg_id {keys})" if keys else ""

    def estimate(self) -> Estimate:
        """Puts the reconstructions beside the truth, to be scored where nothing was observed."""
        scored = ~np.asarray(self.observed) & np.isfinite(self.truth)
        estimate = Estimate(self.mean, self.truth, scored, self.sampling_rate)
        if self.is_point_estimate:
            return estimate
        return replace(estimate, samples=self.samples, band=(self.lower, self.upper))

    def baseline_store(self, path: Path | str | None, notes: list[str]) -> Store | None:
        """Opens the store at `path`, by default the one that the records come from, to fit baselines on.

        None where there is no store, or its records do not suit; the notes then say why.
        """
        path = path or self.store
        if path is None or not (Path(path) / "manifest.json").is_file():
            notes.append(f"no baselines: the store {path} is not there; name it with evaluate.store=...")
            return None
        store = Store.open(path)
        if store.sampling_rate != self.sampling_rate or store.n_samples < self.truth.shape[-1]:
            notes.append(f"no baselines: the store {path} has another sampling rate or shorter records than the runs")
            return None
        return store

    def whole_leads(self) -> tuple[str, ...]:
        """Names the leads observed throughout; none where they are not the same in all records."""
        whole = np.asarray(np.all(self.observed, axis=-1))
        if len(whole) == 0 or not (whole == whole[0]).all():
            return ()
        return tuple(lead for lead, is_whole in zip(LEADS, whole[0], strict=True) if is_whole)


def method_name(config: Mapping[str, Any], path: Path) -> str:
    """Names the method of a run: `algo.name`, else the module of its sampler, else the name of its folder."""
    algo = config.get("algo")
    algo = algo if isinstance(algo, Mapping) else {}
    if algo.get("name"):
        return str(algo["name"])
    target = str(algo.get("_target_", ""))
    return target.split(".")[-2] if target.count(".") >= 1 else path.name


def open_runs(paths: Sequence[Path | str]) -> list[Reconstructions]:
    """Opens several run folders of one length and rate; methods of the same name get their folder's name appended."""
    if not paths:
        raise ValueError("no run to evaluate: give run=RUN of reconstruction.inpaint, or 'runs=[FIRST,SECOND]'")
    runs = [Reconstructions.open(path).undamaged() for path in paths]
    shapes = {(run.mean.shape[-1], run.sampling_rate) for run in runs}
    if len(shapes) > 1:
        raise ValueError(f"the runs differ in length or sampling rate {sorted(shapes)}: evaluate them one by one")
    names = distinct_names([run.name for run in runs], paths)
    return [replace(run, name=name) for run, name in zip(runs, names, strict=True)]
