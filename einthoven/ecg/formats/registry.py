"""The file formats that are read, each known by its content and loaded when it is first met."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from einthoven.checked_files import one_line
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.recording import Recording

HEAD_BYTES = 4096
"""So many bytes of a file tell its format."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: Its name.
        matches: Place of a function `(head: bytes, path: Path) -> bool`: whether a file with these first bytes is of
            it. Its module imports nothing that is slow or optional.
        reads: Place of a function `(path: Path, options: ReadOptions) -> Recording`, which raises ValueError where a
            file cannot be read.
        extra: What to install to read it, as in `pip install einthoven[formats]`; None: nothing.
        cuts: Whether the reader returns the part that `options.start` and `options.duration` ask for.
    """

    name: str
    matches: str
    reads: str
    extra: str | None = None
    cuts: bool = False

    def is_format_of(self, head: bytes, path: Path) -> bool:
        """Says whether a file is of this format."""
        return bool(_load(self.matches)(head, path))

    def read(self, path: Path, options: ReadOptions) -> Recording:
        """Reads a file; ValueError where it cannot be read, or a package is missing."""
        try:
            recording: Recording = _load(self.reads)(path, options)
        except ValueError as error:
            raise ValueError(one_line(str(error))) from error
        except ImportError as error:
            install = f"pip install 'einthoven[{self.extra}]'" if self.extra else f"install {error.name}"
            raise ValueError(f"{path} is {self.name}, and reading it needs {error.name}: {install}") from error
        return recording


FORMATS: list[Format] = [
    Format("WFDB", "einthoven.ecg.formats.wfdb.matches", "einthoven.ecg.formats.wfdb.read_wfdb", cuts=True),
    Format("EDF", "einthoven.ecg.formats.edf.matches", "einthoven.ecg.formats.edf.read_edf", cuts=True),
    Format("DICOM", "einthoven.ecg.formats.dicom.matches", "einthoven.ecg.formats.dicom.read_dicom", "formats"),
    Format("MUSE XML", "einthoven.ecg.formats.muse.matches_muse", "einthoven.ecg.formats.muse.read_muse"),
    Format(
        "CardioSoft XML", "einthoven.ecg.formats.muse.matches_cardiosoft", "einthoven.ecg.formats.muse.read_cardiosoft"
    ),
    Format("HL7 aECG", "einthoven.ecg.formats.aecg.matches", "einthoven.ecg.formats.aecg.read_aecg"),
    Format(
        "Philips XML",
        "einthoven.ecg.formats.devices.matches_philips",
        "einthoven.ecg.formats.devices.read_philips",
        "formats",
    ),
    Format(
        "Mortara XML",
        "einthoven.ecg.formats.devices.matches_mortara",
        "einthoven.ecg.formats.devices.read_mortara",
        "formats",
    ),
    Format("ISHNE", "einthoven.ecg.formats.ishne.matches", "einthoven.ecg.formats.ishne.read_ishne", cuts=True),
    Format("Kardia", "einthoven.ecg.formats.kardia.matches", "einthoven.ecg.formats.kardia.read_kardia"),
    Format("SCP-ECG", "einthoven.ecg.formats.devices.matches_scp", "einthoven.ecg.formats.devices.read_scp", "formats"),
    Format("MFER", "einthoven.ecg.formats.devices.matches_mfer", "einthoven.ecg.formats.devices.read_mfer", "formats"),
    Format("NPY", "einthoven.ecg.formats.arrays.matches_npy", "einthoven.ecg.formats.arrays.read_npy"),
    Format("NPZ", "einthoven.ecg.formats.arrays.matches_npz", "einthoven.ecg.formats.arrays.read_npz"),
    Format("MAT", "einthoven.ecg.formats.arrays.matches_mat", "einthoven.ecg.formats.arrays.read_mat"),
    Format("Parquet", "einthoven.ecg.formats.arrays.matches_parquet", "einthoven.ecg.formats.arrays.read_parquet"),
    Format("CSV", "einthoven.ecg.formats.table.matches", "einthoven.ecg.formats.table.read_table"),
]
"""Looked through in this order."""


def find_format(path: Path) -> Format:
    """Finds the format of a file, or of a WFDB record named without extension; ValueError where it is not known."""
    if not path.name or path.is_dir():
        raise ValueError(f"{str(path)!r} is a folder: give a file, or go through find_recordings({str(path)!r})")
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    for fmt in FORMATS:
        if fmt.is_format_of(head, path):
            return fmt
    if not path.is_file():
        raise ValueError(f"no file {path}, and no header {path}.hea of a WFDB record")
    known = ", ".join(dict.fromkeys(fmt.name for fmt in FORMATS))
    raise ValueError(f"{path} is {'empty' if not head else 'in no known format'}; known formats: {known}")


def _load(place: str) -> Callable[..., Any]:
    module, _, name = place.rpartition(".")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
