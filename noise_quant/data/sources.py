"""What is scored: leads of PTB-XL or of CinC 2011, or of a user's recording; `mixtures` adds noise to them.

A source lists its records first, which is quick, and reads them one at a time, so that a scoring run that goes on reads
only what it lacks. Signals are as recorded: unfiltered, at the rate of their file.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from einthoven.ecg.recording import Recording
from einthoven.run.hashing import hash_json
from einthoven.run.registry import Registry
from noise_quant.data.noise_labels import NOISE_TYPES, lead_labels
from preprocessing.cohorts.cinc2011 import find_files, read_labels
from preprocessing.cohorts.ptbxl import Ptbxl
from preprocessing.cohorts.splits import SPLITS
from preprocessing.store.preparation import RecordFile, read_file, wfdb_file

_CHOICE_SEED = 0


@dataclass(frozen=True)
class SourceItem:
    """A record that a source can read.

    Attributes:
        columns: What tells its rows from those of other items: `ecg_id`, for mixtures `noise_type` and `snr_db` too.
        leads: Names of the leads to score.
        file: The record's file.
    """

    columns: dict[str, Any]
    leads: tuple[str, ...]
    file: RecordFile

    @property
    def seed_key(self) -> str:
        """What the model's noise is seeded by: the record, so that mixtures of one record share it."""
        return str(self.columns["ecg_id"])


@dataclass(frozen=True)
class Source:
    """Records to score, with what is known about their leads.

    Attributes:
        items: The records.
        labels: A row per lead: `ecg_id`, `lead` and what is known about them; may hold more leads than are scored.
        read: Reads the leads to score of an item and no others; raises ValueError where its file is broken.
    """

    items: list[SourceItem]
    labels: pd.DataFrame
    read: Callable[[SourceItem], Recording]

    @property
    def n_leads(self) -> int:
        """Number of leads to score, over all items."""
        return sum(len(item.leads) for item in self.items)

    @property
    def digest(self) -> str:
        """Hash of what is scored: keys, leads and the files' signatures."""
        return hash_json([[item.columns, list(item.leads), item.file.signature] for item in self.items])

    @property
    def keys(self) -> list[str]:
        """Columns that name an item."""
        return list(self.items[0].columns)


SOURCES = Registry(
    "source",
    {
        "ptbxl": "noise_quant.data.sources.ptbxl_source",
        "cinc2011": "noise_quant.data.sources.cinc2011_source",
        "mixtures": "noise_quant.data.mixtures.mixture_source",
        "recording": "noise_quant.data.sources.recording_source",
    },
)


def read_item(item: SourceItem) -> Recording:
    """Reads the leads to score, as recorded; ValueError where the file is broken or lacks one."""
    recording = read_file(item.file)
    return replace(recording, signal=recording.ordered(item.leads), leads=item.leads)


def _read_recording(item: SourceItem) -> Recording:
    return read(item.file.path, leads=item.leads)


def ptbxl_source(
    raw_path: str | Path,
    include_all_folds: bool = False,
    split: str | None = None,
    n_records: int | None = None,
    whole_records: bool = False,
) -> Source:
    """Lists leads of PTB-XL: 500 Hz files where they are there, else 100 Hz; labels as `ptbxl_labels` gives them.

    Args:
        raw_path: PTB-XL's folder as downloaded.
        include_all_folds: Every lead of every fold; otherwise, as published, clean ones of fold 10, noisy ones of all.
        split: Every lead of this split instead: "train", "val" or "test".
        n_records: A fixed random choice of so many records; None: all.
        whole_records: All leads of the records that these leads are of.

    Raises:
        ValueError: If the folder is not PTB-XL's, a value is unknown, or two choices exclude each other or all leads.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"no split {split!r}: choose one of {', '.join(SPLITS)}")
    if split is not None and include_all_folds:
        raise ValueError("include_all_folds=true scores every split: leave split=null with it")
    files, labels = ptbxl_labels(Path(raw_path))
    noisy = labels[list(NOISE_TYPES)].any(axis=1)
    if include_all_folds:
        chosen = labels
    elif split is not None:
        chosen = labels[labels["split"] == split]
    else:
        chosen = labels[(labels["clean"] & (labels["split"] == "test")) | noisy]
    if whole_records:
        chosen = labels[labels["ecg_id"].isin(chosen["ecg_id"])]
    return Source(
        choose_items(lead_items(chosen, files), n_records, f"{raw_path} holds no such lead"), labels, read_item
    )


def cinc2011_source(raw_path: str | Path, n_records: int | None = None) -> Source:
    """Lists all leads of CinC 2011, set a.

    Labels are `acceptable`, `half` ("fit" or "test") and `trained`: whether models of ours were trained on the lead (an
    acceptable record of the half "fit").

    Args:
        raw_path: Folder with `RECORDS-acceptable`, `RECORDS-unacceptable` and `set-a`; ValueError if it is another one.
        n_records: A fixed random choice of so many records; None: all.
    """
    root = Path(raw_path)
    records = read_labels(root)
    records["trained"] = records["acceptable"] & (records["half"] == "fit")
    items = [SourceItem({"ecg_id": file.ecg_id}, LEADS, file) for file in find_files(root, records["ecg_id"])]
    labels = records.merge(pd.DataFrame({"lead": LEADS}), how="cross")
    return Source(choose_items(items, n_records, f"{root} holds no record"), labels, read_item)


def recording_source(path: str | Path | None) -> Source:
    """Lists the leads of one recording of any format and length, of which nothing is known, keyed by its name.

    Args:
        path: Its file, or a WFDB record; ValueError if it cannot be read or does not look like one in mV.
    """
    if path is None:
        raise ValueError("no recording: give record=<path of a recording>")
    recording = read(path)
    stem = Path(path)
    file = wfdb_file(stem.with_suffix("") if stem.suffix in (".hea", ".dat") else stem, 0, recording.sampling_rate)
    if file is None:
        status = stem.stat()
        signature = hash_json([stem.name, status.st_size, status.st_mtime_ns])[:16]
        file = RecordFile(0, str(stem), recording.sampling_rate, signature)
    item = SourceItem({"ecg_id": recording.name}, recording.leads, file)
    labels = pd.DataFrame({"ecg_id": recording.name, "lead": recording.leads, "trained": False})
    return Source([item], labels, _read_recording)


def ptbxl_labels(root: Path) -> tuple[dict[int, RecordFile], pd.DataFrame]:
    """Lists PTB-XL's files and what is known about their leads.

    Args:
        root: PTB-XL's folder as downloaded; ValueError if it is another one.

    Returns:
        The files that are there, by `ecg_id`, and a row for each of their leads: the columns of `lead_labels`,
        `strat_fold`, `split` and `trained`: whether models of ours were trained on it (it is clean, of folds 1-8).
    """
    inputs = Ptbxl(filtered=False).inputs(root)
    files = {file.ecg_id: file for file in inputs.files}
    table = inputs.table[inputs.table["ecg_id"].isin(files)]
    labels = lead_labels(table).merge(table[["ecg_id", "strat_fold", "split"]], on="ecg_id", validate="many_to_one")
    labels["trained"] = labels["clean"] & (labels["split"] == "train")
    return files, labels


def lead_items(chosen: pd.DataFrame, files: dict[int, RecordFile]) -> list[SourceItem]:
    """Makes an item of each record, ascending in `ecg_id`, from rows of leads (`ecg_id`, `lead`) and files by key."""
    leads: dict[int, list[str]] = {}
    for key, lead in zip(chosen["ecg_id"].tolist(), chosen["lead"].tolist(), strict=True):
        leads.setdefault(key, []).append(lead)
    return [SourceItem({"ecg_id": key}, tuple(leads[key]), files[key]) for key in sorted(leads)]


def choose_items(items: list[SourceItem], n_records: int | None, if_none: str) -> list[SourceItem]:
    """Takes a fixed random choice of `n_records` items (None: all), in their order; ValueError where there are none."""
    if not items:
        raise ValueError(f"{if_none}: nothing to score; correct dataset.raw_path or choose others")
    if n_records is None or n_records >= len(items):
        return items
    if n_records < 1:
        raise ValueError(f"n_records must be at least 1, not {n_records}; null scores all")
    chosen = np.random.default_rng(_CHOICE_SEED).permutation(len(items))[:n_records]
    return [items[index] for index in sorted(chosen.tolist())]
