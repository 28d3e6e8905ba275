"""Clean recordings to damage: PTB-XL's without a remark on noise, and all of a folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from preprocessing.cohorts.ptbxl import NOISE_COLUMNS


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


def _whole(path: Path) -> Iterator[CleanRecord]:
    """Yields the first ten seconds of a record that has all twelve leads, without gaps."""
    recording = read(path)
    n_samples = round(10 * recording.sampling_rate)
    if set(LEADS) <= set(recording.leads) and recording.signal.shape[-1] >= n_samples // 2:
        signal = recording.ordered(LEADS)[:, :n_samples]
        if np.isfinite(signal).all():
            yield CleanRecord(f"{path.parent.name}/{path.name}", signal, recording.sampling_rate)
