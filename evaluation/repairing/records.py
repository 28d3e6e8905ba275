"""Clean recordings to damage: PTB-XL's without a remark on noise, the external test set, and LUDB with its marks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import wfdb
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from preprocessing.cohorts.ptbxl import NOISE_COLUMNS

WAVES = {"p": "P", "N": "QRS", "t": "T"}
"""Waves by the symbol of their peak in LUDB's files."""


@dataclass(frozen=True)
class CleanRecord:
    """One clean record: its name, the twelve leads in mV, shape (12, L), and their rate in Hz."""

    name: str
    signal: NDArray[np.float64]
    sampling_rate: float


def ptbxl_records(root: Path, fold: int) -> Iterator[CleanRecord]:
    """Reads the records of a fold of PTB-XL without a remark on noise, at 100 Hz."""
    table = pd.read_csv(root / "ptbxl_database.csv")
    clean = table[(table["strat_fold"] == fold) & table[list(NOISE_COLUMNS)].isna().all(axis=1)]
    for name in clean["filename_lr"]:
        if (root / f"{name}.hea").is_file():
            yield from _whole(root / name)


def wfdb_records(root: Path) -> Iterator[CleanRecord]:
    """Reads all WFDB records below a folder."""
    for header in sorted(root.rglob("*.hea")):
        yield from _whole(header.with_suffix(""))


def ludb_marks(path: Path, lead: str) -> dict[str, NDArray[np.float64]]:
    """Reads the cardiologists' marks of a lead of LUDB: the peaks of each of `WAVES`, in s."""
    marks = wfdb.rdann(str(path), lead.lower())
    symbols = np.array(marks.symbol)
    rate = wfdb.rdheader(str(path)).fs
    return {wave: np.asarray(marks.sample)[symbols == symbol] / rate for symbol, wave in WAVES.items()}


def _whole(path: Path) -> Iterator[CleanRecord]:
    """Yields the first ten seconds of a record that has all twelve leads, without gaps."""
    recording = read(path)
    n_samples = round(10 * recording.sampling_rate)
    if set(LEADS) <= set(recording.leads) and recording.signal.shape[-1] >= n_samples // 2:
        signal = recording.ordered(LEADS)[:, :n_samples]
        if np.isfinite(signal).all():
            yield CleanRecord(f"{path.parent.name}/{path.name}", signal, recording.sampling_rate)
