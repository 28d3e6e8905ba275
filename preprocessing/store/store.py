"""The store: one folder of ECGs of one rate, length and set of leads, read by memory map and joined by key.

A store holds

- `signals.npy`: int16, shape (N, C, L), `units_per_mv` units per mV;
- `table.parquet`: one row per record, in the order of the signals, keyed by `ecg_id`;
- `manifest.json`: rate, leads, scale, sources with their hashes, steps, version; written last, so that a folder
  without one is not a store;
- `skipped.csv` (where something was skipped): `ecg_id` and the reason.

Scale: 1000 units per mV, the resolution of PTB-XL's own files, reaches +-32.767 mV. Measured on 472 filtered PTB-XL
records at 100 Hz, int16 adds an error of 0.29 uV RMS, 0.50 uV at most, to signals of 207 uV RMS; the rounding in the
source files alone breaks Einthoven's law by 0.45 uV RMS. 24 kB a record is half the size of float32. A record beyond
the range is never clipped: it is an error or a skipped record.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from einthoven.arguments import check_number
from einthoven.checked_files import intact, map_array, read_json, read_table
from einthoven.ecg.checks import FASTEST_HZ, SLOWEST_HZ, check_rate
from einthoven.ecg.leads import canonical_leads, lead_matrix
from einthoven.ecg.statements import encode
from einthoven.run.hashing import hash_json
from preprocessing.cohorts.splits import SPLITS
from preprocessing.store.files import MANIFEST, STORE_FORMAT, UNITS_PER_MV, SignalForm, StoreForm, hash_values

VERIFIED_BYTES = 1 << 30
"""An array of more bytes is not compared with its hash when it is opened: `verify` does it."""
_LIMITS = {"n_samples": (1, 1 << 40), "sampling_rate": (SLOWEST_HZ, FASTEST_HZ), "units_per_mv": (1e-3, 1e9)}
"""What a manifest may state."""


class StoreBase(ABC):
    """A store opened for reading: an array of records, their table and the manifest.

    Attributes:
        form: What the array holds of each record.
        format: Format that the manifest states.
        kind: What such a store is called.
        command: The script that makes one.
        path: Its folder.
        values: The array, memory-mapped, shape (N, ...).
        table: One row per record, in the order of the array; columns `ecg_id` and those of `TABLE_DEFAULTS`.
        manifest: What the store was made from, and how.
    """

    form: ClassVar[type[StoreForm]]
    format: ClassVar[int | str]
    kind: ClassVar[str]
    command: ClassVar[str]

    def __init__(self, path: Path, values: NDArray[Any], table: pd.DataFrame, manifest: dict[str, Any]) -> None:
        """Wraps what `open` has read."""
        self.path, self.values, self.table, self.manifest = path, values, table, manifest

    @classmethod
    @abstractmethod
    def record_shape(cls, manifest: Mapping[str, Any]) -> tuple[int, ...]:
        """Returns the shape of a record by a manifest; raises KeyError, TypeError or ValueError where it is wrong."""

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Opens a store; the array stays on disk until read, but for its hash, which takes a second a gigabyte.

        Raises:
            ValueError: If the folder is missing, unfinished, of another format or damaged, or its parts do not fit.
        """
        folder = Path(path)
        if not (folder / MANIFEST).is_file():
            raise ValueError(
                f"{folder} holds no finished {cls.kind} (no {MANIFEST}); make one, e.g. python -m {cls.command} "
                "dataset.raw_path=<PTB-XL folder>"
            )
        return cls._open(folder, verified=True)

    @classmethod
    def _open(cls, folder: Path, verified: bool) -> Self:
        """Opens a store, see `open`; `verified` compares an array up to `VERIFIED_BYTES` with its hash."""
        manifest = read_json(folder / MANIFEST)
        if "format" not in manifest:
            raise ValueError(f"{folder / MANIFEST} is damaged (it states no format): make it again")
        if manifest["format"] != cls.format:
            raise ValueError(
                f"{folder} is a store of format {str(manifest['format'])[:40]}, not {cls.format}: make one with "
                f"python -m {cls.command}"
            )
        with intact(folder / MANIFEST):
            shape = (manifest["n_records"], *cls.record_shape(manifest))
        table = read_table(folder / "table.parquet")
        with intact(folder / "table.parquet"):
            table["statements"] = [[str(code) for code in codes] for codes in table["statements"]]
            _check_table(table)
        values = map_array(folder / f"{cls.form.name}.npy")
        if values.shape != shape or values.dtype != np.dtype(cls.form.dtype) or len(table) != len(values):
            raise ValueError(
                f"{folder}/{cls.form.name}.npy has shape {values.shape} and type {values.dtype}, but its manifest "
                f"says {shape} and {np.dtype(cls.form.dtype)}, and its table has {len(table)} rows: make it again"
            )
        store = cls(folder, values, table, manifest)
        if verified and values.nbytes <= VERIFIED_BYTES:
            store.verify()
        return store

    def __reduce__(self) -> tuple[Callable[[Path, bool], Self], tuple[Path, bool]]:
        """Goes to other processes as its path, not with its array, which was verified here."""
        return type(self)._open, (self.path.resolve(), False)

    def __len__(self) -> int:
        """Returns the number of records."""
        return len(self.table)

    @property
    def manifest_hash(self) -> str:
        """SHA-256 of the manifest: changes with sources, settings, version and content."""
        return hash_json(self.manifest)

    def verify(self) -> None:
        """Compares the whole array with the hash in the manifest, where that states one; ValueError if they differ."""
        stated = self.manifest.get(f"{self.form.name}_sha256")
        if stated is not None and stated != hash_values(self.values):
            raise ValueError(f"{self.path}/{self.form.name}.npy is not what its manifest says: make the store again")


class Store(StoreBase):
    """A store of ECGs opened for reading; its array holds `units_per_mv` units per mV, int16, shape (N, C, L)."""

    form = SignalForm
    format = STORE_FORMAT
    kind = "store"
    command = "preprocessing.prepare_ptbxl"

    @classmethod
    def record_shape(cls, manifest: Mapping[str, Any]) -> tuple[int, ...]:
        """Returns the shape (C, L) of a record; raises an error as in `StoreBase` where the manifest is wrong."""
        facts = {name: manifest[name] for name in ("n_samples", "sampling_rate", "units_per_mv")}
        wrong = [
            f"{name} is {str(value)[:40]}" for name, value in facts.items() if not _is_number(value, *_LIMITS[name])
        ]
        if wrong:
            raise ValueError(", ".join(wrong))
        if not isinstance(manifest["leads"], list):
            raise ValueError(f"leads is {str(manifest['leads'])[:40]}")
        return len(canonical_leads(manifest["leads"])), int(manifest["n_samples"])

    @property
    def signals(self) -> NDArray[np.int16]:
        """ECGs in `units_per_mv` units per mV, memory-mapped int16, shape (N, C, L)."""
        return self.values

    @property
    def leads(self) -> tuple[str, ...]:
        """Lead names, in the order of the signals' lead axis."""
        return tuple(self.manifest["leads"])

    @property
    def sampling_rate(self) -> float:
        """Sampling rate in Hz."""
        return float(self.manifest["sampling_rate"])

    @property
    def n_samples(self) -> int:
        """Number of samples L of each record."""
        return int(self.manifest["n_samples"])

    @property
    def units_per_mv(self) -> float:
        """Scale of the int16 signals."""
        return float(self.manifest["units_per_mv"])

    def read(self, rows: ArrayLike, leads: Sequence[str] | None = None) -> NDArray[np.float32]:
        """Reads the ECGs of some rows.

        Args:
            rows: Row numbers, shape (n,).
            leads: Leads wanted, by default all of the store; others are derived, ValueError where that cannot be.

        Returns:
            ECGs in mV, shape (n, number of leads, L), float32.
        """
        x = self.signals[np.asarray(rows, dtype=np.int64)].astype(np.float32) / np.float32(self.units_per_mv)
        if leads is None:
            return x
        wanted = canonical_leads(leads)
        if set(wanted) <= set(self.leads):
            return x[:, [self.leads.index(lead) for lead in wanted]]
        return np.matmul(lead_matrix(wanted, self.leads).astype(np.float32), x)

    def labels(self) -> NDArray[np.float32]:
        """Returns the statements of all records as multi-hot vectors, shape (N, 71), in the order of `STATEMENTS`."""
        return np.stack([encode(codes) for codes in self.table["statements"]]) if len(self) else encode([])[None][:0]

    def rows(self, split: str, n_records: int | None = None) -> NDArray[np.int64]:
        """Returns the row numbers of a split, ascending, or a fixed random choice of them; ValueError if it has fewer.

        Args:
            split: "train", "val" or "test".
            n_records: How many records to choose; None: all.
        """
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; splits are {', '.join(SPLITS)}")
        rows = np.flatnonzero(self.table["split"].to_numpy() == split)
        if n_records is None:
            return rows
        if not 0 < n_records <= len(rows):
            raise ValueError(f"cannot choose {n_records} of the {len(rows)} records of {split}")
        return np.sort(np.random.default_rng(0).permutation(rows)[:n_records])

    def rows_of(self, ecg_ids: Sequence[int]) -> NDArray[np.int64]:
        """Returns the row numbers of records by key, in the order asked for, shape (n,); ValueError if one lacks."""
        index = pd.Index(self.table["ecg_id"])
        rows = index.get_indexer(pd.Index(ecg_ids))
        if (rows < 0).any():
            absent = [int(key) for key, row in zip(ecg_ids, rows, strict=True) if row < 0]
            raise ValueError(f"{len(absent)} record(s) are not in {self.path}: {absent[:10]}; see its table.parquet")
        return rows.astype(np.int64)


def _is_number(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _check_table(table: pd.DataFrame) -> None:
    """Refuses, by a ValueError, a table whose keys or splits no store has."""
    keys = ["ecg_id", "sample"] if "sample" in table else ["ecg_id"]
    if not pd.api.types.is_integer_dtype(table["ecg_id"]) or table.duplicated(keys).any():
        raise ValueError(f"{' and '.join(keys)} do not tell its records apart")
    unknown = set(map(str, table["split"])) - set(SPLITS)
    if unknown:
        raise ValueError(f"it has unknown splits, {', '.join(sorted(unknown))[:100]}")


def write_store(
    path: str | Path,
    signals: NDArray[np.float32],
    table: pd.DataFrame,
    sampling_rate: float,
    leads: Sequence[str],
    manifest: Mapping[str, Any] | None = None,
    units_per_mv: float = UNITS_PER_MV,
) -> Store:
    """Writes a small store in one call, atomically, as `StoreForm.write`, and opens it.

    Args:
        path: Folder of the store.
        signals: ECGs in mV, shape (N, C, L); ValueError if they are not finite or beyond the range of int16.
        table: One row per record with `ecg_id`; the other columns of `TABLE_DEFAULTS` are filled in where absent. With
            several samples of one record, a column `sample` makes the key unique.
        sampling_rate: Sampling rate in Hz.
        leads: Lead names of the lead axis.
        manifest: What to say in the manifest beyond rate, leads, shape and scale.
        units_per_mv: Scale of the int16 signals.
    """
    rate = check_rate(check_number("sampling_rate", sampling_rate))
    form = SignalForm(signals.shape[-1], rate, canonical_leads(leads), units_per_mv)
    form.write(Path(path), signals, table, manifest or {})
    return Store.open(path)
