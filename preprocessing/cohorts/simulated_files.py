"""Small folders of simulated recordings, laid out as PTB-XL, CinC Challenge 2011 and NSTDB are, for smoke runs.

What is in them has nothing to do with patients: the numbers that come of them say that every step runs, and no more.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import wfdb
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.ecg.statements import STATEMENTS
from einthoven.run.files import write_json
from preprocessing.cohorts.nstdb import SOURCE_RATE as NSTDB_RATE
from preprocessing.cohorts.simulator import simulate_ecg

FOLDS: tuple[int, ...] = (1, 2, 3, 9, 4, 10, 5, 10, 6, 9, 7, 10, 8, 9, 10)
"""Folds of the records in turn: eight of fifteen train, three validate, four test."""
CODES: tuple[tuple[str, ...], ...] = (("NORM", "SR"), ("AFIB",), ("CLBBB", "SR"), ("CRBBB", "SR"))
"""Statements of the records in turn; those with AFIB fibrillate."""
NOISY: dict[str, tuple[int, str]] = {
    "static_noise": (3, "I-V1"),
    "baseline_drift": (4, "V1,V2"),
    "burst_noise": (5, "alles"),
}
"""Every so many records one has noise in these leads: PTB-XL's column, how many records, and its text."""
MARKER = "synthetic.json"

_LOW_RATE = 100
_CINC_RATE = 500
_CINC_FIRST = 1001


def write_synthetic_files(folder: str | Path, n_records: int = 45, seed: int = 0) -> Path:
    """Writes `ptb-xl`, `cinc2011` and `nstdb` into a folder; one that holds them already is left as it is.

    Args:
        folder: Where to write.
        n_records: Records of PTB-XL's copy, each 10 s at 100 Hz; ValueError below 15, as a split might be empty.
        seed: Seed.
    """
    folder = Path(folder)
    if n_records < len(FOLDS):
        raise ValueError(f"{n_records} records are too few for three splits: simulate at least {len(FOLDS)}")
    if (folder / MARKER).is_file():
        return folder
    write_ptbxl_files(folder / "ptb-xl", n_records, seed)
    write_cinc2011_files(folder / "cinc2011", seed=seed + 1)
    write_nstdb_files(folder / "nstdb", seed=seed + 2)
    write_json(folder / MARKER, {"n_records": n_records, "seed": seed})
    return folder


def write_ptbxl_files(root: Path, n_records: int, seed: int = 0) -> None:
    """Writes a folder like PTB-XL's: its two tables and 100 Hz files, with noise where the table says so.

    The kinds of ECG and the folds of the records take turns.
    """
    rng = np.random.default_rng(seed)
    keys = np.arange(1, n_records + 1)
    codes = [CODES[int(rng.integers(len(CODES)))] for _ in keys]
    sinus, fibrillating = (
        simulate_ecg(n_records, _LOW_RATE, seed=seed, rhythm=rhythm).astype(np.float64) for rhythm in ("sinus", "af")
    )
    table = pd.DataFrame({"ecg_id": keys, "patient_id": 100.0 + keys, "age": 50.0, "sex": 1.0})
    table["scp_codes"] = [str(dict.fromkeys(codes_of, 100.0)) for codes_of in codes]
    table["strat_fold"] = [FOLDS[index % len(FOLDS)] for index in range(n_records)]
    for column in (*NOISY, "electrodes_problems"):
        every, text = NOISY.get(column, (n_records + 1, ""))
        table[column] = [text if key % every == 0 else "" for key in keys]
    names = [f"records100/00000/{key:05d}_lr" for key in keys]
    time = np.arange(sinus.shape[-1]) / _LOW_RATE
    for index, name in enumerate(names):
        ecg = (fibrillating if "AFIB" in codes[index] else sinus)[index]
        if table.loc[index, "static_noise"]:
            ecg[:7] += 0.1 * rng.standard_normal(ecg[:7].shape)
        if table.loc[index, "baseline_drift"]:
            ecg[6:8] += 1.5 * np.sin(2 * np.pi * 0.6 * time + rng.uniform(0, 6))
        if table.loc[index, "burst_noise"]:
            ecg += np.where((time > 4) & (time < 6), 1.0, 0.0) * rng.standard_normal(ecg.shape)
        write_wfdb(root / name, ecg, _LOW_RATE)
    table["filename_lr"] = names
    table["filename_hr"] = [name.replace("100/", "500/").replace("_lr", "_hr") for name in names]
    table.to_csv(root / "ptbxl_database.csv", index=False)
    pd.DataFrame({"description": "simulated"}, index=list(STATEMENTS)).to_csv(root / "scp_statements.csv")


def write_cinc2011_files(root: Path, n_records: int = 10, seed: int = 1) -> None:
    """Writes a folder like CinC 2011's set a: every other record is unacceptable, with a lead off and noise."""
    rng = np.random.default_rng(seed)
    listed: dict[str, list[int]] = {"acceptable": [], "unacceptable": []}
    for index, ecg in enumerate(simulate_ecg(n_records, _CINC_RATE, seed=seed, rhythm="sinus").astype(np.float64)):
        key = _CINC_FIRST + index
        if index % 2:
            ecg[6] = 0.0
            ecg[:3] += rng.standard_normal(ecg[:3].shape)
        listed["unacceptable" if index % 2 else "acceptable"].append(key)
        write_wfdb(root / "set-a" / str(key), ecg, _CINC_RATE, gain=200.0)
    for name, keys in listed.items():
        (root / f"RECORDS-{name}").write_text("".join(f"{key}\n" for key in keys), encoding="utf-8")


def write_nstdb_files(root: Path, duration: float = 100.0, seed: int = 2) -> None:
    """Writes a folder like NSTDB's: two channels each of slow waves (bw), waves and steps (em) or white noise (ma)."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(duration * NSTDB_RATE)) / NSTDB_RATE
    slow = np.stack([np.sin(2 * np.pi * 0.31 * time), np.sin(2 * np.pi * 0.23 * time + 1)])
    white = rng.standard_normal(slow.shape)
    steps = np.repeat(rng.standard_normal((2, round(duration))), NSTDB_RATE, axis=1)
    noises = {"bw": 2.5 * slow + 0.05 * white, "em": slow + steps + 0.2 * white, "ma": 0.5 * white}
    for name, noise in noises.items():
        write_wfdb(root / name, noise, NSTDB_RATE, leads=("noise1", "noise2"), gain=200.0)
        header = root / f"{name}.hea"  # NSTDB's own headers state no gain
        header.write_text(header.read_text(encoding="utf-8").replace("200.0(0)/mV", "0"), encoding="utf-8")


def write_wfdb(
    path: Path, ecg: NDArray[np.floating], rate: int, leads: Sequence[str] = LEADS, gain: float = 1000.0
) -> None:
    """Writes a WFDB record of 16 bits.

    Args:
        path: The record, without extension; missing folders are made.
        ecg: Signals in mV, NaN where nothing was measured, shape (C, L).
        rate: Sampling rate in Hz.
        leads: Names of the signals.
        gain: Units per mV.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digital = np.where(np.isnan(ecg), -32768, np.rint(np.nan_to_num(ecg) * gain)).astype(np.int64).T
    wfdb.wrsamp(
        path.name,
        fs=rate,
        units=["mV"] * len(leads),
        sig_name=list(leads),
        d_signal=digital,
        fmt=["16"] * len(leads),
        adc_gain=[gain] * len(leads),
        baseline=[0] * len(leads),
        write_dir=str(path.parent),
    )
