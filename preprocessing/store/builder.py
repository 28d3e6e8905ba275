"""Builds a large store from many recordings, of whatever form: in parallel, in little memory, resumable and atomic.

Records are processed in chunks, each written whole into a file named after the hash of its inputs, so that a run that
was killed goes on with the chunks it lacks, whatever was added meanwhile. At the end the chunks are joined, the
manifest is written, and the store moves into place.
"""

import json
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from einthoven.run.files import atomic_write
from einthoven.run.hashing import hash_json
from preprocessing.cohorts.splits import SPLITS
from preprocessing.store.files import SignalForm, StoreForm, check_place, partial_folder, publish
from preprocessing.store.preparation import PROCESSING_VERSION, Inputs, Reader, RecordFile, Summary

CHUNK_RECORDS = 32
MAX_SKIPPED = 0.01


def build_store(
    path: Path,
    inputs: Inputs,
    reader: Reader,
    *,
    n_samples: int,
    sampling_rate: float,
    n_workers: int | None = None,
    max_skipped: float = MAX_SKIPPED,
) -> Summary:
    """Builds a store of ECGs, or continues one, or does nothing where it is there already.

    Args:
        path: Folder of the store.
        inputs: What it is made from.
        reader: Reads and processes one record.
        n_samples: Number of samples L of each record.
        sampling_rate: Sampling rate in Hz.
        n_workers: Processes; by default one per CPU core. One works in this process.
        max_skipped: Largest fraction of broken records that is no error.

    Returns:
        What was done.

    Raises:
        ValueError: If no record is left, or more than `max_skipped` of them are broken.
    """
    form = SignalForm(n_samples, sampling_rate)
    return build_form(path, inputs, reader, form, n_workers=n_workers, max_skipped=max_skipped)


def build_form(
    path: Path,
    inputs: Inputs,
    reader: Reader,
    form: StoreForm,
    *,
    n_workers: int | None = None,
    max_skipped: float = MAX_SKIPPED,
) -> Summary:
    """Builds a store of any form, or continues one, or does nothing where it is there already.

    Args:
        path: Folder of the store.
        inputs: What it is made from.
        reader: Reads and processes one record.
        form: What the store holds of each record.
        n_workers: Processes; by default one per CPU core. One works in this process.
        max_skipped: Largest fraction of broken records that is no error.

    Returns:
        What was done.

    Raises:
        ValueError: If no record is left, or more than `max_skipped` of them are broken.
    """
    start = time.perf_counter()
    check_place(path)
    publish(path)
    chunks_folder = path.with_name(path.name + ".chunks")
    identity = inputs.identity()
    if (path / "manifest.json").is_file() and _read_manifest(path).get("inputs") == identity:
        shutil.rmtree(chunks_folder, ignore_errors=True)
        return _summary(path, True, inputs, 0, start)
    chunks = _chunks(inputs, chunks_folder)
    pending = {file: records for file, records in chunks.items() if not file.is_file()}
    n_done = sum(len(records) for records in pending.values())
    _process(pending, reader, form, len(inputs.files), n_workers or os.cpu_count() or 1)
    results = [_read_meta(file) for file in chunks]
    skipped = _skipped(results)
    partial = partial_folder(path)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    skipped.to_csv(partial / "skipped.csv", index=False)
    check_skipped(skipped, len(inputs.files), max_skipped, partial / "skipped.csv")
    rows = pd.DataFrame([row for result in results for row in result["rows"]])
    known = inputs.table.drop(columns=[column for column in rows if column != "ecg_id"], errors="ignore")
    table = known.merge(rows, on="ecg_id", how="right", validate="one_to_one")
    digest = _join(list(chunks), partial / f"{form.name}.npy", len(table), form)
    manifest = {
        "inputs": identity,
        "steps": list(inputs.steps),
        "notes": inputs.notes,
        "n_skipped": len(skipped),
        f"{form.name}_sha256": digest,
        "package_version": package_version(),
    }
    form.finish(path, table, manifest)
    shutil.rmtree(chunks_folder, ignore_errors=True)
    return _summary(path, False, inputs, n_done, start)


def check_skipped(skipped: pd.DataFrame, n_records: int, max_skipped: float, listing: Path) -> None:
    """Refuses a store of which too much is broken.

    Args:
        skipped: Broken records; columns `ecg_id`, `reason`.
        n_records: Number of records, broken ones included.
        max_skipped: Largest fraction of broken records that is no error.
        listing: Where the broken records are listed.

    Raises:
        ValueError: If more than `max_skipped` of the records are broken, or all of them.
    """
    fraction = len(skipped) / max(n_records, 1)
    if len(skipped) >= n_records or fraction > max_skipped:
        examples = "; ".join(f"{row.ecg_id}: {row.reason}" for row in skipped.head(3).itertuples())
        raise ValueError(
            f"{len(skipped)} of {n_records} records ({fraction:.1%}) are broken, more than {max_skipped:.1%}; "
            f"e.g. {examples}. All are listed in {listing}. Repair the files, or allow it with "
            "dataset.allow_skipped=true or a larger dataset.max_skipped; what is done already is not done again"
        )


def package_version() -> str:
    """Returns the version of this project as installed, or "unknown"."""
    try:
        return metadata.version("einthoven")
    except metadata.PackageNotFoundError:
        return "unknown"


def _chunks(inputs: Inputs, folder: Path) -> dict[Path, list[RecordFile]]:
    """Cuts the records into chunks and names each after the hash of all that it depends on."""
    chunks: dict[Path, list[RecordFile]] = {}
    for first in range(0, len(inputs.files), CHUNK_RECORDS):
        records = inputs.files[first : first + CHUNK_RECORDS]
        listing = [[file.ecg_id, file.source_rate, file.signature, file.problem] for file in records]
        name = hash_json([inputs.settings, PROCESSING_VERSION, listing])[:24]
        chunks[folder / f"{name}.npz"] = records
    return chunks


def _process(
    pending: dict[Path, list[RecordFile]], reader: Reader, form: StoreForm, n_records: int, n_workers: int
) -> None:
    """Processes the chunks that are not there yet, in this process or in several."""
    done = n_records - sum(len(records) for records in pending.values())
    if not pending:
        return
    with tqdm(total=n_records, initial=done, desc="records", unit="record", smoothing=0.1) as progress:
        if n_workers == 1 or len(pending) == 1:
            for file, records in pending.items():
                progress.update(_process_chunk(file, records, reader, form))
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(n_workers, len(pending)), context, initializer=_follow_parent) as pool:
            futures: list[Future[int]] = [
                pool.submit(_process_chunk, file, records, reader, form) for file, records in pending.items()
            ]
            try:
                for future in as_completed(futures):
                    progress.update(future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _follow_parent() -> None:
    """Ends a worker when its parent was killed and can no longer end it."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _process_chunk(file: Path, records: Sequence[RecordFile], reader: Reader, form: StoreForm) -> int:
    """Processes the records of one chunk into one file and returns how many there were."""
    arrays: list[NDArray[Any]] = []
    rows: list[dict[str, Any]] = []
    skipped: list[tuple[int, str]] = []
    for record in records:
        try:
            if record.problem:
                raise ValueError(record.problem)
            processed = reader(record)
            if processed.values.shape != form.shape:
                raise ValueError(f"the record has shape {processed.values.shape}, not {form.shape}")
            arrays.append(form.encode(processed.values))
            rows.append({"ecg_id": record.ecg_id, "source_rate": record.source_rate, **processed.columns})
        except (ValueError, OSError) as error:
            skipped.append((record.ecg_id, " ".join(str(error).split())))
    stacked = np.stack(arrays) if arrays else np.zeros((0, *form.shape), form.dtype)
    with atomic_write(file) as temporary:
        content: dict[str, Any] = {form.name: stacked, "meta": np.array(json.dumps({"rows": rows, "skipped": skipped}))}
        np.savez(temporary, **content)
    return len(records)


def _read_meta(file: Path) -> dict[str, Any]:
    """Reads what a chunk says about its records."""
    with np.load(file, allow_pickle=False) as chunk:
        meta: dict[str, Any] = json.loads(str(chunk["meta"]))
    return meta


def _skipped(results: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Lists the broken records of chunks, with the reasons."""
    rows = [row for result in results for row in result["skipped"]]
    return pd.DataFrame(rows, columns=["ecg_id", "reason"]).astype({"ecg_id": np.int64, "reason": str})


def _values(files: Sequence[Path], name: str) -> Iterator[NDArray[Any]]:
    """Yields the arrays of chunks, one chunk at a time."""
    for file in files:
        with np.load(file, allow_pickle=False) as chunk:
            yield chunk[name]


def _join(files: Sequence[Path], target: Path, n_records: int, form: StoreForm) -> str:
    """Joins the chunks' arrays into one array file, in little memory, and returns the SHA-256 of its values."""
    digest = sha256()
    header = {"descr": form.dtype, "fortran_order": False, "shape": (n_records, *form.shape)}
    with atomic_write(target) as temporary, temporary.open("wb") as output:
        np.lib.format.write_array_header_1_0(output, header)
        for values in _values(files, form.name):
            data = values.astype(form.dtype, copy=False).tobytes()
            digest.update(data)
            output.write(data)
    return digest.hexdigest()


def _read_manifest(path: Path) -> dict[str, Any]:
    """Reads the manifest of a finished store."""
    manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def _summary(path: Path, up_to_date: bool, inputs: Inputs, n_done: int, start: float) -> Summary:
    """Describes a finished store."""
    table = pd.read_parquet(path / "table.parquet", columns=["split", "source_rate"])
    skipped = pd.read_csv(path / "skipped.csv", dtype={"reason": str})
    splits = {split: int((table["split"] == split).sum()) for split in SPLITS}
    rates = table["source_rate"].value_counts().sort_index(ascending=False)
    source_rates = {f"{rate:g} Hz": int(count) for rate, count in rates.items()}
    seconds = time.perf_counter() - start
    return Summary(path, up_to_date, splits, source_rates, skipped, inputs.notes, n_done, seconds)
