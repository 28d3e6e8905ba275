"""PhysioNet/CinC Challenge 2011, set a: mobile-phone ECGs labelled by people as acceptable or unacceptable.

Silva, Moody, Celi, Computing in Cardiology 38, 273 (2011). The acceptable records become a store: all in "train",
without statements, fold 0, keyed by the record's number. The source states no gain: 200 units/mV, as in its WFDB files,
gives the amplitudes of PTB-XL (median standard deviation of a lead 0.09 to 0.19 mV here, 0.09 to 0.23 mV there). A
record with a lead that is flat or saturated, or that exceeds a plausible amplitude after filtering, is left out.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg import filters
from einthoven.ecg.checks import flat_leads, longest_hold
from einthoven.ecg.leads import LEADS
from einthoven.run.hashing import hash_file
from preprocessing.cohorts.cohort import DURATION_S, Cohort
from preprocessing.store.preparation import Inputs, Processed, Reader, RecordFile, read_file, wfdb_file

SOURCE_RATE = 500
LISTINGS: dict[str, bool] = {"RECORDS-acceptable": True, "RECORDS-unacceptable": False}
SATURATED_S = 0.05
"""A lead that stays at its largest or smallest value for so long is saturated."""
PLAUSIBLE_MV = 10.0
"""Largest plausible absolute value after filtering; 3 of 1,885 PTB-XL records come near or above it."""


@dataclass(frozen=True)
class Cinc2011(Cohort):
    """The acceptable records.

    Attributes:
        filtered: Whether to filter; otherwise the ECG is only resampled, and an implausible amplitude is no reason to
            leave a record out.
    """

    standard: ClassVar[Mapping[str, Any]] = {"name": "cinc2011", "filtered": None}
    filtered: bool = True

    def __post_init__(self) -> None:
        """Checks the values, raising ValueError."""
        if not 50 <= self.sampling_rate <= SOURCE_RATE:
            raise ValueError(f"dataset.sampling_rate must be 50 to {SOURCE_RATE} Hz here, not {self.sampling_rate:g}")

    def inputs(self, raw_path: str | Path) -> Inputs:
        """Lists everything that the store is made from, records in the order of their numbers.

        Args:
            raw_path: Folder with `RECORDS-acceptable` and `set-a`; ValueError if one or all records lack, or a number.
        """
        listing = Path(raw_path) / next(iter(LISTINGS))
        keys = _read_listing(listing)
        files = find_files(raw_path, sorted(keys))
        table = pd.DataFrame({"ecg_id": [file.ecg_id for file in files], "split": "train", "source": "cinc2011"})
        settings = {"name": "cinc2011", "sampling_rate": float(self.sampling_rate)}
        notes = {"records in the list": len(keys), "records absent from this copy": len(keys) - len(files)}
        implausible = f", or beyond {PLAUSIBLE_MV:g} mV" if self.filtered else ""
        checks = (f"left out: a lead flat, at an extreme for {SATURATED_S:g} s{implausible}",)
        steps = (filters.STEPS if self.filtered else filters.STEPS[-1:]) + checks
        settings |= {} if self.filtered else {"filtered": False}
        return Inputs(files, table, settings, {listing.name: hash_file(listing)}, steps, notes)

    def reader(self, inputs: Inputs) -> Reader:
        """Returns what reads and processes a record."""
        return self.read

    def read(self, file: RecordFile) -> Processed:
        """Returns a record in mV, shape (12, L), at the store's rate, and the empty column `flat_leads`.

        Raises:
            ValueError: If the record is broken, or a lead is flat, saturated or implausible.
        """
        ecg = read_file(file, DURATION_S).ordered(LEADS)
        check_raw(ecg, SOURCE_RATE)
        if not self.filtered:
            return Processed(filters.resample(ecg, SOURCE_RATE, self.sampling_rate), {"flat_leads": ""})
        clean = filters.clean_signal(ecg, SOURCE_RATE, self.sampling_rate)
        check_filtered(clean)
        return Processed(clean, {"flat_leads": ""})


def check_raw(ecg: NDArray[np.float64], rate: float) -> None:
    """Refuses an ECG (12, L) in mV at `rate` Hz with a missing sample, or a lead that is flat or saturated."""
    if np.isnan(ecg).any():
        raise ValueError("NaN in the ECG")
    flat = flat_leads(ecg)
    for lead, values in zip(LEADS, ecg, strict=True):
        if lead in flat:
            raise ValueError(f"flat lead {lead}")
        if longest_hold(values) / rate >= SATURATED_S:
            raise ValueError(f"saturated lead {lead}")


def check_filtered(ecg: NDArray[np.float64]) -> None:
    """Refuses a filtered ECG (12, L) in mV that exceeds a plausible amplitude."""
    if np.abs(ecg).max() > PLAUSIBLE_MV:
        raise ValueError(f"implausible amplitude in lead {LEADS[int(np.abs(ecg).max(axis=1).argmax())]}")


def cinc2011_half(ecg_id: int) -> Literal["fit", "test"]:
    """Returns the half of a record, from a hash of its number alone: whatever other records there are.

    "fit" is for training and every choice, "test" for results alone.
    """
    digest = hashlib.blake2b(f"cinc2011/{ecg_id}".encode(), digest_size=8).digest()
    return "test" if digest[0] % 2 else "fit"


def find_files(root: str | Path, keys: Iterable[int]) -> list[RecordFile]:
    """Returns the files of those records, by number, that are there in `set-a`; ValueError if none is."""
    folder = Path(root) / "set-a"
    found = [wfdb_file(folder / str(key), int(key), SOURCE_RATE) for key in keys]
    files = [file for file in found if file is not None]
    if not files:
        raise ValueError(f"{folder} holds none of the records listed; correct dataset.raw_path")
    return files


def read_labels(root: str | Path) -> pd.DataFrame:
    """Reads the two lists of records in a folder.

    Returns:
        One row per record, ascending in `ecg_id`: `ecg_id` (int64), `acceptable` (bool), `half` ("fit" or "test").

    Raises:
        ValueError: If a list is missing, a record's name is not a number, or a record is listed twice.
    """
    folder = Path(root)
    acceptable: dict[int, bool] = {}
    for name, label in LISTINGS.items():
        keys = _read_listing(folder / name)
        if acceptable.keys() & set(keys):
            raise ValueError(f"{folder / name} lists a record that is listed already; download both lists again")
        acceptable.update(dict.fromkeys(keys, label))
    keys = sorted(acceptable)
    table = pd.DataFrame({"ecg_id": pd.Series(keys, dtype="int64")})
    table["acceptable"] = pd.Series([acceptable[key] for key in keys], dtype=bool)
    return table.assign(half=pd.Series([cinc2011_half(key) for key in keys], dtype=object))


def _read_listing(path: Path) -> list[int]:
    """Reads the numbers of the records that a file lists."""
    if not path.is_file():
        raise ValueError(f"{path.parent} lacks {path.name}; correct dataset.raw_path, the folder of CinC 2011's set a")
    names = path.read_text(encoding="utf-8").split()
    if not all(name.isdecimal() for name in names) or len(set(map(int, names))) < len(names):
        raise ValueError(f"{path} must list records by their numbers, none twice; download it again")
    return [int(name) for name in names]
