"""Distance of waves to the marks of cardiologists: Lobachevsky University Database, damaged, filtered and repaired.

Its gains are not those of mV, lead by lead, so that Einthoven's law does not hold; limb leads are scaled until it does.
Times of waves do not depend on scales.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import wfdb
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS, LIMB_COEFFICIENTS
from einthoven.ecg.recording import Recording
from evaluation.repairing.baselines import RATE_HZ
from evaluation.repairing.scoring import ECGS, REPAIRED, ecgs_of
from evaluation.repairing.waves import Waves, compare_waves, find_waves
from preprocessing.clean_records import CleanRecord, wfdb_records
from preprocessing.damage import damage_ecg
from reconstruction.repairs.pieces import runs
from reconstruction.repairs.repairing import Tools, repair
from reconstruction.repairs.result import LEFT_MISSING

N_LEADS = 3
"""Waves are looked for in so many damaged leads of a record at most."""
_SYMBOLS = {"p": "P", "N": "QRS", "t": "T"}


def marked_records(root: Path) -> Iterator[tuple[CleanRecord, dict[str, Waves]]]:
    """Reads the records of a folder as downloaded, with the marks of each lead: see `read_marks`."""
    for record in wfdb_records(root):
        name = record.name.split("/")[-1]
        marks = {lead: read_marks(root / name, lead) for lead in LEADS}
        yield CleanRecord(record.name, lawful(record.signal), record.sampling_rate), marks


def read_marks(path: Path, lead: str) -> Waves:
    """Reads the marks of a lead: times in s of the peaks "P", "QRS", "T", and of "QRS on" and "QRS off"."""
    found = wfdb.rdann(str(path), lead.lower())
    symbols, times = list(found.symbol), np.asarray(found.sample) / float(found.fs or 500.0)
    marks: dict[str, list[float]] = {name: [] for name in (*_SYMBOLS.values(), "QRS on", "QRS off")}
    for place, symbol in enumerate(symbols):
        if symbol in _SYMBOLS:
            marks[_SYMBOLS[symbol]].append(float(times[place]))
        if symbol == "N":
            if place and symbols[place - 1] == "(":
                marks["QRS on"].append(float(times[place - 1]))
            if place + 1 < len(symbols) and symbols[place + 1] == ")":
                marks["QRS off"].append(float(times[place + 1]))
    return {name: np.array(values) for name, values in marks.items()}


def lawful(ecg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scales the limb leads of twelve, shape (12, L), so that they obey Einthoven's law as far as they can."""
    scaled = ecg.copy()
    centred = ecg - ecg.mean(axis=-1, keepdims=True)
    rows = centred[[LEADS.index(lead) for lead in ("I", "II", "III")]]
    scales = np.linalg.svd((rows * np.array([[1.0], [-1.0], [1.0]])).T, full_matrices=False)[2][-1]
    scales = scales / scales.mean() if abs(scales.mean()) > 0 else np.ones(3)
    if (scales <= 0).any():
        return scaled
    for lead, scale in zip(("I", "II", "III"), scales, strict=True):
        scaled[LEADS.index(lead)] *= scale
    bipolar = scaled[[LEADS.index("I"), LEADS.index("II")]]
    bipolar = bipolar - bipolar.mean(axis=-1, keepdims=True)
    for lead in ("aVR", "aVL", "aVF"):
        row = LEADS.index(lead)
        expected = np.asarray(LIMB_COEFFICIENTS[lead]) @ bipolar
        scale = float(centred[row] @ expected) / max(float(centred[row] @ centred[row]), 1e-12)
        scaled[row] *= scale if scale > 0 else 1.0
    return scaled


def score_marks(
    record: CleanRecord,
    marks: Mapping[str, Waves],
    noise: Mapping[str, NDArray[np.float64]],
    tools: Tools,
    seed: int,
) -> pd.DataFrame:
    """Damages and repairs a record, and compares the waves in damaged stretches with the marks of cardiologists.

    Returns:
        A row a lead, wave and ECG of `ECGS`, as `Scored.waves`.
    """
    rate = record.sampling_rate
    damaged = damage_ecg(record.signal, rate, noise, record.name, seed)
    result = repair(Recording(damaged.signal, rate, LEADS, record.name), tools=tools)
    ecgs = ecgs_of(record, damaged, result)
    rows: list[dict[str, object]] = []
    hurt = [row for row in range(len(LEADS)) if damaged.hurt[row].any()][:N_LEADS]
    for row in hurt:
        truth = marks[LEADS[row]]
        times = np.concatenate(list(truth.values()))
        if not len(times):
            continue
        marked = (float(times.min()) - 0.05, float(times.max()) + 0.05)  # the first and last beats have no marks
        stretches = [
            (max(first / rate, marked[0]), min(last / rate, marked[1])) for first, last in runs(damaged.hurt[row])
        ]
        for name in ECGS:
            ecg = ecgs[name][row]
            if name == REPAIRED:
                at = (np.arange(len(ecg)) * rate / RATE_HZ).astype(int).clip(max=result.done.shape[-1] - 1)
                ecg = np.where(result.done[row, at] == LEFT_MISSING, 0.0, ecg)
            found = find_waves(ecg, RATE_HZ)
            for wave, true in truth.items():
                counts = compare_waves(found[wave], true, stretches)
                cells = dict(zip(("true", "found", "matched", "error_ms"), counts, strict=True))
                rows.append({"method": name, "wave": wave, **cells, "record": record.name})
    return pd.DataFrame(rows, columns=["method", "wave", "true", "found", "matched", "error_ms", "record"])
