"""The files of a store: written beside its place, checked, then moved there."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.ecg.statements import encode
from einthoven.run.array_files import save_array
from einthoven.run.files import write_json
from preprocessing.cohorts.splits import SPLITS

STORE_FORMAT = 1
MANIFEST = "manifest.json"
_HASHED_AT_ONCE = 256
UNITS_PER_MV = 1000.0
TABLE_DEFAULTS: dict[str, Any] = {
    "split": "test",
    "strat_fold": 0,
    "statements": (),
    "age": np.nan,
    "sex": np.nan,
    "patient_id": np.nan,
    "baseline_drift": "",
    "static_noise": "",
    "burst_noise": "",
    "electrodes_problems": "",
    "source_rate": np.nan,
    "source": "",
}
"""Columns of every table beside `ecg_id`, and what stands there where nothing is known (fold 0: no fold)."""


class StoreForm(ABC):
    """What a store holds of each record, and how.

    Attributes:
        name: Name of the array file, without its suffix.
        dtype: Data type of the array, as numpy writes it, such as "<i2".
    """

    name: ClassVar[str]
    dtype: ClassVar[str]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of a record, leads first."""

    @abstractmethod
    def encode(self, values: NDArray[Any]) -> NDArray[Any]:
        """Turns values of records into those of the array; raises ValueError where it cannot."""

    @abstractmethod
    def describe(self, table: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Returns the table to keep and what the manifest says of the form; writes further files into `folder`."""

    def finish(self, path: Path, table: pd.DataFrame, manifest: Mapping[str, Any]) -> None:
        """Completes the store being built beside `path`, whose array is there, and moves it into place.

        Args:
            path: Folder of the store.
            table: One row per record with `ecg_id`; ValueError as of `complete_table`.
            manifest: What to say in the manifest beyond the form.
        """
        folder = partial_folder(path)
        table, facts = self.describe(table, folder)
        complete_table(table).to_parquet(folder / "table.parquet", index=False)
        write_json(folder / MANIFEST, {**manifest, **facts})
        publish(path)

    def write(self, path: Path, values: NDArray[Any], table: pd.DataFrame, manifest: Mapping[str, Any]) -> None:
        """Writes a small store in one call, atomically; a store that is there already is replaced.

        Args:
            path: Folder of the store.
            values: Values of all records, shape (N, *shape); ValueError if they have another or cannot be encoded.
            table: As for `finish`.
            manifest: As for `finish`.
        """
        check_place(path)
        encoded = self.encode(values)
        if encoded.shape != (len(table), *self.shape):
            raise ValueError(f"{self.name} of shape {encoded.shape} do not fit {(len(table), *self.shape)}")
        folder = partial_folder(path)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        save_array(folder / f"{self.name}.npy", encoded)
        self.finish(path, table, {**manifest, f"{self.name}_sha256": hash_values(encoded)})


@dataclass(frozen=True)
class SignalForm(StoreForm):
    """ECGs as int16.

    Attributes:
        n_samples: Number of samples L of each record.
        sampling_rate: Sampling rate in Hz.
        leads: Lead names of the lead axis.
        units_per_mv: Scale of the int16 signals.
    """

    n_samples: int
    sampling_rate: float
    leads: tuple[str, ...] = LEADS
    units_per_mv: float = UNITS_PER_MV
    name: ClassVar[str] = "signals"
    dtype: ClassVar[str] = "<i2"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (C, L) of a record."""
        return len(self.leads), self.n_samples

    def encode(self, values: NDArray[Any]) -> NDArray[np.int16]:
        """Rounds ECGs in mV to int16, as `quantise` does."""
        return quantise(values, self.units_per_mv)

    def describe(self, table: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Returns the table as it is, and rate, leads, length and scale."""
        return table, {
            "format": STORE_FORMAT,
            "n_records": len(table),
            "leads": list(self.leads),
            "n_samples": self.n_samples,
            "sampling_rate": float(self.sampling_rate),
            "dtype": "int16",
            "units_per_mv": float(self.units_per_mv),
        }


def hash_values(values: NDArray[Any]) -> str:
    """Returns the SHA-256 of an array's values, of which some records at a time are read."""
    digest = sha256()
    for first in range(0, len(values), _HASHED_AT_ONCE):
        digest.update(values[first : first + _HASHED_AT_ONCE].tobytes())
    return digest.hexdigest()


def quantise(x: NDArray[Any], units_per_mv: float = UNITS_PER_MV) -> NDArray[np.int16]:
    """Rounds a signal in mV to int16 units; ValueError, not clipping, if it is not finite or beyond the range."""
    if np.asarray(x).dtype.kind not in "biuf":
        raise ValueError(f"the signal holds {np.asarray(x).dtype} values, not numbers in mV")
    scaled = np.rint(np.asarray(x, dtype=np.float64) * units_per_mv)
    if not np.isfinite(scaled).all():
        raise ValueError("the signal has values that are not finite")
    if scaled.size and np.abs(scaled).max() > np.iinfo(np.int16).max:
        peak, limit = np.abs(scaled).max() / units_per_mv, np.iinfo(np.int16).max / units_per_mv
        raise ValueError(f"the signal reaches {peak:.1f} mV, beyond the store's {limit:.1f} mV")
    return scaled.astype(np.int16)


def partial_folder(path: Path) -> Path:
    """Returns the folder beside a store's in which it is built."""
    return path.with_name(path.name + ".partial")


def check_place(path: Path) -> None:
    """Refuses, by a ValueError, a place where something else is: a store replaces only a store or an empty folder."""
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file()):
        raise ValueError(f"{path} is not empty and not a store: nothing there is overwritten; choose another place")


def publish(path: Path) -> None:
    """Moves a store that was completed beside its folder into place, whatever was there before."""
    partial, old = partial_folder(path), path.with_name(path.name + ".old")
    if not (partial / MANIFEST).is_file():
        return
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    partial.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def complete_table(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table with every column of `TABLE_DEFAULTS`, in the store's types.

    Args:
        table: One row per record with `ecg_id`, and `sample` where a record has several.

    Raises:
        ValueError: If `ecg_id` is missing, keys are not unique, or a split or statement is unknown.
    """
    if "ecg_id" not in table:
        raise ValueError("the table of a store needs a column ecg_id")
    result = table.reset_index(drop=True).copy()
    for column, default in TABLE_DEFAULTS.items():
        if column not in result:
            result[column] = [list(default) if isinstance(default, tuple) else default for _ in range(len(result))]
    key = ["ecg_id", "sample"] if "sample" in result else ["ecg_id"]
    if result.duplicated(key).any():
        raise ValueError(f"records are not unique by {' and '.join(key)}; give each its own key")
    unknown = {str(split)[:40] for split in result["split"]} - set(SPLITS)
    if unknown:
        raise ValueError(f"unknown split(s) {sorted(unknown)[:5]}; splits are {', '.join(SPLITS)}")
    for codes in result["statements"]:
        encode(codes)
    numbers = dict.fromkeys(("ecg_id", "strat_fold"), np.int64)
    for column, dtype in (numbers | dict.fromkeys(("age", "sex", "patient_id", "source_rate"), np.float64)).items():
        try:
            result[column] = result[column].astype(dtype)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"column {column} of the table holds what is no number: {error}") from error
    for column in ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems", "source", "split"):
        result[column] = result[column].astype(object).where(result[column].notna(), "").astype(str)
    result["statements"] = [list(codes) for codes in result["statements"]]
    return result
