"""Arrays in files, where a disk without room is noticed; each of numpy's own ways misses it somewhere."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Writes an array as a .npy file, which `path` names even without the suffix; not atomic.

    `numpy.save` does not notice when the end of a small array finds no room on the disk.
    """
    with open(path, "wb") as stream:
        np.lib.format.write_array(_Writer(stream.write), np.asarray(array), allow_pickle=False)


def create_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> "np.memmap[Any, Any]":
    """Makes a .npy file of zeros and maps it into memory, to be written part by part.

    Its place on the disk is taken at once: without it a process ends, without a word, where the disk is full.
    """
    array = np.lib.format.open_memmap(path, "w+", dtype=np.dtype(dtype), shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return array


@dataclass(frozen=True)
class _Writer:
    """Something to write to that is no file, so that numpy takes Python's writes, which fail where they fail."""

    write: Callable[[bytes], int]
