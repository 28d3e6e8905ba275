"""`score_source`: scores of many leads, in chunks, into a folder that a killed run can go on in."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import pandas as pd

from einthoven.checked_files import read_table
from einthoven.ecg.recording import Recording
from einthoven.report.tables import write_csv, write_parquet
from einthoven.run.chunked_job import ChunkedJob
from einthoven.run.chunks import Chunk, Engine, LocalEngine, Problems, describe_failure, describe_problems
from einthoven.run.fingerprint import fingerprint
from einthoven.run.lock import held_folder
from noise_quant.data.sources import Source, SourceItem

SCORES = "scores.parquet"
SCORES_CSV = "scores.csv"
RECORDS = "records.parquet"
CHUNK_RECORDS = 16

_PLACE = "place"
"""Column of the parts: number of the item in the source."""


class Scoring(Protocol):
    """Scores a record."""

    def __call__(self, item: SourceItem, record: Recording) -> pd.DataFrame:
        """Returns its table: `lead`, `segment`, and scores, one row per lead and segment."""


@dataclass(frozen=True)
class ScoringSummary:
    """What `score_source` did.

    Attributes:
        n_records: Records in the folder now.
        n_leads: Leads with scores or a reason.
        n_unusable: How many of these leads have an unusable segment.
        n_new: Records scored by this call.
        problems: Records that could not be read or scored, by name, with the reason.
        seconds: Seconds of each record, on average over all.
    """

    n_records: int
    n_leads: int
    n_unusable: int
    n_new: int
    problems: Problems
    seconds: float

    def describe(self) -> str:
        """Says so in a few lines."""
        done = "nothing to do, all were there" if self.n_new == 0 else f"{self.n_new} of them now"
        lines = [
            f"{self.n_records} records ({done}), {self.n_leads} leads, {self.n_unusable} of them unusable: "
            f"{self.seconds:.3f} s a record"
        ]
        if self.problems:
            lines.append(describe_problems(self.problems, RECORDS))
        return "\n".join(lines)


def score_source(
    source: Source,
    scoring: Scoring,
    folder: Path,
    chunk_records: int = CHUNK_RECORDS,
    progress: Callable[[int], object] | None = None,
    engine: Engine | None = None,
    make_scoring: Callable[[], Scoring] | None = None,
) -> ScoringSummary:
    """Scores the leads of a source.

    Writes `scores.parquet` and `scores.csv`: a row per lead and segment with the item's key, the scores and the labels,
    joined by key; and last `records.parquet`: a row per record with `n_leads`, `seconds` and `problem`, the reason why
    it could not be read or scored; it costs no other record its scores. Each chunk is written atomically, so a call
    with the same folder and arguments goes on where the last one stopped; one with others does all anew, or is refused
    where the folder is finished.

    Args:
        source: What to score.
        scoring: How.
        folder: Where to write.
        chunk_records: Records that are done, or done again, together.
        progress: Called with the number of leads of each chunk that is done.
        engine: Where chunks are worked on; None: in this process.
        make_scoring: Makes the scoring on another process's device, where that does the work; None: it gets a copy.

    Raises:
        ValueError: If no record can be scored, `chunk_records` is below 1, the folder holds finished scores of other
            arguments, or another process works in it.
    """
    if chunk_records < 1:
        raise ValueError(f"chunk_records must be at least 1, not {chunk_records}")
    labels = pd.util.hash_pandas_object(source.labels.astype(str), index=False).to_numpy()
    key = {"scoring": scoring, "read": source.read, "labels": labels}
    job = ChunkedJob(folder, fingerprint(key), ".parquet")
    _add_chunks(job, source, chunk_records)
    if job.is_finished(RECORDS):
        if progress is not None:
            progress(source.n_leads)
        return _summarise(folder, 0)
    engine = engine or LocalEngine()
    make = make_scoring if make_scoring and engine.is_remote else partial(_given, scoring)
    with held_folder(folder):
        n_new = job.work(engine, partial(ScoringWork, source.read, make), _write_failed_chunk, progress)
        _join(source, job)
        return _summarise(folder, n_new)


def _given(scoring: Scoring) -> Scoring:
    return scoring


def _add_chunks(job: ChunkedJob, source: Source, size: int) -> None:
    """Cuts the items into chunks, whose content are the first item's number and the items."""
    for first in range(0, len(source.items), size):
        items = source.items[first : first + size]
        names = [_name(item.columns.values()) for item in items]
        records = [[item.columns, list(item.leads), item.file.signature] for item in items]
        job.add(names, records, sum(len(item.leads) for item in items), (first, items))


class ScoringWork:
    """Reads and scores chunks of records: see `einthoven.run.chunks.Work`.

    A part is a table with the rows of `scores.parquet`, by the number of the item in the source; a record without a
    score has a row of its own, with the reason.

    Args:
        read: Reads an item.
        make_scoring: Makes the way of scoring.
    """

    def __init__(self, read: Callable[[SourceItem], Recording], make_scoring: Callable[[], Scoring]) -> None:
        self.read, self.scoring = read, make_scoring()

    def __call__(self, chunk: Chunk) -> Problems:
        """Reads and scores the records of a chunk."""
        start = time.perf_counter()
        first, items = chunk.content
        tables: list[pd.DataFrame] = []
        failed: list[pd.DataFrame] = []
        problems: Problems = {}
        for offset, item in enumerate(items):
            try:
                record = self.read(item)
                if not record.leads:
                    raise ValueError("no usable lead")
                tables.append(self.scoring(item, record).assign(place=first + offset, problem=""))
            except Exception as error:
                problems[chunk.names[offset]] = describe_failure(error)
                failed.append(_failed(first + offset, describe_failure(error)))
        seconds = (time.perf_counter() - start) / len(items)
        write_parquet(pd.concat(tables + failed, ignore_index=True).assign(seconds=seconds), chunk.part)
        return problems


def _failed(place: int, reason: str) -> pd.DataFrame:
    """Returns the row of a record without a score."""
    return pd.DataFrame({_PLACE: [place], "lead": [None], "problem": [reason]})


def _write_failed_chunk(chunk: Chunk, reason: str) -> None:
    """Writes the part of a chunk that nobody can work on."""
    first, items = chunk.content
    rows = [_failed(first + offset, reason) for offset in range(len(items))]
    write_parquet(pd.concat(rows, ignore_index=True).assign(seconds=float("nan")), chunk.part)


def _name(columns: Iterable[object]) -> str:
    return "/".join(map(str, columns))


def _join(source: Source, job: ChunkedJob) -> None:
    """Joins the parts and the labels by key into the tables, of which the records' comes last; then drops the parts.

    Raises:
        ValueError: If no record worked; then the parts are dropped too, so that all are done again.
    """
    rows = pd.concat([read_table(chunk.part) for chunk in job.chunks], ignore_index=True)
    job.check_joined(rows[_PLACE].nunique())
    keys = pd.DataFrame([item.columns for item in source.items])
    records = rows.groupby(_PLACE, sort=True).agg(
        n_leads=("lead", "nunique"), seconds=("seconds", "first"), problem=("problem", "first")
    )
    records = keys.join(records, how="left", validate="one_to_one")
    scored = rows[rows["problem"] == ""].drop(columns=["seconds", "problem"]).infer_objects()
    if scored.empty:
        job.drop_parts()
        raise ValueError(f"none of the {len(records)} records could be scored, e.g. {records['problem'].iloc[0]}")
    table = scored.merge(keys, left_on=_PLACE, right_index=True, how="left", validate="many_to_one")
    table = table.sort_values([_PLACE, "segment"], kind="stable", ignore_index=True).drop(columns=_PLACE)
    table = table[[*source.keys, *(column for column in table if column not in source.keys)]]
    table["segment"] = table["segment"].astype("int64")
    table = table.merge(source.labels, on=["ecg_id", "lead"], how="left", validate="many_to_one")
    write_csv(table, job.folder / SCORES_CSV)
    write_parquet(table, job.folder / SCORES)
    job.note()
    write_parquet(records, job.folder / RECORDS)
    job.drop_parts()


def _summarise(folder: Path, n_new: int) -> ScoringSummary:
    records = read_table(folder / RECORDS)
    broken = records[records["problem"] != ""]
    table = read_table(folder / SCORES)
    names = [str(column) for column in records if column not in ("n_leads", "seconds", "problem")]
    return ScoringSummary(
        n_records=len(records),
        n_leads=int(records["n_leads"].sum()),
        n_unusable=int(table.groupby([*names, "lead"])["unusable"].any().sum()),
        n_new=n_new,
        problems={_name(row[:-1]): str(row[-1]) for row in broken[[*names, "problem"]].to_numpy()},
        seconds=float(records["seconds"].mean()),
    )
