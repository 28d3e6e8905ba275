"""PhysioNet/CinC Challenge 2011, set a: mobile-phone ECGs labelled by people as acceptable or unacceptable.

Silva, Moody, Celi, Computing in Cardiology 38, 273 (2011). The acceptable records become a store: all in "train",
without statements, fold 0, keyed by the record's number. The source states no gain: 200 units/mV, as in its WFDB files,
gives the amplitudes of PTB-XL (median standard deviation of a lead 0.09 to 0.19 mV here, 0.09 to 0.23 mV there). A
record with a lead that is flat or saturated, or that exceeds a plausible amplitude after filtering, is left out.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.ecg import filters
from einthoven.ecg.checks import flat_leads, longest_hold
from einthoven.ecg.leads import LEADS
from einthoven.ecg.recording import read_wfdb
from einthoven.run.hashing import hash_file
from preprocessing.store.builder import build_store
from preprocessing.store.preparation import Inputs, Processed, RecordFile, Summary, settled_path, wfdb_file

DURATION_S = 10.0
SOURCE_RATE = 500
LISTING = "RECORDS-acceptable"

SATURATED_S = 0.05
"""A lead that stays at its largest or smallest value for so long is saturated."""
PLAUSIBLE_MV = 10.0
"""Largest plausible absolute value after filtering; 3 of 1,885 PTB-XL records come near or above it."""


def prepare_cinc2011(
    raw_path: str | Path,
    database_path: str | Path,
    *,
    sampling_rate: float = 100,
    filtered: bool = True,
    n_workers: int | None = None,
    max_skipped: float = 1.0,
) -> Summary:
    """Prepares a store of the acceptable records; continues one that was interrupted, leaves one that is up to date.

    Args:
        raw_path: Folder with `RECORDS-acceptable` and `set-a`.
        database_path: Folder of the store.
        sampling_rate: Rate of the store in Hz.
        filtered: Whether to filter; otherwise the ECG is only resampled, and an implausible amplitude is no reason to
            leave a record out.
        n_workers: Processes; by default one per CPU core.
        max_skipped: Largest fraction of records left out that is no error.

    Returns:
        What was done, and where the store is.

    Raises:
        ValueError: If the set-up is broken, or too many records are.
    """
    if not 50 <= sampling_rate <= SOURCE_RATE:
        raise ValueError(f"dataset.sampling_rate must be 50 to {SOURCE_RATE} Hz here, not {sampling_rate:g}")
    inputs = cinc2011_inputs(Path(raw_path), sampling_rate, filtered)
    return build_store(
        settled_path(Path(database_path), inputs.settings, {"name": "cinc2011", "filtered": None}),
        inputs,
        Cinc2011Reader(sampling_rate, filtered),
        n_samples=round(DURATION_S * sampling_rate),
        sampling_rate=sampling_rate,
        n_workers=n_workers,
        max_skipped=max_skipped,
    )


def cinc2011_inputs(root: Path, sampling_rate: float, filtered: bool = True) -> Inputs:
    """Lists everything that the store is made from.

    Args:
        root: Folder with `RECORDS-acceptable` and `set-a`.
        sampling_rate: Rate of the store in Hz.
        filtered: Whether ECGs are filtered.

    Returns:
        The inputs, records in the order of their numbers.

    Raises:
        ValueError: If the list, the folder or all records are missing, or a record's name is not a number.
    """
    listing = root / LISTING
    if not listing.is_file() or not (root / "set-a").is_dir():
        raise ValueError(f"{root} lacks {LISTING} or set-a; correct dataset.raw_path")
    names = listing.read_text(encoding="utf-8").split()
    if not all(name.isdecimal() for name in names) or len(set(names)) < len(names):
        raise ValueError(f"{listing} must list each record once, by its number; download it again")
    found = [wfdb_file(root / "set-a" / name, int(name), SOURCE_RATE) for name in sorted(names, key=int)]
    files = [file for file in found if file is not None]
    if not files:
        raise ValueError(f"{root / 'set-a'} holds none of the records of {LISTING}; correct dataset.raw_path")
    table = pd.DataFrame({"ecg_id": [file.ecg_id for file in files], "split": "train", "source": "cinc2011"})
    settings = {"name": "cinc2011", "sampling_rate": float(sampling_rate), **({} if filtered else {"filtered": False})}
    notes = {"records in the list": len(names), "records absent from this copy": len(names) - len(files)}
    implausible = f", or beyond {PLAUSIBLE_MV:g} mV" if filtered else ""
    checks = (f"left out: a lead flat, at an extreme for {SATURATED_S:g} s{implausible}",)
    steps = (filters.STEPS if filtered else filters.STEPS[-1:]) + checks
    return Inputs(files, table, settings, {LISTING: hash_file(listing)}, steps, notes)


@dataclass(frozen=True)
class Cinc2011Reader:
    """Reads and processes one record.

    Attributes:
        sampling_rate: Rate of the store in Hz.
        filtered: Whether to filter.
    """

    sampling_rate: float
    filtered: bool = True

    def __call__(self, file: RecordFile) -> Processed:
        """Returns the record, filtered and at the store's rate.

        Args:
            file: The record.

        Returns:
            The ECG in mV, shape (12, L), and the empty column `flat_leads`.

        Raises:
            ValueError: If the record is broken, or a lead is flat, saturated or implausible.
        """
        recording = read_wfdb(file.path)
        if recording.sampling_rate != SOURCE_RATE or recording.ecg.shape[-1] != round(DURATION_S * SOURCE_RATE):
            raise ValueError(f"wrong rate or length: {recording.ecg.shape[-1]} at {recording.sampling_rate:g} Hz")
        ecg = recording.ordered(LEADS)
        if np.isnan(ecg).any():
            raise ValueError("NaN in the ECG")
        flat = flat_leads(ecg)
        for lead, values in zip(LEADS, ecg, strict=True):
            if lead in flat:
                raise ValueError(f"flat lead {lead}")
            if longest_hold(values) / SOURCE_RATE >= SATURATED_S:
                raise ValueError(f"saturated lead {lead}")
        if not self.filtered:
            return Processed(filters.resample(ecg, SOURCE_RATE, self.sampling_rate), {"flat_leads": ""})
        clean = filters.clean_signal(ecg, SOURCE_RATE, self.sampling_rate)
        if np.abs(clean).max() > PLAUSIBLE_MV:
            raise ValueError(f"implausible amplitude in lead {LEADS[int(np.abs(clean).max(axis=1).argmax())]}")
        return Processed(clean, {"flat_leads": ""})
