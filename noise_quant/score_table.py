"""`score_source`: scores of many leads, in chunks, into a folder that a killed run can go on in."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from evaluation.tables import write_csv, write_parquet
from noise_quant.sources import Source, SourceItem, SourceRecord
from preprocessing.hashing import hash_json

SCORES = "scores.parquet"
SCORES_CSV = "scores.csv"
RECORDS = "records.parquet"
PARTS = "parts"
CHUNK_RECORDS = 16

_PLACE = "place"
"""Column of the parts: number of the item in the source."""


class Scoring(Protocol):
    """Scores records; a record's scores do not depend on those that come with it."""

    def __call__(self, items: Sequence[SourceItem], records: Sequence[SourceRecord]) -> list[pd.DataFrame]:
        """Returns a table for each record: `lead`, `segment`, and scores, one row per lead and segment."""


@dataclass(frozen=True)
class ScoringSummary:
    """What `score_source` did.

    Attributes:
        n_records: Records in the folder now.
        n_leads: Leads with scores or a reason.
        n_unusable: How many of these leads have an unusable segment.
        n_new: Records scored by this call.
        problems: Records that could not be read, by name, with the reason.
        seconds: Seconds of each record, on average over all.
    """

    n_records: int
    n_leads: int
    n_unusable: int
    n_new: int
    problems: dict[str, str]
    seconds: float

    def describe(self) -> str:
        """Says so in a few lines."""
        done = "nothing to do, all were there" if self.n_new == 0 else f"{self.n_new} of them now"
        lines = [
            f"{self.n_records} records ({done}), {self.n_leads} leads, {self.n_unusable} of them unusable: "
            f"{self.seconds:.3f} s a record"
        ]
        if self.problems:
            examples = "; ".join(f"{name}: {reason}" for name, reason in list(self.problems.items())[:3])
            lines.append(f"{len(self.problems)} records could not be read ({RECORDS} lists them), e.g. {examples}")
        return "\n".join(lines)


def score_source(
    source: Source,
    scoring: Scoring,
    folder: Path,
    chunk_records: int = CHUNK_RECORDS,
    progress: Callable[[int], object] | None = None,
) -> ScoringSummary:
    """Scores the leads of a source.

    Writes `scores.parquet` and `scores.csv`: a row per lead and segment with the item's key, the scores and the labels,
    joined by key; and last `records.parquet`: a row per record with `n_leads`, `seconds` and `problem`, the reason why
    it could not be read. Each chunk is written atomically, so a call with the same folder goes on where the last one
    stopped.

    Args:
        source: What to score.
        scoring: How.
        folder: Where to write.
        chunk_records: Records scored at once.
        progress: Called with the number of leads of each chunk that is done.

    Returns:
        What was done.

    Raises:
        ValueError: If no record can be read, or `chunk_records` is below 1.
    """
    if chunk_records < 1:
        raise ValueError(f"chunk_records must be at least 1, not {chunk_records}")
    if (folder / RECORDS).is_file():
        if progress is not None:
            progress(source.n_leads)
        return _summarise(folder, 0)
    n_new = 0
    chunks = _chunks(source, folder, chunk_records)
    for part, first, items in chunks:
        if not part.is_file():
            write_parquet(_score_chunk(source, scoring, first, items), part)
            n_new += len(items)
        if progress is not None:
            progress(sum(len(item.leads) for item in items))
    _join(source, folder, [part for part, _, _ in chunks])
    return _summarise(folder, n_new)


def _chunks(source: Source, folder: Path, size: int) -> list[tuple[Path, int, list[SourceItem]]]:
    """Returns the file, the first item's number and the items of each chunk; a file's name tells its items."""
    chunks = []
    for first in range(0, len(source.items), size):
        items = source.items[first : first + size]
        digest = hash_json([[item.columns, list(item.leads), item.file.signature] for item in items])
        chunks.append((folder / PARTS / f"{first:06d}-{digest[:12]}.parquet", first, items))
    return chunks


def _score_chunk(source: Source, scoring: Scoring, first: int, items: list[SourceItem]) -> pd.DataFrame:
    """Returns the rows of a chunk; a record without a score has a row of its own, with the reason."""
    start = time.perf_counter()
    read: dict[int, SourceRecord] = {}
    problems: dict[int, str] = {}
    for offset, item in enumerate(items):
        try:
            read[offset] = source.read(item)
        except ValueError as error:
            problems[offset] = str(error)
        else:
            if not read[offset].leads:
                del read[offset]
                problems[offset] = "no usable lead"
    tables = scoring([items[offset] for offset in read], list(read.values())) if read else []
    seconds = (time.perf_counter() - start) / len(items)
    frames = [table.assign(place=first + offset, problem="") for offset, table in zip(read, tables, strict=True)]
    frames += [
        pd.DataFrame({_PLACE: [first + offset], "lead": [None], "problem": [why]}) for offset, why in problems.items()
    ]
    return pd.concat(frames, ignore_index=True).assign(seconds=seconds)


def _join(source: Source, folder: Path, parts: list[Path]) -> None:
    """Joins the parts and the labels by key into the tables, of which the records' comes last; then drops the parts."""
    rows = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    keys = pd.DataFrame([item.columns for item in source.items])
    records = rows.groupby(_PLACE, sort=True).agg(
        n_leads=("lead", "nunique"), seconds=("seconds", "first"), problem=("problem", "first")
    )
    records = keys.join(records, how="left", validate="one_to_one")
    scored = rows[rows["problem"] == ""].drop(columns=["seconds", "problem"]).infer_objects()
    if scored.empty:
        raise ValueError(f"none of the {len(records)} records could be scored, e.g. {records['problem'].iloc[0]}")
    table = scored.merge(keys, left_on=_PLACE, right_index=True, how="left", validate="many_to_one")
    table = table.sort_values([_PLACE, "segment"], kind="stable", ignore_index=True).drop(columns=_PLACE)
    table = table[[*source.keys, *(column for column in table if column not in source.keys)]]
    table["segment"] = table["segment"].astype("int64")
    table = table.merge(source.labels, on=["ecg_id", "lead"], how="left", validate="many_to_one")
    write_csv(table, folder / SCORES_CSV)
    write_parquet(table, folder / SCORES)
    write_parquet(records, folder / RECORDS)
    for part in parts:
        part.unlink()
    if not any((folder / PARTS).iterdir()):
        (folder / PARTS).rmdir()


def _summarise(folder: Path, n_new: int) -> ScoringSummary:
    records = pd.read_parquet(folder / RECORDS)
    broken = records[records["problem"] != ""]
    table = pd.read_parquet(folder / SCORES)
    names = [str(column) for column in records if column not in ("n_leads", "seconds", "problem")]
    return ScoringSummary(
        n_records=len(records),
        n_leads=int(records["n_leads"].sum()),
        n_unusable=int(table.groupby([*names, "lead"])["unusable"].any().sum()),
        n_new=n_new,
        problems={"/".join(map(str, row[:-1])): str(row[-1]) for row in broken[[*names, "problem"]].to_numpy()},
        seconds=float(records["seconds"].mean()),
    )
