"""From PTB-XL's files, as downloaded or as published by RhythmDiff, to a store."""

from pathlib import Path
from typing import Literal

from preprocessing.cohorts.ptbxl import DURATION_S, PtbxlReader, PtbxlSettings, ptbxl_inputs
from preprocessing.cohorts.rhythmdiff import published_inputs, published_reader
from preprocessing.store.builder import MAX_SKIPPED, build_store
from preprocessing.store.preparation import Inputs, Reader, Summary, settled_path

STANDARD = {"name": "ptbxl", "source_rate": "auto", "filtered": True}
"""Settings whose store lies where it is asked for; others are named in a folder beside it."""


def prepare_ptbxl(
    raw_path: str | Path,
    database_path: str | Path,
    *,
    sampling_rate: float = 100,
    source: Literal["wfdb", "published"] = "wfdb",
    source_rate: Literal["auto", 500, 100] = "auto",
    filtered: bool = True,
    n_workers: int | None = None,
    max_skipped: float = MAX_SKIPPED,
) -> Summary:
    """Prepares a store of PTB-XL; continues one that was interrupted, and leaves one that is up to date.

    Args:
        raw_path: PTB-XL's folder as downloaded, or the folder that holds `processed_<rate>Hz`.
        database_path: Folder of the store; other settings than `STANDARD` go to a folder beside it.
        sampling_rate: Rate of the store in Hz.
        source: "wfdb" as downloaded, "published" as RhythmDiff's code has processed it.
        source_rate: Which files to read: "auto", 500 or 100; of no meaning for published folders.
        filtered: Whether to filter as published, or only to resample; published folders are filtered.
        n_workers: Processes; by default one per CPU core.
        max_skipped: Largest fraction of broken records that is no error.

    Returns:
        What was done, and where the store is.

    Raises:
        ValueError: If the set-up is broken, or too many records are.
    """
    inputs: Inputs
    reader: Reader
    if source == "published":
        if not filtered or source_rate != "auto":
            raise ValueError(
                "published folders are filtered already: leave dataset.filtered and dataset.source_rate alone"
            )
        inputs = published_inputs(Path(raw_path), sampling_rate)
        reader = published_reader(inputs, sampling_rate)
    elif source == "wfdb":
        settings = PtbxlSettings(sampling_rate, source_rate, filtered)
        inputs, reader = ptbxl_inputs(raw_path, settings), PtbxlReader(settings)
    else:
        raise ValueError(f"dataset.source must be wfdb or published, not {source!r}")
    return build_store(
        settled_path(Path(database_path), inputs.settings, STANDARD),
        inputs,
        reader,
        n_samples=round(DURATION_S * sampling_rate),
        sampling_rate=sampling_rate,
        n_workers=n_workers,
        max_skipped=max_skipped,
    )
