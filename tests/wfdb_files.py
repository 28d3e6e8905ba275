"""WFDB records that tests write."""

from pathlib import Path

import numpy as np
import wfdb

from einthoven.ecg.leads import LEADS


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
