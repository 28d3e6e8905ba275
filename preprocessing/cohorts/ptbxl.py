"""PTB-XL 1.0.3 as downloaded: its tables, its files, its split.

Wagner et al., PTB-XL, a large publicly available electrocardiography dataset, Scientific Data 7, 154 (2020),
https://doi.org/10.13026/kfzx-aw45. Folds 1-8 train, 9 validate, 10 test. All statements of a record count, whatever
their likelihood.
"""

import ast
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.checked_files import read_csv
from einthoven.ecg import filters
from einthoven.ecg.checks import flat_leads
from einthoven.ecg.leads import LEADS
from einthoven.ecg.statements import STATEMENTS, check_statements
from einthoven.run.hashing import hash_file
from preprocessing.cohorts.cohort import DURATION_S, Cohort
from preprocessing.cohorts.splits import split_of
from preprocessing.store.preparation import Inputs, Processed, Reader, RecordFile, read_file, wfdb_file

NOISE_COLUMNS: tuple[str, ...] = ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems")
COLUMNS: tuple[str, ...] = (
    *("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", "filename_lr", "filename_hr"),
    *NOISE_COLUMNS,
)
SOURCE_RATES: dict[str, int] = {"filename_hr": 500, "filename_lr": 100}


@dataclass(frozen=True)
class Ptbxl(Cohort):
    """PTB-XL as downloaded.

    Attributes:
        source_rate: "auto" takes the 500 Hz file of a record and, where it is absent and the store's rate is at most
            100 Hz, the 100 Hz file; 500 or 100 takes only such files.
        filtered: Whether to filter as published; otherwise the ECG is only resampled.
    """

    standard: ClassVar[Mapping[str, Any]] = {"name": "ptbxl", "source_rate": "auto", "filtered": True}
    full_size: ClassVar[int | None] = 21_799
    source_rate: Literal["auto", 500, 100] = "auto"
    filtered: bool = True

    def __post_init__(self) -> None:
        """Checks the values, raising ValueError."""
        if self.source_rate not in ("auto", 500, 100):
            raise ValueError(f"dataset.source_rate must be auto, 500 or 100, not {self.source_rate!r}")
        limit = 100 if self.source_rate == 100 else 500
        if not 50 <= self.sampling_rate <= limit:
            raise ValueError(
                f"dataset.sampling_rate must lie between 50 and {limit} Hz here, not {self.sampling_rate:g}"
            )

    def inputs(self, raw_path: str | Path) -> Inputs:
        """Lists everything that a store of PTB-XL is made from, records in the order of `ecg_id`.

        A record whose header is absent is not part of this copy of the data set: it is counted. A record whose header
        is there is expected to be whole.

        Args:
            raw_path: Folder with `ptbxl_database.csv`, `scp_statements.csv`, `records500` or `records100`.

        Raises:
            ValueError: If the tables are missing or not PTB-XL's, or no record is there.
        """
        root = Path(raw_path)
        table = read_table(root)
        files, absent, only_low = _find_files(root, table, self)
        if not files:
            raise ValueError(
                f"{root} holds none of the {len(table)} records of its table that this store could use; put "
                "records500 (or, for at most 100 Hz, records100) beside ptbxl_database.csv"
            )
        sources = {name: hash_file(root / name) for name in ("ptbxl_database.csv", "scp_statements.csv")}
        notes: dict[str, Any] = {"records in the table": len(table), "records absent from this copy": absent}
        if only_low:
            notes["records with a 100 Hz file only, not used"] = only_low
        steps = filters.STEPS if self.filtered else filters.STEPS[-1:]
        settings = {"name": "ptbxl", **asdict(self), "sampling_rate": float(self.sampling_rate)}
        known = table.drop(columns=["filename_lr", "filename_hr", "problem"])
        return Inputs(files, known, settings, sources, steps, notes)

    def reader(self, inputs: Inputs) -> Reader:
        """Returns what reads and processes a record."""
        return self.read

    def read(self, file: RecordFile) -> Processed:
        """Returns a record in mV, shape (12, L), filtered and at the store's rate; ValueError if it is broken.

        The column `flat_leads` has the leads without any change, joined by commas. A record with some leads off is
        kept, marked by this column; one of flat leads only is broken.
        """
        ecg = read_file(file, DURATION_S).ordered(LEADS)
        missing = [LEADS[index] for index in np.flatnonzero(np.isnan(ecg).any(axis=1))]
        if missing:
            raise ValueError(f"NaN in lead(s) {', '.join(missing)}")
        process = filters.clean_signal if self.filtered else filters.resample
        return Processed(process(ecg, file.source_rate, self.sampling_rate), mark_flat_leads(ecg))


def mark_flat_leads(ecg: NDArray[Any]) -> dict[str, str]:
    """Returns the column `flat_leads` of a record, shape (12, L); refuses one of flat leads only by a ValueError."""
    flat = flat_leads(ecg)
    if len(flat) == len(LEADS):
        raise ValueError("flat: no lead changes")
    return {"flat_leads": ",".join(flat)}


def read_table(root: Path) -> pd.DataFrame:
    """Reads PTB-XL's metadata from the folder of its two tables.

    Returns:
        One row per record, ascending in `ecg_id`: the columns of a store, `filename_lr`, `filename_hr`, and `problem`,
        the reason why the row itself is broken (empty mostly).

    Raises:
        ValueError: If the folder, a table or a column is missing, or keys, folds or statements are not PTB-XL's.
    """
    if not root.is_dir():
        raise ValueError(f"no folder {root}; give PTB-XL's folder, dataset.raw_path=<folder with ptbxl_database.csv>")
    for name in ("ptbxl_database.csv", "scp_statements.csv"):
        if not (root / name).is_file():
            raise ValueError(f"{root} lacks {name}; download PTB-XL 1.0.3 with its tables, or correct dataset.raw_path")
    codes = read_csv(root / "scp_statements.csv", "download it again", index_col=0).index
    if set(codes) != set(STATEMENTS):
        raise ValueError(f"{root}/scp_statements.csv lists other statements than PTB-XL 1.0.3; download it again")
    raw = read_csv(root / "ptbxl_database.csv", "download it again", low_memory=False)
    absent = [column for column in COLUMNS if column not in raw]
    if absent:
        raise ValueError(f"{root}/ptbxl_database.csv lacks column(s) {', '.join(absent)}; download PTB-XL 1.0.3 again")
    if not pd.api.types.is_integer_dtype(raw["ecg_id"]):
        raise ValueError(f"{root}/ptbxl_database.csv has an ecg_id that is no whole number; download it again")
    if raw["ecg_id"].duplicated().any() or not raw["strat_fold"].isin(range(1, 11)).all():
        raise ValueError(f"{root}/ptbxl_database.csv has repeated ecg_id or folds beyond 1 to 10; download it again")
    table = raw[list(COLUMNS)].sort_values("ecg_id", ignore_index=True)
    parsed = [parse_statements(text) for text in table.pop("scp_codes")]
    table["statements"] = [list(statements) for statements, _ in parsed]
    table["problem"] = [problem for _, problem in parsed]
    table["split"] = [split_of(int(fold)) for fold in table["strat_fold"]]
    table["source"] = "ptbxl"
    return table


def parse_statements(text: object) -> tuple[tuple[str, ...], str]:
    """Reads a text such as "{'NORM': 100.0, 'SR': 0.0}": the codes, and what is wrong (empty where nothing is)."""
    try:
        codes = ast.literal_eval(str(text))
        if not isinstance(codes, dict):
            raise ValueError("not a dictionary")
        return check_statements([str(code) for code in codes]), ""
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        return (), f"scp_codes cannot be read: {error}"


def _find_files(root: Path, table: pd.DataFrame, settings: Ptbxl) -> tuple[list[RecordFile], int, int]:
    """Returns the files to use, the number of absent records, and of those of which only the 100 Hz file is there."""
    columns = ["filename_hr", "filename_lr"]
    if settings.source_rate != "auto":
        columns = [column for column in columns if SOURCE_RATES[column] == settings.source_rate]
    elif settings.sampling_rate > SOURCE_RATES["filename_lr"]:
        columns = ["filename_hr"]
    files: list[RecordFile] = []
    absent = only_low = 0
    for row in table[["ecg_id", *SOURCE_RATES, "problem"]].to_dict("records"):
        found = next((file for column in columns if (file := _record_file(root, row, column)) is not None), None)
        if found is not None:
            files.append(found)
        elif _record_file(root, row, "filename_lr") is None:
            absent += 1
        else:
            only_low += 1
    return files, absent, only_low


def _record_file(root: Path, row: Mapping[Any, Any], column: str) -> RecordFile | None:
    """Returns the file that a column of a record's row names, or None where its header is absent."""
    name, ecg_id, rate = row[column], int(row["ecg_id"]), SOURCE_RATES[column]
    if not isinstance(name, str) or not name:
        return None
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return RecordFile(ecg_id, "", float(rate), "", f"the table points outside its folder ({name!r}): not read")
    return wfdb_file(root / name, ecg_id, rate, str(row["problem"]))
