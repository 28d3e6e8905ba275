"""The folders that RhythmDiff's published code makes of PTB-XL, as a data source.

`processed_<rate>Hz/{train,val,test}/<record>.npz` hold `ecg` (12, L) in mV, already filtered, and `all_labels`, the
statements' codes. Each split's `headers.csv` has PTB-XL's metadata with `ecg_id`, and `labels.npy` the multi-hot labels
of its rows, columns in alphabetical order of the codes. The two tables may also lie above the splits.

A record's key is the number that its file name starts with: `00001_hr.npz`, `00001.npz` and `1.npz` are record 1. Its
statements are those of `all_labels`, read by key; a record whose row in `labels.npy` says something else is broken.
Nothing is unpickled. Samples are taken as they are, so that they keep the published code's shift by one sample.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from einthoven.checked_files import intact, map_array, read_arrays, read_csv
from einthoven.ecg.leads import LEADS
from einthoven.ecg.statements import LABEL_ORDER, check_statements
from einthoven.run.hashing import hash_file
from preprocessing.cohorts.cohort import DURATION_S, Cohort
from preprocessing.cohorts.ptbxl import NOISE_COLUMNS, Ptbxl, mark_flat_leads
from preprocessing.cohorts.splits import SPLITS, split_of
from preprocessing.store.preparation import Inputs, Processed, Reader, RecordFile

_COLUMNS: tuple[str, ...] = ("ecg_id", "patient_id", "age", "sex", "strat_fold")
_NAME = re.compile(r"^(\d+)(?:_[hl]r)?$")


@dataclass(frozen=True)
class RhythmDiff(Cohort):
    """The published folders: filtered already, and of one rate.

    Attributes:
        source_rate: "auto": the folders have no other files.
        filtered: True: the folders are filtered.
    """

    standard: ClassVar[Mapping[str, Any]] = {"name": "ptbxl"}
    full_size: ClassVar[int | None] = Ptbxl.full_size
    source_rate: Literal["auto", 500, 100] = "auto"
    filtered: bool = True

    def __post_init__(self) -> None:
        """Checks the values, raising ValueError."""
        if not self.filtered or self.source_rate != "auto":
            raise ValueError(
                "published folders are filtered already: leave dataset.filtered and dataset.source_rate alone"
            )

    def inputs(self, raw_path: str | Path) -> Inputs:
        """Lists everything that a store of the published folders is made from; `statements` are those of `labels.npy`.

        A record of `headers.csv` without a file is not part of this copy, and is counted.

        Args:
            raw_path: Folder that holds `processed_<rate>Hz`, or that folder itself.

        Raises:
            ValueError: If a folder, a table or a column is missing, a table holds pickled objects, or nothing is there.
        """
        rate = self.sampling_rate
        root = Path(raw_path) / f"processed_{rate:g}Hz"
        root = root if root.is_dir() else Path(raw_path)
        splits = [split for split in SPLITS if (root / split).is_dir()]
        if not splits:
            raise ValueError(f"{raw_path} holds no processed_{rate:g}Hz/{{train,val,test}}; correct dataset.raw_path")
        tables: list[pd.DataFrame] = []
        files: list[RecordFile] = []
        sources: dict[str, str] = {}
        absent = 0
        for split in splits:
            paths = [_table_path(root, split, name) for name in ("headers.csv", "labels.npy")]
            sources |= {path.relative_to(root).as_posix(): hash_file(path) for path in paths}
            table = _read_headers(*paths)
            table = table[table["split"] == split]
            records = _find_records(root / split, rate)
            absent += int((~table["ecg_id"].isin(list(records))).sum())
            tables.append(table[table["ecg_id"].isin(list(records))])
            files += [records[int(key)] for key in tables[-1]["ecg_id"]]
        if not files:
            raise ValueError(f"{root} holds no .npz record of its headers.csv; correct dataset.raw_path")
        settings = {"name": "ptbxl-published", "sampling_rate": float(rate)}
        steps = ("as published: filtered and resampled by RhythmDiff's code, with its shift by one sample",)
        notes = {"records absent from this copy": absent}
        return Inputs(files, pd.concat(tables, ignore_index=True), settings, sources, steps, notes)

    def reader(self, inputs: Inputs) -> Reader:
        """Returns what reads a record and compares its statements with those of `labels.npy`."""
        pairs = zip(inputs.table["ecg_id"], inputs.table["statements"], strict=True)
        return partial(read_record, {int(key): tuple(statements) for key, statements in pairs}, self.sampling_rate)


def read_record(labels: Mapping[int, tuple[str, ...]], sampling_rate: float, file: RecordFile) -> Processed:
    """Returns a record in mV as published, shape (12, L), with the columns `statements` and `flat_leads`.

    Args:
        labels: Statements by `ecg_id` as `labels.npy` has them, for comparison.
        sampling_rate: Rate of the records in Hz.
        file: The record; ValueError if it is broken or its labels contradict each other.
    """
    arrays = read_arrays(Path(file.path))
    with intact(Path(file.path)):
        ecg, codes = arrays["ecg"], arrays["all_labels"]
    statements = check_statements([str(code) for code in np.atleast_1d(codes)])
    others = labels[file.ecg_id]
    if set(statements) != set(others):
        raise ValueError(f"all_labels ({', '.join(statements)}) and labels.npy ({', '.join(others)}) disagree")
    expected = (len(LEADS), round(DURATION_S * sampling_rate))
    if ecg.shape != expected or ecg.dtype.kind != "f":
        raise ValueError(f"the ECG is {ecg.dtype} of shape {ecg.shape}, not real numbers of shape {expected}")
    if np.isnan(ecg).any():
        raise ValueError("NaN in the ECG")
    return Processed(ecg, {"statements": list(statements), **mark_flat_leads(ecg)})


def _table_path(root: Path, split: str, name: str) -> Path:
    """Returns a table's place, in its split's folder or above."""
    for path in (root / split / name, root / name):
        if path.is_file():
            return path
    raise ValueError(f"{root / split} lacks {name}; make the folders again, or correct dataset.raw_path")


def _read_headers(headers_path: Path, labels_path: Path) -> pd.DataFrame:
    """Returns the metadata, one row per record, with the statements that `labels.npy` gives to its row."""
    headers = read_csv(headers_path, "make the folders again", low_memory=False)
    absent = [column for column in _COLUMNS if column not in headers]
    if absent:
        raise ValueError(f"{headers_path} lacks column(s) {', '.join(absent)}; make the folders again")
    if headers["ecg_id"].duplicated().any() or not headers["strat_fold"].isin(range(1, 11)).all():
        raise ValueError(f"{headers_path} has repeated ecg_id or folds beyond 1 to 10; make the folders again")
    labels = map_array(labels_path, "it has to be a plain array, as nothing is unpickled")
    if labels.shape != (len(headers), len(LABEL_ORDER)):
        raise ValueError(f"{labels_path} has shape {labels.shape}, not {(len(headers), len(LABEL_ORDER))}")
    table = headers[[*_COLUMNS, *(column for column in NOISE_COLUMNS if column in headers)]].copy()
    table["statements"] = [[LABEL_ORDER[index] for index in np.flatnonzero(row > 0.5)] for row in labels]
    table["split"] = [split_of(int(fold)) for fold in table["strat_fold"]]
    table["source"] = "ptbxl-published"
    return table


def _find_records(folder: Path, sampling_rate: float) -> dict[int, RecordFile]:
    """Returns the record files of a split's folder by key."""
    records: dict[int, RecordFile] = {}
    for path in sorted(folder.glob("*.npz")):
        match = _NAME.match(path.stem)
        if match is None:
            continue
        key = int(match.group(1))
        if key in records:
            raise ValueError(f"{folder} holds record {key} twice: {Path(records[key].path).name} and {path.name}")
        records[key] = RecordFile(key, str(path), float(sampling_rate), hash_file(path)[:16])
    return records
