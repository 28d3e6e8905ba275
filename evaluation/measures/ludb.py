"""Marks of cardiologists: the Lobachevsky University Database (Kalyakulina et al., IEEE Access 8, 186181, 2020)."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import LEADS
from einthoven.ecg.measures.beats import BEAT_RATE

MARKS = ("P on", "P", "P off", "QRS on", "QRS off", "T on", "T", "T off")
COLUMNS = ("record", "lead", "mark", "time_ms")
_WAVES = {"p": "P", "N": "QRS", "t": "T"}
_SAME_BEAT_MS = 150.0
_LONGEST_PR_MS, _LONGEST_QT_MS = 400.0, 650.0
_LEAST_LEADS = 4
"""A beat, or a mark over leads, is one that so many leads have."""


def record_names(folder: Path) -> list[str]:
    """Returns the names of the records of a folder, in the order of their numbers.

    Raises:
        ValueError: If there is none.
    """
    names = sorted((path.stem for path in folder.glob("*.hea") if path.stem.isdigit()), key=int)
    if not names:
        raise ValueError(f"no record of LUDB in {folder}: name its folder with ludb_path=FOLDER")
    return names


def halves(names: list[str]) -> dict[str, list[str]]:
    """Splits records into those to choose a method on, and those to report on: every other one."""
    return {"choose": names[::2], "report": names[1::2]}


def read_ecg(folder: Path, name: str) -> NDArray[np.float64]:
    """Reads a record, filtered as before delineation, at `BEAT_RATE`, shape (12, L). Its gains are wrong as mV."""
    import wfdb

    record = wfdb.rdrecord(str(folder / name))
    signal = np.asarray(record.p_signal, dtype=np.float64).T
    return clean_signal(signal, float(record.fs), BEAT_RATE)


def read_marks(folder: Path, names: list[str]) -> pd.DataFrame:
    """Reads the marks of all leads, in the columns `COLUMNS`; "R" is the peak of the QRS complex."""
    import wfdb

    rows: list[tuple[str, str, str, float]] = []
    for name in names:
        for lead in LEADS:
            marks = wfdb.rdann(str(folder / name), lead.lower())
            times = np.asarray(marks.sample) * 1000.0 / BEAT_RATE
            symbols = ["", *marks.symbol, ""]
            for place, time in enumerate(times, start=1):
                wave = _WAVES.get(symbols[place])
                if wave is None:
                    continue
                rows.append((name, lead, "R" if wave == "QRS" else wave, time))
                if symbols[place - 1] == "(":
                    rows.append((name, lead, f"{wave} on", times[place - 2]))
                if symbols[place + 1] == ")":
                    rows.append((name, lead, f"{wave} off", times[place]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def beats_of(marks: pd.DataFrame) -> NDArray[np.float64]:
    """Returns the times in ms of a record's beats, those whose R peak is marked in several leads, shape (n,)."""
    times = np.sort(marks.loc[marks["mark"] == "R", "time_ms"].to_numpy())
    groups = np.split(times, np.flatnonzero(np.diff(times) > _SAME_BEAT_MS) + 1)
    return np.array([np.median(group) for group in groups if len(group) >= _LEAST_LEADS])


def over_leads(marks: pd.DataFrame, beats: NDArray[np.float64], least_leads: int = _LEAST_LEADS) -> pd.Series:
    """Takes the median over leads of each mark of each beat of a record.

    Args:
        marks: Marks of the record.
        beats: Times of its R peaks in ms, shape (n,).
        least_leads: Fewest leads that have the mark.

    Returns:
        Times in ms from the R peak, by beat and mark.
    """
    times, names = marks["time_ms"].to_numpy(), marks["mark"].to_numpy().astype(str)
    nearest = np.abs(times[:, None] - beats).argmin(axis=1)
    after, before = np.char.startswith(names, "T"), np.char.startswith(names, "P")
    beat = np.where(after, np.searchsorted(beats, times, side="right") - 1, nearest)
    beat = np.where(before, np.searchsorted(beats, times), beat)
    away = np.where((beat >= 0) & (beat < len(beats)), times - beats[np.clip(beat, 0, len(beats) - 1)], np.inf)
    inside = (np.abs(away) <= np.where(after, _LONGEST_QT_MS, _LONGEST_PR_MS)) & (names != "R")  # else of a beat beyond
    table = pd.DataFrame({"beat": beat[inside], "mark": names[inside]})
    table["time_ms"] = away[inside]
    groups = table.groupby(["beat", "mark"])["time_ms"]
    return groups.median()[groups.size() >= least_leads]
