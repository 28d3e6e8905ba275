"""A small copy of PTB-XL, made of simulated ECGs, with the data set's own layout."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.statements import STATEMENTS
from preprocessing.cohorts.simulator import simulate_ecg
from tests.wfdb_files import write_wfdb

N_RECORDS = 10
"""Records 1 to 6 have files at both rates, 7 to 9 at 100 Hz only, 10 none."""


@pytest.fixture
def ptbxl_folder(tmp_path, whole_ptbxl_folder) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(whole_ptbxl_folder, tmp_path / "ptb-xl"))


@pytest.fixture(scope="session")
def whole_ptbxl_folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "ptb-xl"
    high = simulate_ecg(6, sampling_rate=500, rhythm="sinus")
    low = simulate_ecg(9, sampling_rate=100, rhythm="sinus")
    for index in range(9):
        if index < 6:
            write_wfdb(root / "records500" / "00000", f"{index + 1:05d}_hr", high[index], 500)
        write_wfdb(root / "records100" / "00000", f"{index + 1:05d}_lr", low[index], 100)
    keys = np.arange(1, N_RECORDS + 1)
    table = pd.DataFrame({"ecg_id": keys, "patient_id": 100.0 + keys, "age": 50.0, "sex": 1.0})
    table["scp_codes"] = "{'NORM': 100.0, 'SR': 0.0}"
    for column in ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems"):
        table[column] = ""
    table.loc[0, "static_noise"] = ", I-V1,  "
    table["strat_fold"] = keys
    table["filename_lr"] = [f"records100/00000/{key:05d}_lr" for key in keys]
    table["filename_hr"] = [f"records500/00000/{key:05d}_hr" for key in keys]
    table.to_csv(root / "ptbxl_database.csv", index=False)
    pd.DataFrame({"description": "x"}, index=list(STATEMENTS)).to_csv(root / "scp_statements.csv")
    return root
