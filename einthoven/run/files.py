"""Files that are either whole or absent: written beside their place, then renamed."""

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk answers on which this file, or this user, has no room left."""
_TORN = re.compile(r"inline_container|PytorchStreamWriter|requested and \d+ written")
"""What torch and numpy say where a write has ended early."""
_NEARLY_FULL = 1_000_000
"""Bytes."""
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp(\.\w+)?")


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path whose file takes the place of `path` when the block ends without an error.

    The temporary file lies in the same folder, is hidden, and has the suffix of `path`. Missing folders are made.
    When the block raises, the temporary file is removed and `path` stays as it was; when the process is killed, a
    hidden temporary file may remain. FileNotFoundError, if the block has not written the temporary file; an OSError
    that names `path`, if the disk is full, whatever torch or numpy say then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}.tmp{path.suffix}")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        if (number := _full(error, path.parent)) is not None:
            raise OSError(number, os.strerror(number), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        _flush(path.parent)


def clear_torn_writes(folder: Path, lock: str) -> None:
    """Removes the temporary files that killed processes have left in a folder and in those inside it.

    Only for a folder that no other process writes to. Folders inside that hold a file named `lock` are left alone: they
    have a holder of their own, who may be at work, and the next one clears them.
    """
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not Path(place, name, lock).is_file()]
        for name in filter(_TEMPORARY.fullmatch, names):
            Path(place, name).unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Writes a text file atomically, in UTF-8 with Unix line ends."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path | str, content: object) -> None:
    """Writes plain data as a JSON file atomically, indented by two spaces; TypeError, if it holds anything else."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _full(error: OSError | RuntimeError, folder: Path) -> int | None:
    """Returns the error's number if a write has failed for lack of room: errors of torch and numpy do not say so."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in FULL else None
    torn = _TORN.search(str(error)) is not None and shutil.disk_usage(folder).free < _NEARLY_FULL
    return errno.ENOSPC if torn else None


def _flush(path: Path) -> None:
    """Asks the system to put a file, or the entries of a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
