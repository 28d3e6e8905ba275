"""Arrays, tables and plain data from files that may be damaged: each failure is one line that names the file.

No memory is taken before what a file states has been compared with what it holds.
"""

from __future__ import annotations

import importlib.util
import json
import math
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:  # they take a second to load, and starting scripts read plain data alone
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

LARGEST_RATIO = 1100
"""Deflate shrinks nothing to less than one part in so many."""
FREE_BYTES, USUAL_RATIO = 64 << 20, 200
"""An array of more bytes that shrinks to less than one part in so many is made to fill the memory."""
LARGEST_TABLE = 512 << 20
"""Bytes beyond which a table is compared with its file."""
LONGEST_MESSAGE = 600
"""Characters."""


def one_line(message: str) -> str:
    """Returns a message as one line of printable characters, whatever a damaged file has put into it."""
    words = " ".join(message.split())
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in words)
    return shown if len(shown) <= LONGEST_MESSAGE else f"{shown[:LONGEST_MESSAGE]}..."


@contextmanager
def intact(path: Path | str, hint: str = "make it again") -> Iterator[None]:
    """Makes one ValueError that names a file, and what to do, of all that libraries raise where it is damaged.

    Args:
        path: The file.
        hint: What to do.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise ValueError(f"{error.filename or path} is damaged (the file is missing): {hint}") from error
    except Exception as error:  # damage leads each library to errors of its own
        if isinstance(error, ValueError) and str(path) in str(error):
            raise ValueError(one_line(str(error))) from error
        reason = str(error) if isinstance(error, ValueError | OSError) and str(error) else repr(error)
        raise ValueError(one_line(f"{path} is damaged ({reason}): {hint}")) from error


def read_json(path: Path, hint: str = "make it again") -> dict[str, Any]:
    """Reads a JSON file that holds an object; ValueError where it is damaged or holds something else."""
    with intact(path, hint):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no names with values")
        return content


def read_yaml(path: Path, hint: str = "run the script again") -> dict[str, Any]:
    """Reads a YAML file of plain data that holds keys; ValueError where it is damaged or holds something else."""
    with intact(path, hint):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no keys: it was changed by hand")
        return content


def map_array(path: Path, hint: str = "make it again") -> NDArray[Any]:
    """Opens an NPY file as a memory map; ValueError where it is damaged, or holds objects."""
    import numpy as np

    with intact(path, hint):
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return array


def read_table(path: Path, hint: str = "make it again", columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Reads a Parquet file, or some columns of it; ValueError where it is damaged, or grows beyond what memory is for.

    Args:
        path: The file.
        hint: What to do where it is damaged.
        columns: The columns; None: all.
    """
    import pandas as pd

    with intact(path, hint):
        (n_rows, n_columns), held = _stated_size(path), path.stat().st_size
        if n_rows * n_columns * 8 > max(LARGEST_TABLE, LARGEST_RATIO * held):
            raise ValueError(f"it states {n_rows} rows of {n_columns} columns in {held} bytes")
        return pd.read_parquet(path, columns=None if columns is None else list(columns))


def _stated_size(path: Path) -> tuple[int, int]:
    """Returns how many rows and columns a Parquet file states."""
    if importlib.util.find_spec("pyarrow"):  # which pandas takes where it is there
        from pyarrow.parquet import read_metadata

        facts = read_metadata(path)
        return facts.num_rows, facts.num_columns
    from fastparquet import ParquetFile

    file = ParquetFile(str(path))
    return file.count(), len(file.columns)


def read_csv(path: Path, hint: str = "write it again", **options: Any) -> pd.DataFrame:  # noqa: ANN401 (of pandas)
    """Reads a CSV file with `pandas.read_csv` and its options; ValueError where it is damaged."""
    import pandas as pd

    with intact(path, hint):
        table: pd.DataFrame = pd.read_csv(path, **options)
        return table


def read_arrays(
    path: Path, wanted: Callable[[str], bool] = lambda name: True, hint: str = "make it again"
) -> dict[str, Any]:
    """Reads the arrays of an NPZ file whose names are wanted.

    Raises:
        ValueError: If it is damaged, holds objects, or states more than it holds.
    """
    import numpy as np

    with intact(path, hint):
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if wanted(_name_of(entry))]
            for entry in entries:
                _check_entry(archive, entry)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in map(_name_of, entries)}


def _name_of(entry: zipfile.ZipInfo) -> str:
    return entry.filename.removesuffix(".npy")


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Compares the shape that an array of an archive states with its size before memory is taken for it."""
    if entry.file_size > LARGEST_RATIO * entry.compress_size + 1024:
        raise ValueError(f"{entry.filename} states {entry.file_size} bytes, more than it can hold")
    if entry.file_size > max(FREE_BYTES, USUAL_RATIO * entry.compress_size):
        raise ValueError(f"{entry.filename} would grow from {entry.compress_size} to {entry.file_size} bytes")
    with archive.open(entry) as file:
        shape, dtype = _header(file)
        if math.prod(float(side) for side in shape) * dtype.itemsize > entry.file_size:
            raise ValueError(f"{entry.filename} states {shape} values in {entry.file_size} bytes")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    import numpy as np

    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype
