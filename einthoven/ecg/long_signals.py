"""Room for the signal of a very long recording: a file without a name, mapped into memory, in the place of memory.

A day of three leads at 250 Hz takes half a gigabyte, one of twelve leads at 500 Hz four. The file lies in the folder
for temporary files (TMPDIR) and is gone with the array. What was used of it is let go with `release`, piece by piece.
"""

import mmap
import os
import tempfile
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LARGEST_IN_MEMORY = 1 << 25
"""Samples of all leads, 268 MB, beyond which a signal lies in a file: two hours of twelve leads at 400 Hz."""
_PIECE = 1 << 22


class _Mapping(mmap.mmap):
    """A mapping that was made here, so that its pages may be let go: none is lost, as all is in the file."""


def blank_signal(n_leads: int, length: int) -> NDArray[np.float64]:
    """Returns a signal without any sample: NaN, shape (n_leads, length), float64, in a file where it is very long."""
    signal = _in_file(n_leads, length) if n_leads * length > LARGEST_IN_MEMORY else None
    if signal is None:
        return np.full((n_leads, length), np.nan)
    values = signal.reshape(-1)
    for first in range(0, values.size, _PIECE):
        values[first : first + _PIECE] = np.nan
        release(signal)
    return signal


def lies_in_file(signal: NDArray[np.float64]) -> bool:
    """Says whether a signal, or what it is a part of, was made in a file by `blank_signal`."""
    return _mapping(signal) is not None


def release(signal: NDArray[np.floating]) -> None:
    """Lets go of the memory of what was used of a signal in a file; others, and all values, stay as they are."""
    mapping = _mapping(signal)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def take_rows(signal: NDArray[np.float64], rows: Sequence[int]) -> NDArray[np.float64]:
    """Returns a copy of some rows of a signal, shape (n, L), in a file where the signal lies in one."""
    if not lies_in_file(signal):
        return signal[list(rows)]
    taken = blank_signal(len(rows), signal.shape[-1])
    for copy, row in zip(taken, rows, strict=True):
        copy[:] = signal[row]
        release(taken)
        release(signal)
    return taken


def _in_file(n_leads: int, length: int) -> NDArray[np.float64] | None:
    """Maps a file of the size; None where the disk has no room for it."""
    size = n_leads * length * np.dtype(np.float64).itemsize
    try:
        with tempfile.TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):  # without its place a process ends where the disk is full
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            mapping = _Mapping(file.fileno(), size)
    except OSError:
        return None
    return np.ndarray((n_leads, length), np.float64, mapping)


def _mapping(signal: NDArray[np.floating]) -> _Mapping | None:
    """Finds the mapping that an array lies in."""
    base: object = signal
    while isinstance(base, np.ndarray):
        base = base.base
    base = base.obj if isinstance(base, memoryview) else base
    return base if isinstance(base, _Mapping) else None
