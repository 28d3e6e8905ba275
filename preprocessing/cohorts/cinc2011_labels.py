"""Files and labels of PhysioNet/CinC Challenge 2011, set a: acceptable or not, and which half a choice may use.

Silva, Moody, Celi, Computing in Cardiology 38, 273 (2011).
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pandas as pd

from preprocessing.store.preparation import RecordFile, wfdb_file

SOURCE_RATE = 500
LISTINGS: dict[str, bool] = {"RECORDS-acceptable": True, "RECORDS-unacceptable": False}


def cinc2011_half(ecg_id: int) -> Literal["fit", "test"]:
    """Returns the half of a record, from a hash of its number alone: whatever other records there are.

    "fit" is for training and every choice, "test" for results alone.
    """
    digest = hashlib.blake2b(f"cinc2011/{ecg_id}".encode(), digest_size=8).digest()
    return "test" if digest[0] % 2 else "fit"


def find_files(root: str | Path, keys: Iterable[int]) -> list[RecordFile]:
    """Returns the files of those records, by number, that are there in `set-a`; ValueError if none is."""
    folder = Path(root) / "set-a"
    found = [wfdb_file(folder / str(key), int(key), SOURCE_RATE) for key in keys]
    files = [file for file in found if file is not None]
    if not files:
        raise ValueError(f"{folder} holds none of the records listed; correct dataset.raw_path")
    return files


def read_labels(root: str | Path) -> pd.DataFrame:
    """Reads the two lists of records in a folder.

    Returns:
        One row per record, ascending in `ecg_id`: `ecg_id` (int64), `acceptable` (bool), `half` ("fit" or "test").

    Raises:
        ValueError: If a list is missing, a record's name is not a number, or a record is listed twice.
    """
    folder = Path(root)
    acceptable: dict[int, bool] = {}
    for name, label in LISTINGS.items():
        if not (folder / name).is_file():
            raise ValueError(f"{folder} lacks {name}; correct dataset.raw_path, the folder of CinC 2011's set a")
        names = (folder / name).read_text(encoding="utf-8").split()
        if not all(entry.isdecimal() for entry in names):
            raise ValueError(f"{folder / name} must list records by their numbers; download it again")
        keys = [int(entry) for entry in names]
        if len(set(keys)) < len(keys) or acceptable.keys() & set(keys):
            raise ValueError(f"{folder / name} lists a record that is listed already; download both lists again")
        acceptable.update(dict.fromkeys(keys, label))
    keys = sorted(acceptable)
    return pd.DataFrame(
        {
            "ecg_id": pd.Series(keys, dtype="int64"),
            "acceptable": pd.Series([acceptable[key] for key in keys], dtype=bool),
            "half": pd.Series([cinc2011_half(key) for key in keys], dtype=object),
        }
    )
