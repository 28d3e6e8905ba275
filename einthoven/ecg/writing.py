"""`write`: a recording into a file, in the format that the name of the file says."""

import importlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from einthoven.ecg.recording import Recording
from einthoven.run.files import atomic_write


@dataclass(frozen=True)
class Writer:
    """A file format that is written.

    Attributes:
        name: Its name.
        writes: Place of a function `(recording, path) -> None`.
        extra: What to install to write it, as in `pip install einthoven[formats]`; None: nothing.
        companion: Suffix of a second file that it writes beside the first; None: there is none.
    """

    name: str
    writes: str
    extra: str | None = None
    companion: str | None = None


WRITERS: dict[str, Writer] = {
    ".hea": Writer("WFDB", "einthoven.ecg.writers.wfdb.write_wfdb", companion=".dat"),
    ".edf": Writer("EDF+", "einthoven.ecg.writers.edf.write_edf"),
    ".bdf": Writer("BDF+", "einthoven.ecg.writers.edf.write_bdf"),
    ".dcm": Writer("DICOM", "einthoven.ecg.writers.dicom.write_dicom", "formats"),
    ".csv": Writer("CSV", "einthoven.ecg.writers.table.write_csv"),
    ".parquet": Writer("Parquet", "einthoven.ecg.writers.table.write_parquet"),
    ".npz": Writer("NPZ", "einthoven.ecg.writers.arrays.write_npz"),
}
"""How files are written, by suffix."""


def write(recording: Recording, path: str | Path) -> Path:
    """Writes a recording; `einthoven.ecg.reading.read` gives it back to half a step of the format.

    What was not measured is written as the format's missing sample. Start time, age, sex and notes are kept where the
    format has a place for them; no name is ever written. The file is whole or absent; one that is there is replaced.

    Args:
        recording: The recording.
        path: The file: `.hea`, `.dat` or no suffix for WFDB, `.edf`, `.bdf`, `.dcm`, `.csv`, `.parquet` or `.npz`.

    Returns:
        The path of the file; of WFDB that of the header.

    Raises:
        ValueError: If the suffix is unknown, the format cannot hold the recording, or a package is missing.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in ("", ".dat"):
        path, suffix = path.with_suffix(".hea"), ".hea"
    if not path.stem or suffix not in WRITERS:
        raise ValueError(f"{str(path)!r}: a recording is written as {', '.join(WRITERS)}")
    if not recording.signal.size:
        raise ValueError(f"{path}: the recording is empty")
    writer = WRITERS[suffix]
    signal = recording.signal
    recording = replace(recording, signal=np.where(np.isfinite(signal), signal, np.nan).astype(np.float64, copy=False))
    try:
        if writer.companion is None:
            with atomic_write(path) as temporary:
                _load(writer.writes)(recording, temporary)
        else:
            _write_pair(recording, path, writer)
    except ImportError as error:
        install = f"pip install 'einthoven[{writer.extra}]'" if writer.extra else f"install {error.name}"
        raise ValueError(f"writing {path} needs {error.name}: {install}") from error
    except ValueError as error:
        raise ValueError(f"{path} cannot be written as {writer.name}: {error}") from error
    return path


def _write_pair(recording: Recording, path: Path, writer: Writer) -> None:
    """Writes two files that name each other; the one that names the other comes last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        _load(writer.writes)(recording, made)
        for suffix in (str(writer.companion), path.suffix):
            with atomic_write(path.with_suffix(suffix)) as temporary:
                shutil.copyfile(made.with_suffix(suffix), temporary)


def _load(place: str) -> Callable[[Recording, Path], None]:
    module, _, name = place.rpartition(".")
    function: Callable[[Recording, Path], None] = getattr(importlib.import_module(module), name)
    return function
