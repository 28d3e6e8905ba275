"""Tables: a column of times in s and one for each lead in mV."""

from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.ecg.formats.arrays import METADATA
from einthoven.ecg.recording import Recording

DIGITS = 6
"""Digits after the point in text: a step is 0.001 µV."""
TIME_DIGITS = 9
"""Digits of times that have no end with `DIGITS`."""


def write_csv(recording: Recording, path: Path) -> None:
    """Writes a table as text; blank cells where nothing was measured."""
    table = _table(recording)
    times = table["time [s]"].to_numpy()
    digits = DIGITS if np.array_equal(np.round(times, DIGITS), times) else TIME_DIGITS
    table["time [s]"] = [f"{time:.{digits}f}" for time in times]
    table.to_csv(path, index=False, float_format=f"%.{DIGITS}f", lineterminator="\n")


def write_parquet(recording: Recording, path: Path) -> None:
    """Writes a table with what is known of rate, start, patient and notes beside it."""
    table = _table(recording)
    patient = recording.patient
    table.attrs[METADATA] = {
        "sampling_rate": recording.sampling_rate,
        "start_time": recording.start_time.isoformat() if recording.start_time else None,
        "age": patient.age if patient else None,
        "sex": patient.sex if patient else None,
        "notes": list(recording.notes),
    }
    table.to_parquet(path, index=False)


def _table(recording: Recording) -> pd.DataFrame:
    times = np.arange(recording.signal.shape[1]) / recording.sampling_rate
    leads = {f"{lead} [mV]": row for lead, row in zip(recording.leads, recording.signal, strict=True)}
    return pd.DataFrame({"time [s]": times, **leads})
