"""Builds a large store from many recordings, of whatever form: in parallel, in little memory, resumable and atomic.

Records are processed in chunks, each written whole into a file named after the hash of its inputs, so that a run that
was killed goes on with the chunks it lacks, whatever was added meanwhile. At the end the chunks are joined, the
manifest is written, and the store moves into place.
"""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.run.chunked_job import ChunkedJob
from einthoven.run.chunks import Chunk, PoolEngine, Problems, describe_failure, never_give_up
from einthoven.run.files import atomic_write
from einthoven.run.lock import held_folder
from einthoven.run.progress import show_progress
from preprocessing.cohorts.splits import SPLITS
from preprocessing.store.files import MANIFEST, StoreForm, check_place, hash_values, partial_folder, publish
from preprocessing.store.preparation import PROCESSING_VERSION, Inputs, Reader, RecordFile, Summary

CHUNK_RECORDS = 32
MAX_SKIPPED = 0.01


def build_store(
    path: Path,
    inputs: Inputs,
    reader: Reader,
    form: StoreForm,
    *,
    n_workers: int | None = None,
    max_skipped: float = MAX_SKIPPED,
) -> Summary:
    """Builds a store, or continues one, or does nothing where it is there already, and whole.

    Args:
        path: Folder of the store.
        inputs: What it is made from.
        reader: Reads and processes one record.
        form: What the store holds of each record.
        n_workers: Processes; by default one per CPU core. One works in this process.
        max_skipped: Largest fraction of broken records that is no error; ValueError beyond, or if no record is left.
    """
    start = time.perf_counter()
    check_place(path)
    key = {"settings": inputs.settings, "version": PROCESSING_VERSION, "form": [form.name, form.dtype, form.shape]}
    folder = path.with_name(path.name + ".chunks")
    job = ChunkedJob(path, key, ".npz", folder)
    with held_folder(folder, str(path)):
        publish(path)
        if _is_there(path, inputs, form):
            shutil.rmtree(folder)
            return _summary(path, True, inputs, 0, start)
        _add_chunks(job, inputs.files)
        with show_progress(len(inputs.files), "record", "prepare") as bar:
            work = partial(RecordWork, reader, form)
            n_done = job.work(PoolEngine(n_workers), work, never_give_up, bar.update, None)
        _finish(path, inputs, form, job, max_skipped)
    return _summary(path, False, inputs, n_done, start)


def _finish(path: Path, inputs: Inputs, form: StoreForm, job: ChunkedJob, max_skipped: float) -> None:
    """Makes the store of the parts, and drops these."""
    parts = [chunk.part for chunk in job.chunks]
    results = [_read_meta(part) for part in parts]
    skipped = pd.DataFrame([row for result in results for row in result["skipped"]], columns=["ecg_id", "reason"])
    skipped = skipped.astype({"ecg_id": np.int64, "reason": str})
    being_built = partial_folder(path)
    shutil.rmtree(being_built, ignore_errors=True)
    being_built.mkdir(parents=True)
    skipped.to_csv(being_built / "skipped.csv", index=False)
    _check_skipped(skipped, len(inputs.files), max_skipped, being_built / "skipped.csv")
    rows = pd.DataFrame([row for result in results for row in result["rows"]])
    job.check_joined(len(rows) + len(skipped))
    known = inputs.table.drop(columns=[column for column in rows if column != "ecg_id"], errors="ignore")
    table = known.merge(rows, on="ecg_id", how="right", validate="one_to_one")
    digest = _join(parts, being_built / f"{form.name}.npy", len(table), form)
    manifest = {
        "inputs": inputs.identity(),
        "steps": list(inputs.steps),
        "notes": inputs.notes,
        "n_skipped": len(skipped),
        f"{form.name}_sha256": digest,
        "package_version": _package_version(),
    }
    form.finish(path, table, manifest)
    job.drop_parts()


def _check_skipped(skipped: pd.DataFrame, n_records: int, max_skipped: float, listing: Path) -> None:
    """Refuses a store, by a ValueError, of which more than `max_skipped` of the records are broken, or all of them."""
    fraction = len(skipped) / max(n_records, 1)
    if len(skipped) >= n_records or fraction > max_skipped:
        examples = "; ".join(f"{row.ecg_id}: {row.reason}" for row in skipped.head(3).itertuples())
        raise ValueError(
            f"{len(skipped)} of {n_records} records ({fraction:.1%}) are broken, more than {max_skipped:.1%}; "
            f"e.g. {examples}. All are listed in {listing}. Repair the files, or allow it with "
            "dataset.allow_skipped=true or a larger dataset.max_skipped; what is done already is not done again"
        )


def _package_version() -> str:
    """Returns the version of this project as installed, or "unknown"."""
    try:
        return metadata.version("einthoven")
    except metadata.PackageNotFoundError:
        return "unknown"


def _add_chunks(job: ChunkedJob, files: Sequence[RecordFile]) -> None:
    """Cuts the records into chunks."""
    for first in range(0, len(files), CHUNK_RECORDS):
        records = files[first : first + CHUNK_RECORDS]
        listing = [[file.ecg_id, file.source_rate, file.signature, file.problem] for file in records]
        job.add([str(file.ecg_id) for file in records], listing, len(records), records)


@dataclass(frozen=True)
class RecordWork:
    """Processes chunks of records, by this reader, for this form: see `einthoven.run.chunks.Work`."""

    reader: Reader
    form: StoreForm

    def __call__(self, chunk: Chunk) -> Problems:
        """Does the work of a chunk, whose content are its records' files."""
        arrays: list[NDArray[Any]] = []
        rows: list[dict[str, Any]] = []
        skipped: list[tuple[int, str]] = []
        form = self.form
        for record in chunk.content:
            try:
                if record.problem:
                    raise ValueError(record.problem)
                processed = self.reader(record)
                if processed.values.shape != form.shape:
                    raise ValueError(f"the record has shape {processed.values.shape}, not {form.shape}")
                arrays.append(form.encode(processed.values))
                rows.append({"ecg_id": record.ecg_id, "source_rate": record.source_rate, **processed.columns})
            except Exception as error:  # one damaged record never ends the work on the others
                reason = str(error) if isinstance(error, OSError) else describe_failure(error)
                skipped.append((record.ecg_id, " ".join(reason.split())))
        stacked = np.stack(arrays) if arrays else np.zeros((0, *form.shape), form.dtype)
        meta = np.array(json.dumps({"rows": rows, "skipped": skipped}))
        content: dict[str, Any] = {form.name: stacked, "meta": meta}
        with atomic_write(chunk.part) as temporary:
            np.savez(temporary, **content)
        return {str(key): reason for key, reason in skipped}


def _read_meta(file: Path) -> dict[str, Any]:
    """Reads what a chunk says about its records."""
    with np.load(file, allow_pickle=False) as chunk:
        meta: dict[str, Any] = json.loads(str(chunk["meta"]))
    return meta


def _join(files: Sequence[Path], target: Path, n_records: int, form: StoreForm) -> str:
    """Joins the chunks' arrays into one array file, in little memory, and returns the SHA-256 of its values."""
    digest = sha256()
    header = {"descr": form.dtype, "fortran_order": False, "shape": (n_records, *form.shape)}
    with atomic_write(target) as temporary, temporary.open("wb") as output:
        np.lib.format.write_array_header_1_0(output, header)
        for file in files:
            with np.load(file, allow_pickle=False) as chunk:
                data = chunk[form.name].astype(form.dtype, copy=False).tobytes()
            digest.update(data)
            output.write(data)
    return digest.hexdigest()


def _is_there(path: Path, inputs: Inputs, form: StoreForm) -> bool:
    """Says whether a store was made from the same inputs, and its array is what its manifest says."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if manifest["inputs"] != inputs.identity():
            return False
        values = np.load(path / f"{form.name}.npy", mmap_mode="r", allow_pickle=False)
        return bool(hash_values(values) == manifest[f"{form.name}_sha256"])
    except (OSError, KeyError, TypeError, ValueError):  # no store, or a damaged one
        return False


def _summary(path: Path, up_to_date: bool, inputs: Inputs, n_done: int, start: float) -> Summary:
    """Describes a finished store."""
    table = pd.read_parquet(path / "table.parquet", columns=["split", "source_rate"])
    skipped = pd.read_csv(path / "skipped.csv", dtype={"reason": str})
    splits = {split: int((table["split"] == split).sum()) for split in SPLITS}
    rates = table["source_rate"].value_counts().sort_index(ascending=False)
    source_rates = {f"{rate:g} Hz": int(count) for rate, count in rates.items()}
    seconds = time.perf_counter() - start
    return Summary(path, up_to_date, splits, source_rates, skipped, inputs.notes, n_done, seconds)
