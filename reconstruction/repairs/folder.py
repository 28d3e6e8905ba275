"""Recordings repaired into a folder: the repaired recording, the list of what was done, and reports, of each."""

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from diffusion_prior.checkpoint import find_prior
from einthoven.arguments import check_path
from einthoven.ecg.formats.registry import find_format
from einthoven.ecg.reading import read
from einthoven.ecg.writing import WRITERS, write
from einthoven.report.tables import write_csv
from einthoven.run.chunked_job import ChunkedJob
from einthoven.run.chunks import Chunk, Engine, Problems, describe_failure, describe_problems
from einthoven.run.files import atomic_write, write_json
from einthoven.run.hashing import hash_file
from einthoven.run.progress import show_progress
from einthoven.run.weights_cache import hash_weights
from reconstruction.api import check_n_samples
from reconstruction.repairs.finding.finder import FINDER
from reconstruction.repairs.repairing import Tools, repair
from reconstruction.repairs.result import KINDS, LEFT_MISSING, Repair
from reconstruction.repairs.storage import MEMORY_UP_TO_S

ACTIONS, RESULT, TABLE = "actions.csv", "result.npz", "recordings.csv"
DEFAULT_FORMAT = "hea"
WORK = "work"
"""Folder of a long recording that is being repaired, removed when it is written."""
_BESIDE = (".dat", ".atr", ".json", ".md", ".pdf", ".html", ".png")
"""What lies beside recordings and is none, or belongs to a header."""


def find_recordings(places: Sequence[str | Path]) -> list[Path | None]:
    """Lists the recordings of files and folders (with those inside them); without any, None: the bundled ECG.

    Raises:
        ValueError: If a place is no recording, or holds none.
    """
    if isinstance(places, str | Path):
        places = [places]
    if not isinstance(places, Sequence):
        raise ValueError(f"recordings is {places!r}: give files or folders")
    return [file for place in places for file in _recordings_of(check_path("recordings", place))] if places else [None]


def _recordings_of(path: Path) -> list[Path]:
    if not path.is_dir():
        find_format(path)
        return [path]
    found = []
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.suffix.lower() not in _BESIDE and not file.name.startswith("."):
            try:
                find_format(file)
            except ValueError:
                continue
            found.append(file)
    headers = {file.with_suffix("") for file in found if file.suffix.lower() == ".hea"}
    recordings = [file for file in found if file.suffix.lower() == ".hea" or file.with_suffix("") not in headers]
    if not recordings:
        raise ValueError(f"{path} holds no recording of a known format")
    return recordings


def repair_all(
    files: Sequence[Path | None], folder: Path, settings: Mapping[str, Any], engine: Engine
) -> tuple[str, bool]:
    """Repairs recordings, each into a folder of its own, or one into `folder`; a killed run goes on.

    Args:
        files: The recordings, as `find_recordings` lists them.
        folder: Where to write; of several recordings also `recordings.csv`, a line for each.
        settings: `complete`, `n_samples`, `seed`, `device`, `weights`, `point_estimate` of `repair`, and `format`.
        engine: Where the work is done.

    Returns:
        What to print, and whether some recording could not be read or written.

    Raises:
        ValueError: If `n_samples` is too small or large, or the one recording could not be read or written.
    """
    check_n_samples(settings["n_samples"])
    key = {**settings, "weights": hash_weights(find_prior(settings["weights"])), "finder": hash_file(FINDER)}
    job = ChunkedJob(folder, key, ".json")
    common = _common_folder(files)
    names: set[str] = set()
    for file in files:
        name = "demo" if file is None else file.relative_to(common).with_suffix("").as_posix().replace("/", "_")
        if name in names and file is not None:  # one.xml beside one.dcm
            name = f"{name}{file.suffix}"
        if name in names:
            name = next(f"{name}_{number}" for number in count(2) if f"{name}_{number}" not in names)
        names.add(name)
        target = folder if len(files) == 1 else folder / name
        job.add([name], [[name, _digest(file)]], 1, (None if file is None else str(file), str(target)))
    make = partial(RepairWork, dict(settings))
    with show_progress(len(files), "recording", shown=len(files) > 1) as bar:
        job.work(engine, make, _give_up, bar.update, max_failures=None)
    lines = [pd.read_json(chunk.part, typ="series", convert_dates=False) for chunk in job.chunks]
    problems = {str(line["name"]): str(line["problem"]) for line in lines if line["problem"]}
    if len(files) == 1:
        if problems:
            raise ValueError(next(iter(problems.values())))
        return str(lines[0]["text"]), False
    write_csv(pd.DataFrame(lines).drop(columns="text"), folder / TABLE)
    left = sum(float(line.get(KINDS[LEFT_MISSING]) or 0) > 0 for line in lines)
    text = f"{len(files) - len(problems)} recordings gone through, {left} of them with parts left missing ({TABLE})"
    return "\n".join([text, *([describe_problems(problems, TABLE)] if problems else [])]), bool(problems)


def _digest(file: Path | None) -> str:
    """Returns a file's SHA-256, empty where it cannot be read, which the work on it then tells."""
    try:
        return "" if file is None else hash_file(file)
    except OSError:
        return ""


class RepairWork:
    """Repairs recordings, one a chunk: see `einthoven.run.chunks.Work`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        names = ("n_samples", "seed", "weights", "device", "point_estimate")
        self.tools = Tools.load(**{name: settings[name] for name in names if name in settings})

    def __call__(self, chunk: Chunk) -> Problems:
        """Repairs the recording of a chunk; one that cannot be read or written is told, and costs no other."""
        file, target = chunk.content
        name = chunk.names[0]
        try:
            recording = read(file)
            is_long = recording.signal.shape[-1] > MEMORY_UP_TO_S * recording.sampling_rate
            work = Path(target) / WORK if is_long else None
            result = repair(recording, complete=self.settings["complete"], tools=self.tools, folder=work)
            suffix = self.settings["format"] or (None if file is None else Path(file).suffix)
            write_repair(result, Path(target), suffix)
        except Exception as error:
            reason = describe_failure(error)
            write_json(chunk.part, {"name": name, "problem": reason, "text": ""})
            return {name: reason}
        counts = result.counts().sum(axis=0) / result.done.size
        shares = {kind: round(float(share), 6) for kind, share in zip(KINDS, counts, strict=True)}
        title, facts = result.facts()
        text = "\n".join([title, *(f"  {fact}: {value}" for fact, value in facts.items()), *result.notes])
        lines = {"name": name, "problem": "", "text": text, **shares}
        write_json(chunk.part, {**lines, "n_actions": len(result.actions)})
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
        return {}


def write_repair(result: Repair, folder: Path, suffix: str | None = None) -> None:
    """Writes a repair into a folder: the recording as `repaired.<suffix>`, the list, reports and `result.npz`.

    Args:
        result: The repair.
        folder: Where to write.
        suffix: Suffix of the recording's format; of one that is not written, or None, WFDB's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    suffix = (suffix or DEFAULT_FORMAT).lower().removeprefix(".")
    suffix = suffix if f".{suffix}" in WRITERS else DEFAULT_FORMAT
    write(result.recording, folder / f"repaired.{suffix}")
    write_csv(result.actions, folder / ACTIONS)
    result.report(folder / "report.html")
    result.report(folder / "report.pdf")
    arrays = {"signal": result.recording.signal, "lower": result.lower, "upper": result.upper, "done": result.done}
    findings = result.findings
    arrays |= {"edges": findings.edges, "probability": findings.probability}
    arrays |= {"score_before": findings.score, "score_after": result.score_after}
    facts = {"leads": np.array(result.recording.leads), "sampling_rate": result.recording.sampling_rate}
    with atomic_write(folder / RESULT) as partial_file:
        np.savez_compressed(partial_file, kinds=np.array(KINDS), **arrays, **facts)  # type: ignore[arg-type]


def _common_folder(files: Sequence[Path | None]) -> Path:
    """Returns the folder that holds all files, in it or deeper."""
    parents = [file.parent for file in files if file is not None]
    common = parents[0] if parents else Path()
    while not all(parent.is_relative_to(common) for parent in parents):
        common = common.parent
    return common


def _give_up(chunk: Chunk, reason: str) -> None:
    write_json(chunk.part, {"name": chunk.names[0], "problem": reason, "text": ""})
