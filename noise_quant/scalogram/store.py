"""The store of scalogram images: every lead of every record as 8-bit levels, read by memory map, joined by key.

A store holds

- `images.npy`: uint8, shape (N, 12, 32, 256), leads in the order of `LEADS`;
- `table.parquet`: one row per record, in the order of the images, keyed by `ecg_id`, columns of every store;
- `leads.parquet`: one row per record and lead, in that order: labels of noise, whether the lead is unusable, and why;
- `manifest.json`: settings, sources with their hashes, version; written last;
- `skipped.csv`: `ecg_id` and the reason.

It is 98 kB a record, 2.1 GB for the whole of PTB-XL.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from einthoven.checked_files import read_table
from einthoven.ecg.leads import LEADS
from noise_quant.data.noise_labels import LABEL_COLUMNS
from noise_quant.scalogram.image import HEIGHT, WIDTH, ScalogramSettings
from preprocessing.store.files import StoreForm
from preprocessing.store.store import StoreBase

SCALOGRAM_FORMAT = "scalograms-1"
RECORD_SHAPE = (len(LEADS), HEIGHT, WIDTH)
LEAD_COLUMNS: tuple[str, ...] = ("ecg_id", "lead", *LABEL_COLUMNS, "unusable", "reason")
PROBLEMS = "lead_problems"
"""Column of a record's row while the store is built: the reason for each lead, empty where it is usable."""


@dataclass(frozen=True)
class ImageForm(StoreForm):
    """Images as levels, uint8, and the leads' table.

    Attributes:
        labels: Labels of the leads: `ecg_id`, `lead` and `LABEL_COLUMNS`.
        scalogram: Settings of the images, as plain values.
    """

    labels: pd.DataFrame
    scalogram: Mapping[str, Any]
    name: ClassVar[str] = "images"
    dtype: ClassVar[str] = "|u1"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (12, 32, 256) of a record."""
        return RECORD_SHAPE

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the labels, which processes that compute images have no use for."""
        return {"labels": self.labels.iloc[:0], "scalogram": self.scalogram}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes up what `__getstate__` has kept."""
        self.__dict__.update(state)

    def encode(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Returns the levels of records, uint8; raises ValueError if they are not."""
        if values.dtype != np.uint8:
            raise ValueError(f"images are levels of type uint8, not {values.dtype}")
        return values

    def describe(self, table: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Writes the leads' table from labels (ValueError where one lacks) and `PROBLEMS`; returns table and facts."""
        reasons = table[["ecg_id"]].merge(pd.DataFrame({"lead": LEADS}), how="cross")
        reasons["reason"] = [reason for problems in table[PROBLEMS] for reason in problems]
        leads = reasons.merge(self.labels, on=["ecg_id", "lead"], how="left", validate="one_to_one")
        if leads["clean"].isna().any():
            raise ValueError("some records of the store have no labels of noise")
        leads[list(LABEL_COLUMNS)] = leads[list(LABEL_COLUMNS)].astype(bool)
        leads["unusable"] = leads["reason"] != ""
        leads[list(LEAD_COLUMNS)].to_parquet(folder / "leads.parquet", index=False)
        return table.drop(columns=PROBLEMS), {
            "format": SCALOGRAM_FORMAT,
            "n_records": len(table),
            "leads": list(LEADS),
            "height": HEIGHT,
            "width": WIDTH,
            "scalogram": dict(self.scalogram),
        }


class ScalogramStore(StoreBase):
    """A store of scalograms opened for reading; its array holds levels 0 to 255, uint8, shape (N, 12, 32, 256).

    Attributes:
        leads: One row per record and lead, in the order of the array; columns `LEAD_COLUMNS`.
    """

    form = ImageForm
    format = SCALOGRAM_FORMAT
    kind = "store of scalograms"
    command = "noise_quant.compute_scalograms"

    def __init__(self, path: Path, values: NDArray[Any], table: pd.DataFrame, manifest: dict[str, Any]) -> None:
        """Wraps what `open` has read, and reads the leads' table."""
        super().__init__(path, values, table, manifest)
        self.leads = read_table(path / "leads.parquet")
        _check_leads(self.leads, table)

    @classmethod
    def record_shape(cls, manifest: Mapping[str, Any]) -> tuple[int, ...]:
        """Returns the shape of a record; raises an error as in `StoreBase` where the manifest is wrong."""
        ScalogramSettings(**manifest["scalogram"])
        return RECORD_SHAPE

    @property
    def scalogram(self) -> ScalogramSettings:
        """Settings of the scalograms that made the images."""
        return ScalogramSettings(**self.manifest["scalogram"])

    def images(self, rows: ArrayLike, lead_indices: ArrayLike) -> NDArray[np.uint8]:
        """Reads images of records (their rows, shape (n,)) and leads (indices in `LEADS`, shape (n,)).

        Levels 0 to 255, rows from the highest to the lowest frequency, shape (n, 32, 256).
        """
        return np.asarray(self.values[np.asarray(rows, dtype=np.int64), np.asarray(lead_indices, dtype=np.int64)])

    def lead_rows(self) -> pd.DataFrame:
        """Returns `leads` with the `split` and `strat_fold` of its record, joined by `ecg_id`, in the same order."""
        folds = self.table[["ecg_id", "split", "strat_fold"]]
        return self.leads.merge(folds, on="ecg_id", how="left", validate="many_to_one")


def write_scalogram_store(
    path: str | Path,
    images: NDArray[np.uint8],
    table: pd.DataFrame,
    labels: pd.DataFrame,
    scalogram: ScalogramSettings | None = None,
    problems: list[list[str]] | None = None,
) -> ScalogramStore:
    """Writes a small store in one call, atomically, as `StoreForm.write`, and opens it.

    Args:
        path: Folder of the store.
        images: Levels 0 to 255, shape (N, 12, 32, 256).
        table: One row per record with `ecg_id`; columns of every store are filled in where absent.
        labels: Labels of the leads, as `noise_quant.data.noise_labels.lead_labels` gives them.
        scalogram: Settings that made the images; by default those of our models.
        problems: Why each lead is unusable, a list of 12 reasons per record; by default all leads are usable.
    """
    reasons = problems or [[""] * len(LEADS) for _ in range(len(table))]
    records = table.copy()
    records[PROBLEMS] = pd.Series(reasons, index=table.index, dtype=object)
    form = ImageForm(labels, asdict(scalogram or ScalogramSettings()))
    form.write(Path(path), images, records, {})
    return ScalogramStore.open(path)


def _check_leads(leads: pd.DataFrame, table: pd.DataFrame) -> None:
    """Raises ValueError unless the leads' table has a row for each record and lead, in that order."""
    absent = [column for column in LEAD_COLUMNS if column not in leads]
    keys = np.repeat(table["ecg_id"].to_numpy(), len(LEADS))
    if absent or not np.array_equal(leads["ecg_id"], keys) or list(leads["lead"]) != list(LEADS) * len(table):
        raise ValueError("leads.parquet does not belong to the store's table: make the store again")
