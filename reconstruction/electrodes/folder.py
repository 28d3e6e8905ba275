"""Recordings checked into a folder: a table, and, where asked for, the corrected recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from einthoven.ecg.reading import read
from einthoven.ecg.writing import WRITERS, write
from einthoven.report.tables import write_csv
from einthoven.run.chunks import describe_failure
from einthoven.run.progress import show_progress
from reconstruction.electrodes.checking import check_electrodes
from reconstruction.electrodes.maps import AS_RECORDED
from reconstruction.electrodes.result import Electrodes

TABLE, PROBABILITIES, PICTURE, CORRECTED = "electrodes.csv", "probabilities.csv", "electrodes.png", "corrected"


@dataclass(frozen=True)
class Checked:
    """What `check_all` has done: what to print, the files that it made, and whether some recording was unusable."""

    text: str
    made: tuple[Path, ...]
    failed: bool


def check_all(
    files: Sequence[Path | None], folder: Path, settings: Mapping[str, Any], *, correct: bool, suffix: str | None
) -> Checked:
    """Checks recordings, as `find_recordings` lists them; one that cannot be read or checked costs no other.

    Args:
        files: The recordings; None is the bundled one.
        folder: Where to write.
        settings: `seed`, `weights` and `device`, as for `check_electrodes`.
        correct: Whether to write corrected recordings.
        suffix: Their format; None, or one that is not written: that of the file, or WFDB.

    Raises:
        ValueError: If the only recording cannot be used.
    """
    lines, made, texts = [], [], []
    with show_progress(len(files), "recording", shown=len(files) > 1) as bar:
        for file in files:
            line: dict[str, object] = {"recording": "demo" if file is None else str(file)}
            try:
                found = check_electrodes(read(file), **settings)
                line |= {"best": found.best, "probability": round(found.probabilities[found.best], 4)}
                line |= {"as_recorded": round(found.probabilities.get(AS_RECORDED, 0.0), 4), "note": found.note}
                if correct and found.best != AS_RECORDED:
                    made.append(_write_corrected(found, file, folder, suffix))
                texts.append(f"{found!r}")
            except ValueError as error:
                if len(files) == 1:
                    raise
                line["problem"] = describe_failure(error)
            lines.append(line)
            bar.update()
    table = pd.DataFrame(lines)
    write_csv(table, folder / TABLE)
    if len(files) == 1:
        return Checked(texts[0], (found.save(folder / PICTURE), found.save(folder / PROBABILITIES), *made), False)
    problems = table["problem"].notna() if "problem" in table else pd.Series(False, index=table.index)
    told = table[~problems & (table["best"] != AS_RECORDED)]
    text = [f"{len(files)} recordings: in {len(told)} something looks mixed up, {int(problems.sum())} not usable"]
    text += [f"{row.recording}: {row.best} ({row.probability:.2f})" for row in told.itertuples()]
    return Checked("\n".join(text), (folder / TABLE, *made), bool(problems.any()))


def _write_corrected(found: Electrodes, file: Path | None, folder: Path, suffix: str | None) -> Path:
    """Writes the corrected recording into the folder, under its own name."""
    wanted = (suffix or (file.suffix if file else "") or "hea").lower().removeprefix(".")
    wanted = wanted if f".{wanted}" in WRITERS else "hea"
    name = file.stem if file else "demo"
    path, number = folder / CORRECTED / f"{name}.{wanted}", 2
    while path.exists():
        path, number = folder / CORRECTED / f"{name}_{number}.{wanted}", number + 1
    path.parent.mkdir(exist_ok=True)
    try:
        write(found.corrected, path)
    except ValueError as error:
        raise ValueError(f"{file or 'demo'}: {error}") from error
    return path
