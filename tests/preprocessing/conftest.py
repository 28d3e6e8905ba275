"""A small copy of PTB-XL, made of simulated ECGs, with the data set's own layout."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb

from preprocessing.leads import LEADS
from preprocessing.statements import STATEMENTS
from preprocessing.synthetic import simulate_ecg

N_RECORDS = 10
"""Records 1 to 6 have files at both rates, 7 to 9 at 100 Hz only, 10 none."""


def write_wfdb(folder: Path, name: str, ecg, rate: int, leads=LEADS, fmt: str = "16") -> Path:
    """Writes an ECG (leads, samples) in mV as a WFDB record of 1000 units/mV."""
    folder.mkdir(parents=True, exist_ok=True)
    digital = np.where(np.isnan(ecg), -32768, np.rint(np.nan_to_num(ecg) * 1000)).astype(np.int64).T
    wfdb.wrsamp(
        name,
        fs=rate,
        units=["mV"] * len(leads),
        sig_name=[lead.upper() for lead in leads],
        d_signal=digital,
        fmt=[fmt] * len(leads),
        adc_gain=[1000.0] * len(leads),
        baseline=[0] * len(leads),
        write_dir=str(folder),
    )
    return folder / name


@pytest.fixture
def write_record():
    return write_wfdb


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
