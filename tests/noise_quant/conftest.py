"""Small copies of PTB-XL, of CinC 2011 and of NSTDB, made of simulated signals, and a tiny model with random weights.

PTB-XL's copy, `noisy_ptbxl`: records 1-12 of folds 1-10, 9, 10, all with 100 Hz files; 1, 2 and 9-12 have 500 Hz files
too. Record 1 has static noise in I-V1, 2 an electrode's problem in V6, 3 a text that nobody can read, 9 (fold 9) drift
in V1 and V2, 12 (fold 10) a burst in all leads; lead III of record 10 (fold 10) is flat. All else is clean.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import wfdb

from einthoven.ecg.leads import LEADS
from einthoven.ecg.statements import STATEMENTS
from preprocessing.cohorts.simulator import simulate_ecg

FOLDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 9, 10)
HIGH_RATE_RECORDS = (1, 2, 9, 10, 11, 12)
TEXTS = {
    (1, "static_noise"): ", I-V1,  ",
    (2, "electrodes_problems"): "V6",
    (3, "burst_noise"): "schwer zu sagen",
    (9, "baseline_drift"): ", V1,V2",
    (12, "burst_noise"): "alles",
}
ACCEPTABLE = (1001, 1002, 1004, 1005, 1007, 1008)
UNACCEPTABLE = (1003, 1006)
NSTDB_RATE = 360
NSTDB_S = 100.0


def write_wfdb(folder: Path, name: str, signal, rate: int, names=LEADS, gain: float = 1000.0) -> Path:
    """Writes signals (n, L) in mV as a WFDB record of `gain` units/mV, NaN as missing."""
    folder.mkdir(parents=True, exist_ok=True)
    digital = np.where(np.isnan(signal), -32768, np.rint(np.nan_to_num(signal) * gain)).astype(np.int64).T
    wfdb.wrsamp(
        name,
        fs=rate,
        units=["mV"] * len(names),
        sig_name=list(names),
        d_signal=digital,
        fmt=["16"] * len(names),
        adc_gain=[gain] * len(names),
        baseline=[0] * len(names),
        write_dir=str(folder),
    )
    return folder / name


def noisy_records(rate: int):
    """The simulated records (12, 12, L) in mV, with noise in the leads whose text says so."""
    ecg = simulate_ecg(len(FOLDS), rate, rhythm="sinus").astype(np.float64)
    rng = np.random.default_rng(0)
    time = np.arange(ecg.shape[-1]) / rate
    ecg[0, :7] += 0.2 * rng.standard_normal(ecg[0, :7].shape)
    ecg[8, 6:8] += 1.5 * np.sin(2 * np.pi * 0.6 * time)
    ecg[11] += np.where((time > 4) & (time < 6), 2.0, 0.0) * rng.standard_normal(ecg[11].shape)
    ecg[9, 2] = 0.0
    return ecg


@pytest.fixture(scope="session")
def noisy_ptbxl(tmp_path_factory) -> Path:
    """PTB-XL's folder: tables and files as downloaded."""
    root = tmp_path_factory.mktemp("noise") / "ptb-xl"
    for rate, suffix in ((500, "hr"), (100, "lr")):
        for index, ecg in enumerate(noisy_records(rate)):
            if rate == 100 or index + 1 in HIGH_RATE_RECORDS:
                write_wfdb(root / f"records{rate}" / "00000", f"{index + 1:05d}_{suffix}", ecg, rate)
    keys = np.arange(1, len(FOLDS) + 1)
    table = pd.DataFrame({"ecg_id": keys, "patient_id": 100.0 + keys, "age": 50.0, "sex": 1.0})
    table["scp_codes"] = "{'NORM': 100.0, 'SR': 0.0}"
    for column in ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems"):
        table[column] = [TEXTS.get((int(key), column), "") for key in keys]
    table["strat_fold"] = FOLDS
    table["filename_lr"] = [f"records100/00000/{key:05d}_lr" for key in keys]
    table["filename_hr"] = [f"records500/00000/{key:05d}_hr" for key in keys]
    table.to_csv(root / "ptbxl_database.csv", index=False)
    pd.DataFrame({"description": "x"}, index=list(STATEMENTS)).to_csv(root / "scp_statements.csv")
    return root


@pytest.fixture(scope="session")
def cinc2011_folder(tmp_path_factory) -> Path:
    """CinC 2011's folder: six acceptable records; in 1003 lead V1 is flat, in 1006 all are noise at the rail."""
    root = tmp_path_factory.mktemp("noise") / "cinc2011"
    ecg = simulate_ecg(8, 500, seed=1, rhythm="sinus").astype(np.float64)
    ecg[2, 6] = 0.0
    ecg[5] = np.clip(20 * np.random.default_rng(1).standard_normal(ecg[5].shape), -10, 10)
    for key, signal in zip(range(1001, 1009), ecg, strict=True):
        write_wfdb(root / "set-a", str(key), signal, 500, gain=200.0)
    for name, listed in (("acceptable", ACCEPTABLE), ("unacceptable", UNACCEPTABLE)):
        (root / f"RECORDS-{name}").write_text("".join(f"{key}\n" for key in listed))
    return root


@pytest.fixture(scope="session")
def nstdb_folder(tmp_path_factory) -> Path:
    """NSTDB's folder: two channels at 360 Hz in `bw`, `em`, `ma`, uncalibrated (gain 0), 100 s."""
    root = tmp_path_factory.mktemp("noise") / "nstdb"
    root.mkdir()
    rng = np.random.default_rng(2)
    time = np.arange(round(NSTDB_S * NSTDB_RATE)) / NSTDB_RATE
    slow = np.stack([np.sin(2 * np.pi * 0.31 * time), np.sin(2 * np.pi * 0.23 * time + 1)])
    white = rng.standard_normal(slow.shape)
    steps = np.repeat(rng.standard_normal((2, 100)), NSTDB_RATE, axis=1)
    for name, noise in {"bw": 500 * slow, "em": 200 * slow + 200 * steps + 40 * white, "ma": 100 * white}.items():
        wfdb.wrsamp(
            name,
            fs=NSTDB_RATE,
            units=["mV"] * 2,
            sig_name=["noise1", "noise2"],
            d_signal=np.rint(noise).astype(np.int64).T,
            fmt=["16"] * 2,
            adc_gain=[200.0] * 2,
            baseline=[0] * 2,
            write_dir=str(root),
        )
        header = root / f"{name}.hea"
        header.write_text(header.read_text().replace("200.0(0)/mV", "0"))
    return root


@pytest.fixture(scope="session")
def tiny_model():
    """A latent diffusion model of ours at a tiny size, with random weights in its last layers too."""
    from noise_quant.model.checkpoint import build_model

    torch.manual_seed(0)
    networks = {
        "ae": {"width": 8, "latent_channels": 2, "n_blocks": 1},
        "unet": {"in_channels": 2, "channels": [8, 16]},
    }
    model = build_model({"kind": "latent", "size": "small", "scaling_factor": 1.0, **networks})
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    model.facts = {"name": "tiny"}
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_model_file(tiny_model, tmp_path_factory) -> Path:
    """The tiny model's weights as a file of ours."""
    from noise_quant.model.checkpoint import save_model

    path = tmp_path_factory.mktemp("weights") / "tiny_scalogram.safetensors"
    save_model(path, tiny_model)
    return path
