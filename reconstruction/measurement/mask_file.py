"""Masks of measured samples from a file of the user's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from einthoven.checked_files import intact, map_array, read_arrays, read_csv
from einthoven.ecg.leads import LEADS, canonical_leads

HINT = "write it again"
"""What to do with a damaged one."""
_KEY = "ecg_id"
_OBSERVED = "observed"


@dataclass(frozen=True)
class MaskFile:
    """Which samples are measured, of all records alike or of each.

    Three formats, True or 1 where a sample is measured:

    - `.npy`: one mask for all records, shape (12, L);
    - `.npz`: an array `observed` of shape (12, L), or (N, 12, L) with the records' keys in `ecg_id`, shape (N,);
    - `.csv`: a column for each lead that is measured anywhere, named as in `LEADS`, and a row for each sample; with
      masks for each record, a column `ecg_id` beside them.

    Attributes:
        path: The file.
        masks: Masks, shape (N, 12, L).
        ecg_ids: Keys of the N records; None: the only mask is for all.
    """

    path: Path
    masks: NDArray[np.bool_]
    ecg_ids: tuple[int, ...] | None

    @classmethod
    def read(cls, path: str | Path) -> "MaskFile":
        """Reads a file; raises ValueError if it cannot be read, has another format, or lacks its records' keys."""
        path = Path(path)
        readers = {".npy": _read_npy, ".npz": _read_npz, ".csv": _read_csv}
        if path.suffix not in readers or not path.is_file():
            raise ValueError(f"no mask at {path}: name a file that ends in {', '.join(readers)}")
        masks, ecg_ids = readers[path.suffix](path)
        masks = np.asarray(masks)
        if masks.ndim == 3 and ecg_ids is None:
            raise ValueError(f"{path} has masks for {len(masks)} records without their keys: add ecg_id (npz or csv)")
        masks = masks[None] if masks.ndim == 2 else masks
        if (
            masks.ndim != 3
            or masks.shape[1] != len(LEADS)
            or (ecg_ids is not None and np.shape(ecg_ids) != (len(masks),))
        ):
            raise ValueError(f"{path} holds shape {masks.shape}: give (12, L), or (N, 12, L) and N keys in ecg_id")
        if masks.dtype.kind not in "biuf" or not np.isin(masks, (0, 1)).all():
            raise ValueError(f"{path} holds values other than 0 and 1 (or False and True): 1 says that it is measured")
        with intact(path, "give a whole number for each record in ecg_id"):
            keys = None if ecg_ids is None else tuple(int(key) for key in ecg_ids)
        return cls(path, masks.astype(bool), keys)

    def observed(self, keys: Sequence[int | str], length: int) -> NDArray[np.bool_]:
        """Returns the masks (B, 12, L), True where measured, of records with some keys and `length` samples.

        Raises:
            ValueError: If a record has no mask, or one of another length, or that hides everything.
        """
        if self.masks.shape[-1] != length:
            raise ValueError(
                f"the masks in {self.path} have {self.masks.shape[-1]} samples, the records {length}: make them equal, "
                "or set dataset.segment_length"
            )
        if self.ecg_ids is None:
            masks = np.repeat(self.masks, len(keys), axis=0)
        else:
            import pandas as pd

            rows = pd.Index(self.ecg_ids).get_indexer(pd.Index([int(key) for key in keys]))
            absent = [key for key, row in zip(keys, rows, strict=True) if row < 0]
            if absent:
                raise ValueError(f"{self.path} has no mask for {len(absent)} record(s), such as ecg_id {absent[0]}")
            masks = self.masks[rows]
        empty = [key for key, mask in zip(keys, masks, strict=True) if not mask.any()]
        if empty:
            raise ValueError(f"{self.path} hides all of {len(empty)} record(s), such as ecg_id {empty[0]}")
        return masks


def _read_npy(path: Path) -> tuple[NDArray[np.generic], None]:
    return map_array(path, HINT), None


def _read_npz(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic] | None]:
    arrays = read_arrays(path, hint=HINT)
    if _OBSERVED not in arrays:
        raise ValueError(f"{path} has no array {_OBSERVED!r}, but {', '.join(arrays) or 'none'}")
    return arrays[_OBSERVED], arrays.get(_KEY)


def _read_csv(path: Path) -> tuple[NDArray[np.generic], list[int] | None]:
    import pandas as pd

    table = read_csv(path, HINT)
    columns = [column for column in table.columns if column != _KEY]
    with intact(path, f"name its columns as leads, and {_KEY}"):
        places = [LEADS.index(lead) for lead in canonical_leads(columns)]
        keys = None if _KEY not in table else [int(key) for key in table[_KEY].unique()]
    groups = [table] if keys is None else [table[table[_KEY] == key] for key in keys]
    if len({len(group) for group in groups}) > 1:
        raise ValueError(f"{path} has records of different lengths: give as many rows to each ecg_id")
    if table.empty or not all(pd.api.types.is_numeric_dtype(table[column]) for column in columns):
        raise ValueError(f"{path} holds no table of 0 and 1 (or False and True): 1 says that it is measured")
    masks = np.zeros((len(groups), len(LEADS), len(groups[0])))
    for mask, group in zip(masks, groups, strict=True):
        mask[places] = group[columns].to_numpy().T
    return (masks[0] if keys is None else masks), keys
