"""Arrays of long work: in memory, or in files of a folder that a killed run goes on in."""

import json
import mmap
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.checked_files import intact, read_json
from einthoven.run.array_files import create_array
from einthoven.run.hashing import differing_keys

HINT = "choose another folder"
"""What to do with a damaged one."""
DEPENDS_ON = "depends_on.json"
"""File that says what the results in a folder depend on."""

Array = NDArray[Any]


def flush_array(array: Array) -> None:
    """Writes an array to its file, if it has one, and lets go of the memory that it took meanwhile."""
    if isinstance(array, np.memmap):
        array.flush()
        if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            array.base.madvise(mmap.MADV_DONTNEED)


def temporary_folder() -> Path:
    """Makes a folder for results that are removed with their object."""
    return Path(tempfile.mkdtemp(prefix="einthoven-"))


def is_same(folder: Path, depends_on: Mapping[str, Any]) -> bool:
    """Tells whether a folder holds results of the same work; ValueError where it holds others."""
    file = folder / DEPENDS_ON
    if not file.is_file():
        return False
    before = read_json(file, HINT)
    if changed := differing_keys(before, json.loads(json.dumps(dict(depends_on)))):
        raise ValueError(
            f"{folder} holds results of other work ({', '.join(sorted(changed))} differ): choose another folder"
        )
    return True


def make_array(path: Path | None, shape: tuple[int, ...], dtype: np.dtype[Any], *, is_new: bool) -> Array:
    """Makes an array of zeros, in memory or in a file, or opens the file that is there."""
    if path is None:
        return np.zeros(shape, dtype)
    if is_new:
        return create_array(path, shape, dtype)
    with intact(path, HINT):
        array: Array = np.lib.format.open_memmap(path, "r+")
        if (array.shape, array.dtype) != (shape, dtype):
            raise ValueError(f"it has shape {array.shape} and type {array.dtype}, not {shape} and {dtype}")
        return array
