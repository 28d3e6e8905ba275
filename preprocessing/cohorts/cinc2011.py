"""PhysioNet/CinC Challenge 2011, set a: mobile-phone ECGs labelled by people as acceptable or unacceptable.

Silva, Moody, Celi, Computing in Cardiology 38, 273 (2011). The acceptable records become a store: all in "train",
without statements, fold 0, keyed by the record's number. The source states no gain: 200 units/mV, as in its WFDB files,
gives the amplitudes of PTB-XL (median standard deviation of a lead 0.09 to 0.19 mV here, 0.09 to 0.23 mV there). A
record with a lead that is flat or saturated, or that exceeds a plausible amplitude after filtering, is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from einthoven.ecg import filters
from einthoven.ecg.checks import flat_leads, longest_hold
from einthoven.ecg.leads import LEADS
from einthoven.run.hashing import hash_file
from preprocessing.cohorts.cinc2011_labels import SOURCE_RATE, find_files
from preprocessing.cohorts.cohort import DURATION_S, Cohort
from preprocessing.store.preparation import Inputs, Processed, Reader, RecordFile, read_file

LISTING = "RECORDS-acceptable"

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
        listing = Path(raw_path) / LISTING
        if not listing.is_file():
            raise ValueError(f"{raw_path} lacks {LISTING} or set-a; correct dataset.raw_path")
        names = listing.read_text(encoding="utf-8").split()
        if not all(name.isdecimal() for name in names) or len(set(names)) < len(names):
            raise ValueError(f"{listing} must list each record once, by its number; download it again")
        files = find_files(raw_path, sorted(map(int, names)))
        table = pd.DataFrame({"ecg_id": [file.ecg_id for file in files], "split": "train", "source": "cinc2011"})
        settings = {"name": "cinc2011", "sampling_rate": float(self.sampling_rate)}
        notes = {"records in the list": len(names), "records absent from this copy": len(names) - len(files)}
        implausible = f", or beyond {PLAUSIBLE_MV:g} mV" if self.filtered else ""
        checks = (f"left out: a lead flat, at an extreme for {SATURATED_S:g} s{implausible}",)
        steps = (filters.STEPS if self.filtered else filters.STEPS[-1:]) + checks
        settings |= {} if self.filtered else {"filtered": False}
        return Inputs(files, table, settings, {LISTING: hash_file(listing)}, steps, notes)

    def reader(self, inputs: Inputs) -> Reader:
        """Returns what reads and processes a record."""
        return self.read

    def read(self, file: RecordFile) -> Processed:
        """Returns a record in mV, shape (12, L), at the store's rate, and the empty column `flat_leads`.

        Raises:
            ValueError: If the record is broken, or a lead is flat, saturated or implausible.
        """
        ecg = read_file(file, DURATION_S).ordered(LEADS)
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
