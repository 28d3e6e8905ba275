"""Arrays: NPY, NPZ, MAT up to version 7, and Parquet."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.checked_files import FREE_BYTES, USUAL_RATIO, intact, map_array, read_arrays, read_table
from einthoven.ecg.formats.channels import Channel, recording_of
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.patients import patient_of
from einthoven.ecg.formats.tables.columns import Table, name_leads, recording_of_table
from einthoven.ecg.recording import Recording, Source

SIGNAL = ("signal", "ecg", "val", "data", "ecg_data", "x", "p_signal")
RATE = ("sampling_rate", "fs", "sfreq", "rate", "frequency", "samplingrate", "sample_rate")
NAMES = ("leads", "lead_names", "channels", "sig_name", "labels", "ch_names", "leadnames")
"""What arrays and fields are called, in lower case, the likeliest first."""
MOST_CHANNELS = 64
"""An array has no more channels; its other axis is time."""
HINT = "ask for it again"
"""What to do with a damaged file."""
METADATA = "einthoven"
"""Key of what `einthoven.write` says of a recording in a Parquet file."""


def matches_npy(head: bytes, path: Path) -> bool:
    """Says whether a file is a numpy array."""
    return head.startswith(b"\x93NUMPY")


def matches_npz(head: bytes, path: Path) -> bool:
    """Says whether a file is an archive of numpy arrays."""
    return head.startswith(b"PK\x03\x04") and head[30 : 30 + int.from_bytes(head[26:28], "little")].endswith(b".npy")


def matches_mat(head: bytes, path: Path) -> bool:
    """Says whether a file is one of MATLAB."""
    return head.startswith(b"MATLAB ") and b"MAT-file" in head[:128]


def matches_parquet(head: bytes, path: Path) -> bool:
    """Says whether a file is a Parquet table."""
    return head.startswith(b"PAR1")


def read_npy(path: Path, options: ReadOptions) -> Recording:
    """Reads one array, shape (n_leads, L) or (L, n_leads) or (L,); the rate has to be given.

    Raises:
        ValueError: If the file is damaged, or nothing says the sampling rate or which leads these are.
    """
    return _recording({"signal": np.asarray(map_array(path, HINT))}, options, Source("NPY", path))


def read_npz(path: Path, options: ReadOptions) -> Recording:
    """Reads an archive with an array `signal` or `ecg`, a `sampling_rate`, and names `leads`, as `write` stores them.

    Raises:
        ValueError: If the file is damaged or holds no such array.
    """
    arrays = read_arrays(path, lambda name: name.lower() in _KNOWN, HINT)
    return _recording(arrays, options, Source("NPZ", path))


def read_mat(path: Path, options: ReadOptions) -> Recording:
    """Reads a MATLAB file: `val` of the CinC challenges, a variable `ecg` or the like, or a struct that holds one.

    Raises:
        ValueError: If the file is damaged, of version 7.3, or holds no ECG, or nothing says the sampling rate.
    """
    import scipy.io

    with path.open("rb") as file:
        if file.read(128).startswith(b"MATLAB 7.3"):
            raise ValueError(f"{path} is a MATLAB file of version 7.3 (HDF5): save it in MATLAB with -v7, or as CSV")

    with intact(path, HINT):
        for name, shape, _ in scipy.io.whosmat(path):
            if np.prod([float(side) for side in shape]) > max(FREE_BYTES, USUAL_RATIO * path.stat().st_size):
                raise ValueError(f"it states {shape} values of {name}, more than it can hold")
        found: dict[str, Any] = scipy.io.loadmat(path, squeeze_me=True)
    return _recording(_fields(found), options, Source("MAT", path))


def read_parquet(path: Path, options: ReadOptions) -> Recording:
    """Reads a table with a lead in each column, and a column of times or what `write` says of the sampling rate.

    Raises:
        ValueError: If the file is damaged or nothing says the sampling rate.
    """
    table = read_table(path, HINT)
    said = table.attrs.get(METADATA, {})
    said = said if isinstance(said, dict) else {}
    names = [str(name) for name in table.columns]
    columns = [table.iloc[:, place].to_numpy() for place in range(len(names))]
    patient = patient_of(_number(said.get("age")), str(said.get("sex") or ""))
    rate, start = _number(said.get("sampling_rate")), _time(said.get("start_time"))
    source = Source("Parquet", path)
    return recording_of_table(
        Table(names, columns, sampling_rate=rate, start_time=start, patient=patient), options, source, _notes(said)
    )


def _recording(arrays: Mapping[str, Any], options: ReadOptions, source: Source) -> Recording:
    """Makes a recording of arrays by their names."""
    known = {name.lower(): np.asarray(value) for name, value in arrays.items()}
    signal = next((known[name] for name in SIGNAL if name in known and _is_signal(known[name])), None)
    if signal is None:
        large = [value for value in known.values() if _is_signal(value)]
        if len(large) != 1:
            raise ValueError(f"{source.path} holds no ECG: it has {', '.join(arrays) or 'no arrays'}, not {SIGNAL[0]}")
        signal = large[0]
    signal = np.atleast_2d(signal)
    if len(signal) > MOST_CHANNELS >= signal.shape[1] or (
        len(signal) > MOST_CHANNELS and len(signal) > signal.shape[1]
    ):
        signal = signal.T
    if len(signal) > MOST_CHANNELS:
        raise ValueError(
            f"{source.path} holds an array of shape {signal.shape}: an ECG has up to {MOST_CHANNELS} channels"
        )
    rate = options.sampling_rate or next((_number(known[name]) for name in RATE if name in known), None)
    if rate is None or not rate > 0:
        raise ValueError(f"{source.path} does not say its sampling rate: give it, such as sampling_rate=500 (in Hz)")
    names, notes = _names(known, list(signal), options)
    unit = str(known["unit"]) if known.get("unit", np.zeros(2)).ndim == 0 else None
    return recording_of(
        [Channel(name, unit, rate) for name in names],
        list(signal),
        options,
        source,
        start_time=_time(known.get("start_time")),
        patient=patient_of(_number(known.get("age")), str(known.get("sex", ""))),
        notes=[*_notes(known), *notes],
    )


def _names(
    known: Mapping[str, NDArray[Any]], rows: list[NDArray[Any]], options: ReadOptions
) -> tuple[list[str], list[str]]:
    """Returns the names of the channels, and what was assumed."""
    for key in NAMES:
        if key in known and known[key].size == len(rows):
            return [str(name).strip() for name in known[key].ravel()], []
    return name_leads(rows, options, "row")


def _is_signal(value: NDArray[Any]) -> bool:
    return value.dtype.kind in "fiu" and value.ndim in (1, 2) and value.size > MOST_CHANNELS


def _fields(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the variables of a MATLAB file, and in their place the fields of a struct."""
    fields: dict[str, Any] = {}
    for name, value in variables.items():
        if name.startswith("__"):
            continue
        array = np.asarray(value)
        if array.dtype.names and array.size == 1:
            fields |= {field: array[field].item() for field in array.dtype.names}
        elif array.dtype.kind in "fiuUS" or (array.dtype == object and array.ndim <= 1):
            fields[name] = array
    return fields


def _number(value: object) -> float | None:
    """Returns a number, None where there is none."""
    try:
        number = float(np.asarray(value, dtype=np.float64).reshape(-1)[0])
    except (TypeError, ValueError, IndexError):
        return None
    return number if np.isfinite(number) else None


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None


def _notes(said: Mapping[str, Any]) -> list[str]:
    return [str(note) for note in np.asarray(said.get("notes", []), dtype=str).reshape(-1)]


_KNOWN = {*SIGNAL, *RATE, *NAMES, "unit", "start_time", "age", "sex", "notes"}
