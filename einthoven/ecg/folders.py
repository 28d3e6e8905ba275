"""The recordings of a folder."""

from pathlib import Path

from einthoven.arguments import check_path
from einthoven.ecg.formats.registry import FORMATS, HEAD_BYTES
from einthoven.ecg.formats.wfdb_files.header import read_header


def find_recordings(folder: str | Path) -> list[Path]:
    """Lists the recordings in a folder and those below it, by path: what `read` takes, one of each.

    A WFDB record is listed by its header, and neither its signal files nor its segments are. Files in no known format
    are left out; hidden ones too.

    Raises:
        ValueError: If there is no such folder, or nothing in it is a recording.
    """
    root = check_path("folder", folder)
    if not root.is_dir():
        raise ValueError(f"{str(folder)!r} is no folder: give one that holds recordings")
    files = sorted(file for file in root.rglob("*") if file.is_file() and not _is_hidden(file.relative_to(root)))
    parts = {part for file in files if file.suffix == ".hea" for part in _parts(file)}
    found = [file for file in files if file not in parts and _is_known(file)]
    if not found:
        known = ", ".join(dict.fromkeys(fmt.name for fmt in FORMATS))
        raise ValueError(f"{folder} holds no recording; known formats: {known}")
    return found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _parts(header: Path) -> set[Path]:
    """Returns the files that a WFDB header names; none where it cannot be read, so that reading it says why."""
    try:
        read = read_header(header)
    except (ValueError, OSError):
        return set()
    names = [line.file for line in read.signals] + [f"{name}.hea" for name, _ in read.segments]
    return {header.parent / name for name in names}


def _is_known(file: Path) -> bool:
    if file.suffix == ".hea":
        return True
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
        return any(fmt.is_format_of(head, file) for fmt in FORMATS)
    except (OSError, ImportError):
        return False
