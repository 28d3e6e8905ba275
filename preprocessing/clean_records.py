"""Clean recordings to damage: PTB-XL's without a remark on noise, and all of a folder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from einthoven.checked_files import read_csv
from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from preprocessing.cohorts.ptbxl import NOISE_COLUMNS


@dataclass(frozen=True)
class CleanRecord:
    """One clean record: its name, the twelve leads in mV, shape (12, L), and their rate in Hz."""

    name: str
    signal: NDArray[np.float64]
    sampling_rate: float


def clean_paths(root: Path, folds: Iterable[int]) -> dict[int, Path]:
    """Finds the records of folds of PTB-XL without a remark on noise, at 100 Hz: their paths by `ecg_id`."""
    if not (root / "ptbxl_database.csv").is_file():
        raise ValueError(f"{root}: there is no ptbxl_database.csv; give the folder of PTB-XL as downloaded")
    table = read_csv(root / "ptbxl_database.csv", "download it again")
    clean = table[table["strat_fold"].isin(list(folds)) & table[list(NOISE_COLUMNS)].isna().all(axis=1)]
    ids, names = clean["ecg_id"].astype(int).tolist(), clean["filename_lr"].tolist()
    paths = {ecg_id: root / name for ecg_id, name in zip(ids, names, strict=True)}
    return {ecg_id: path for ecg_id, path in paths.items() if path.with_suffix(".hea").is_file()}


def ptbxl_records(root: Path, fold: int) -> Iterator[CleanRecord]:
    """Reads the records of a fold of PTB-XL without a remark on noise, at 100 Hz."""
    return _whole(clean_paths(root, [fold]).values())


def wfdb_records(root: Path) -> Iterator[CleanRecord]:
    """Reads all WFDB records below a folder."""
    return _whole(header.with_suffix("") for header in sorted(root.rglob("*.hea")))


def read_clean(path: Path) -> CleanRecord | None:
    """Reads the first ten seconds of a record; None if it lacks one of twelve leads, has gaps or lasts under 5 s."""
    recording = read(path)
    n_samples = round(10 * recording.sampling_rate)
    if set(LEADS) <= set(recording.leads) and recording.signal.shape[-1] >= n_samples // 2:
        signal = recording.ordered(LEADS)[:, :n_samples]
        if np.isfinite(signal).all():
            return CleanRecord(f"{path.parent.name}/{path.name}", signal, recording.sampling_rate)
    return None


def _whole(paths: Iterable[Path]) -> Iterator[CleanRecord]:
    return (record for path in paths if (record := read_clean(path)) is not None)
