"""What goes into a store and what a run of its preparation did."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from einthoven.checked_files import read_json
from einthoven.ecg.formats.wfdb import STRICT, read_wfdb
from einthoven.ecg.recording import Recording
from einthoven.run.hashing import hash_json

_DETAIL = r"\S*[/\d]\S*|\b(?:I{1,3}|aV[RLF])\b"
"""Names, numbers and leads in a reason, by which reasons of one kind differ."""

PROCESSING_VERSION = 1
"""Raised whenever the numbers in a store would change, so that older stores are prepared again."""

Reader = Callable[["RecordFile"], "Processed"]
"""Reads and processes one record; raises ValueError, with the reason, if it is broken. Must be picklable."""


@dataclass(frozen=True)
class RecordFile:
    """One record to process.

    Attributes:
        ecg_id: Its key.
        path: Its file, as the reader wants it.
        source_rate: Sampling rate that it should have, in Hz.
        signature: What changes when the file changes, such as the hash of its header and the size of its signals.
        problem: Why it cannot be read, where that is known already; empty otherwise.
    """

    ecg_id: int
    path: str
    source_rate: float
    signature: str
    problem: str = ""


def wfdb_file(stem: Path, ecg_id: int, source_rate: float, problem: str = "") -> RecordFile | None:
    """Returns the file of a WFDB record, signed by its header, which holds checksums, and the size of its signals.

    Args:
        stem: The record without extension; None is returned where its header is absent.
        ecg_id: Its key.
        source_rate: Sampling rate that it should have, in Hz.
        problem: Why it cannot be read, where that is known already.
    """
    try:
        header = stem.with_name(stem.name + ".hea").read_bytes()
    except OSError:
        return None
    try:
        size = stem.with_name(stem.name + ".dat").stat().st_size
    except OSError:
        size = -1
    signature = hash_json([header.decode("latin-1"), size])[:16]
    return RecordFile(ecg_id, str(stem), float(source_rate), signature, problem)


def read_file(file: RecordFile, duration: float | None = None) -> Recording:
    """Reads a record; ValueError if its file is broken, or has another rate or, where given, another duration in s."""
    if file.problem:
        raise ValueError(file.problem)
    recording = read_wfdb(file.path, STRICT)
    if recording.sampling_rate != file.source_rate:
        raise ValueError(f"wrong rate: {recording.sampling_rate:g} Hz, not {file.source_rate:g} Hz")
    length = recording.signal.shape[-1]
    if duration is not None and length != round(duration * file.source_rate):
        raise ValueError(f"wrong length: {length} samples, not {round(duration * file.source_rate)}")
    return recording


@dataclass(frozen=True)
class Processed:
    """A record as it goes into the store.

    Attributes:
        values: Shape (12, ...), leads in the order of `LEADS`; for a store of signals an ECG in mV, shape (12, L).
        columns: Values for the table found while reading.
    """

    values: NDArray[Any]
    columns: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inputs:
    """Everything that a store is made from.

    Attributes:
        files: Records in the order of the store.
        table: Metadata, one row per record, with `ecg_id`.
        settings: Plain values that change the content.
        sources: Hashes of the tables read, by file name.
        steps: What is done to each record, in words.
        notes: Facts about the selection to be said in the summary.
    """

    files: list[RecordFile]
    table: pd.DataFrame
    settings: dict[str, Any]
    sources: dict[str, str]
    steps: tuple[str, ...]
    notes: dict[str, Any] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """Returns the plain value that two runs share exactly when they make the same store."""
        listing = [[file.ecg_id, file.source_rate, file.signature, file.problem] for file in self.files]
        sources = {**self.sources, "records": hash_json(listing)}
        return {"settings": self.settings, "sources": sources, "processing_version": PROCESSING_VERSION}


@dataclass(frozen=True)
class Summary:
    """What a run has done.

    Attributes:
        store: Folder of the store.
        up_to_date: Whether the store was there already, made from the same inputs.
        splits: Number of records per split.
        source_rates: Number of records per source rate.
        skipped: Broken records; columns `ecg_id`, `reason`.
        notes: Facts about the selection.
        n_done: Records processed in this run (the others were done before it was interrupted).
        seconds: Wall-clock time of this run.
    """

    store: Path
    up_to_date: bool
    splits: dict[str, int]
    source_rates: dict[str, int]
    skipped: pd.DataFrame
    notes: dict[str, Any]
    n_done: int
    seconds: float

    def describe(self, full_size: int | None = None) -> str:
        """Says in words what was done, and how long `full_size` records, the whole data set, would take."""
        if self.up_to_date:
            lines = [f"{self.store} is there already, made from the same inputs: nothing to do"]
        else:
            lines = [f"wrote {self.store}"]
        lines.append(f"  records: {_counts(self.splits)}; from files at {_counts(self.source_rates)}")
        lines += [f"  {name}: {value}" for name, value in self.notes.items()]
        lines.append(f"  skipped: {len(self.skipped)}" + (", listed in skipped.csv" if len(self.skipped) else ""))
        reasons = self.skipped["reason"].str.replace(_DETAIL, "...", regex=True).value_counts()
        lines += [f"    {count} x {reason}" for reason, count in reasons.head(8).items()]
        if self.n_done:
            rate = self.n_done / self.seconds
            projection = f"; {full_size} records would take {full_size / rate / 60:.1f} min" if full_size else ""
            lines.append(f"  {self.n_done} records in {self.seconds:.1f} s, {rate:.0f} records/s{projection}")
        return "\n".join(lines)


def _counts(counts: dict[str, int]) -> str:
    """Joins counts by name in words."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def settled_path(path: Path, settings: Mapping[str, Any], standard: Mapping[str, Any]) -> Path:
    """Returns the folder for a store: the one asked for, or one beside it where the settings are others.

    Args:
        path: Folder asked for.
        settings: Settings of the store.
        standard: The settings for which `path` is meant; keys absent here do not matter.

    Returns:
        `path`, or `path` with what is not standard in its name, such as `ptbxl_100Hz-filtered_false`; where a store of
        other settings is at `path`, with a short hash of the settings.
    """
    others = _differences(settings, standard)
    if others:
        return path.with_name("-".join([path.name, *others]))
    if (path / "manifest.json").is_file():
        inputs = read_json(path / "manifest.json", "remove the store").get("inputs")
        if not isinstance(inputs, dict) or inputs.get("settings") != dict(settings):
            return path.with_name(f"{path.name}-{hash_json(dict(settings))[:8]}")
    return path


def _differences(settings: Mapping[str, Any], standard: Mapping[str, Any]) -> list[str]:
    """Names the settings that are not standard, each with its value."""
    words: list[str] = []
    for key, value in standard.items():
        own = settings.get(key)
        if isinstance(own, Mapping) and isinstance(value, Mapping):
            words += _differences(own, value)
        elif own != value and key in settings:
            words.append(f"{key}_{own if isinstance(own, str) else json.dumps(own)}")
    return words
