"""Where a repair keeps its arrays: in memory, or in files of a folder, where a killed repair goes on."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from einthoven.run.files import write_json
from reconstruction.repairs.pieces import runs
from reconstruction.windows.arrays import DEPENDS_ON, Array, flush_array, is_same, make_array

MEMORY_UP_TO_S = 120.0
"""Longer recordings are worked on in files, and in sections."""
BLOCK = 1 << 20
"""Samples of a lead that are looked at together."""
_FLUSH_S = 10.0


class Storage:
    """Arrays by name, and which of their windows are done.

    Args:
        folder: Folder of the files; None: memory.
        depends_on: What the arrays depend on, plain data.

    Attributes:
        is_new: Whether nothing has been kept there before.

    Raises:
        ValueError: If the folder holds arrays that depend on something else.
    """

    def __init__(self, folder: Path | None = None, depends_on: Mapping[str, Any] | None = None) -> None:
        self.folder, self.is_new = folder, folder is None or not is_same(folder, depends_on or {})
        if folder is not None and self.is_new:
            for file in folder.glob("*.npy"):  # of a repair that was killed before it said what it depends on
                file.unlink()
            write_json(folder / DEPENDS_ON, dict(depends_on or {}))
        self.arrays: dict[str, Array] = {}
        self._fresh: dict[str, list[int]] = {}
        self._flushed = time.monotonic()

    def array(self, name: str, shape: Sequence[int], dtype: DTypeLike) -> Array:
        """Returns an array, of zeros where it is new."""
        if name not in self.arrays:
            file = None if self.folder is None else self.folder / f"{name}.npy"
            if file is None or file.is_file():
                self.arrays[name] = make_array(file, tuple(shape), np.dtype(dtype), is_new=False)
            else:
                partial = file.with_suffix(".partial")
                self.arrays[name] = make_array(partial, tuple(shape), np.dtype(dtype), is_new=True)
                partial.rename(file)
        return self.arrays[name]

    def done(self, name: str, number: int) -> None:
        """Notes that a window of the flags `name` is done; it counts once all that came of it is on the disk."""
        self._fresh.setdefault(name, []).append(number)
        if time.monotonic() - self._flushed > _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Puts on the disk what came since the last time, and only then says that it is done."""
        for array in self.arrays.values():
            flush_array(array)
        for name, numbers in self._fresh.items():
            self.arrays[name][numbers] = True
            flush_array(self.arrays[name])
        self._fresh, self._flushed = {}, time.monotonic()


def blocks(length: int, size: int = BLOCK) -> Iterator[slice]:
    """Yields the blocks of so many samples."""
    yield from (slice(first, min(first + size, length)) for first in range(0, length, size))


def runs_in_blocks(length: int, mask: Callable[[slice], NDArray[np.bool_]]) -> list[tuple[int, int]]:
    """Returns the stretches of True, as `runs`, of a mask that is made block by block."""
    found: list[tuple[int, int]] = []
    for block in blocks(length):
        for first, last in runs(mask(block)):
            if found and found[-1][1] == block.start + first:
                found[-1] = found[-1][0], block.start + last
            else:
                found.append((block.start + first, block.start + last))
    return found


def spread_of(values: Callable[[slice], NDArray[np.floating]], length: int) -> float:
    """Returns the standard deviation of values that are made block by block, but for NaN; 0 where there is none."""
    if length <= BLOCK:
        known = values(slice(0, length))
        known = known[np.isfinite(known)]
        return float(known.std()) if len(known) else 0.0
    sums = np.zeros(3)
    for block in blocks(length):
        known = values(block).astype(np.float64)
        known = known[np.isfinite(known)]
        sums += len(known), known.sum(), np.square(known).sum()
    if not sums[0]:
        return 0.0
    return float(np.sqrt(max(sums[2] / sums[0] - (sums[1] / sums[0]) ** 2, 0.0)))
