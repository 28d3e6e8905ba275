"""`evaluate_repairs`: record after record, each kept in a file of its own, so that a killed run goes on."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from einthoven.ecg.filters import clean_signal
from einthoven.report.tables import write_parquet
from einthoven.run.chunks import Problems, describe_failure
from einthoven.run.files import atomic_write
from einthoven.run.progress import show_progress
from evaluation.repairing.baselines import RATE_HZ, RidgeFromOthers
from evaluation.repairing.marks import marked_records, score_marks
from evaluation.repairing.report import write_marks, write_report
from evaluation.repairing.scoring import Scored, score_record
from evaluation.repairing.statements import find_classifier, score_statements
from evaluation.repairing.waves import Waves
from evaluation.report import Report
from preprocessing.clean_records import CleanRecord, ptbxl_records, wfdb_records
from preprocessing.damage import damage_noise
from reconstruction.repairs.fitting.windows import Noise
from reconstruction.repairs.repairing import Tools

PARTS = "parts"
TABLES = ("pieces", "errors", "waves")
SOURCES = ("ptbxl", "external", "ludb")
T = TypeVar("T")


def evaluate_repairs(
    folder: Path,
    *,
    source: str,
    fold: int,
    ptbxl_path: str,
    wfdb_path: str,
    ludb_path: str,
    nstdb_path: str,
    half: str,
    n_records: int | None,
    n_fit: int,
    n_samples: int,
    n_resamples: int,
    seed: int,
    device: str,
    classifier: str | None,
) -> Report:
    """Damages, repairs and scores records; arguments are the keys of `configs/evaluate_repair.yaml`."""
    if source not in SOURCES:
        raise ValueError(f"source is {source!r}: choose one of {', '.join(SOURCES)}")
    if classifier and source != "ptbxl":
        raise ValueError("classifier goes with source=ptbxl, whose records have statements")
    reader = None if classifier is None else find_classifier(classifier)
    tools = Tools.load(n_samples, seed, device=device)
    noise = cache(partial(damage_noise, nstdb_path, half=half))
    notes = [
        f"source {source}{f', fold {fold}' if source == 'ptbxl' else ''}; noise of NSTDB's half {half}; seed {seed}",
        "all ECGs compared at 100 Hz, 0.6 to 50 Hz",
    ]
    if source == "ludb":
        marked = _at_least_one(islice(marked_records(Path(ludb_path)), n_records), "ludb_path")
        waves, told = _score_marked(folder, marked, noise, tools, seed)
        return write_marks(waves, folder, n_resamples, seed, [*notes, *told])
    root = Path(ptbxl_path)
    records = ptbxl_records(root, fold) if source == "ptbxl" else wfdb_records(Path(wfdb_path))
    chosen = _at_least_one(islice(records, n_records), "ptbxl_path" if source == "ptbxl" else "wfdb_path")
    ridge = RidgeFromOthers.fit(
        clean_signal(record.signal, record.sampling_rate, RATE_HZ) for record in islice(_training(root), n_fit)
    )
    scored, told = _score_all(folder, chosen, noise, ridge, tools, seed)
    notes += [
        *told,
        "a lead-second is bad where a quarter of it or more is damaged, and is not counted where less is",
        "the regression is told which leads are damaged; the filters are applied to the whole recording",
    ]
    statements = None
    if reader is not None:
        ecgs = {_ecg_id(record): scored[record.name].ecgs for record in chosen if record.name in scored}
        statements = score_statements(reader, ecgs, root, n_resamples, seed)
        notes.append(f"classifier trained on: {reader.describe()}")
    return write_report(list(scored.values()), folder, n_resamples, seed, notes, statements)


def _at_least_one(records: Iterable[T], key: str) -> list[T]:
    if not (found := list(records)):
        raise ValueError(f"no record to evaluate on: look at {key}")
    return found


def _score_all(
    folder: Path, chosen: Sequence[CleanRecord], noise: Noise, ridge: RidgeFromOthers, tools: Tools, seed: int
) -> tuple[dict[str, Scored], list[str]]:
    """Scores those records that were not scored before; returns all by name, and what to tell of those that failed."""
    scored: dict[str, Scored] = {}
    failed: Problems = {}
    for record in _shown(chosen):
        with _tolerated(record, failed):
            if not _part(folder, record, f"{TABLES[-1]}.parquet").is_file():
                _write(score_record(record, noise(record.sampling_rate), ridge, tools, seed), folder, record)
            scored[record.name] = _read(folder, record)
    return scored, _told(failed, len(chosen))


def _score_marked(
    folder: Path, marked: Sequence[tuple[CleanRecord, dict[str, Waves]]], noise: Noise, tools: Tools, seed: int
) -> tuple[pd.DataFrame, list[str]]:
    """Does the same with records that have marks; returns the tables of all together."""
    waves: list[pd.DataFrame] = []
    failed: Problems = {}
    for record, marks in _shown(marked):
        part = _part(folder, record, "marks.parquet")
        with _tolerated(record, failed):
            if not part.is_file():
                write_parquet(score_marks(record, marks, noise(record.sampling_rate), tools, seed), part)
            waves.append(pd.read_parquet(part))
    told = _told(failed, len(marked))
    return pd.concat(waves), told


@contextmanager
def _tolerated(record: CleanRecord, failed: Problems) -> Iterator[None]:
    """Notes that a record failed, which costs no other record its scores; a call with the same folder tries again."""
    try:
        yield
    except OSError:  # the disk: all that follow would fail
        raise
    except Exception as error:
        failed[record.name] = describe_failure(error)


def _told(failed: Problems, n_records: int) -> list[str]:
    """Says which records are left out; ValueError where none is left."""
    if len(failed) == n_records:
        name, reason = next(iter(failed.items()))
        raise ValueError(f"none of the {n_records} records could be evaluated, e.g. {name}: {reason}")
    return [f"left out, {name}: {reason}" for name, reason in failed.items()]


def _part(folder: Path, record: CleanRecord, name: str) -> Path:
    return folder / PARTS / f"{record.name.replace('/', '_')}.{name}"


def _write(scored: Scored, folder: Path, record: CleanRecord) -> None:
    """Writes what was found of a record, the table last that says that it is done."""
    for array in ("ecgs", "samples"):
        if (values := getattr(scored, array)) is not None:
            with atomic_write(_part(folder, record, f"{array}.npy")) as partial_file, partial_file.open("wb") as file:
                np.save(file, values)
    for name in TABLES:
        write_parquet(getattr(scored, name), _part(folder, record, f"{name}.parquet"))


def _read(folder: Path, record: CleanRecord) -> Scored:
    pieces, errors, waves = (pd.read_parquet(_part(folder, record, f"{name}.parquet")) for name in TABLES)
    arrays = [_part(folder, record, f"{name}.npy") for name in ("ecgs", "samples")]
    ecgs, samples = (np.load(file, allow_pickle=False) if file.is_file() else None for file in arrays)
    assert ecgs is not None, "it is written before the table that says that a record is done"
    return Scored(pieces, errors, waves, ecgs, samples)


def _ecg_id(record: CleanRecord) -> int:
    """Returns the key of a record of PTB-XL, whose files are named by it."""
    return int(record.name.split("/")[-1].split("_")[0])


def _shown(records: Sequence[T]) -> Iterator[T]:
    """Goes through records, and shows how far it has come."""
    with show_progress(len(records), "record") as bar:
        for record in records:
            yield record
            bar.update()


def _training(root: Path) -> Iterator[CleanRecord]:
    for fold in range(1, 9):
        yield from ptbxl_records(root, fold)
