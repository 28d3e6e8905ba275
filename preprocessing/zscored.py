"""PTB-XL records that another project had z-scored lead by lead, as a store with imputed amplitudes.

One file `train.npz`: `ecg` (N, 12, 1000) int16, 2000 units per standard deviation, 100 Hz, band-pass 0.5-40 Hz;
`ecg_id`; `strat_fold`; `scp_codes`, in PTB-XL's syntax. Each record enters the store `n_draws` times with different
amplitudes (see `preprocessing.amplitudes`), under the key `ecg_id + draw * 10,000,000`. Above 40 Hz there is nothing in
them.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import signal

from einthoven.ecg import filters
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, to_twelve
from einthoven.ecg.statements import encode
from einthoven.run.hashing import hash_file
from preprocessing.amplitudes import (
    MAX_LIMB_RESIDUAL,
    SCALES,
    fit_amplitudes,
    impute_amplitudes,
    limb_scales,
)
from preprocessing.cohorts.ptbxl import parse_statements
from preprocessing.cohorts.splits import split_of
from preprocessing.store.preparation import PROCESSING_VERSION, settled_path
from preprocessing.store.store import Store, write_store

UNITS_PER_DEVIATION = 2000.0
CLIPPED = 31_999
"""Absolute value in units from which a z-scored sample counts as clipped."""
SOURCE_RATE = 100
LOW_PASS_HZ = 40.0
KEY_STEP = 10_000_000
STANDARD = {"name": "zscored", "n_draws": 4, "seed": 0}
"""Settings whose store lies where it is asked for; others get a hash behind the folder's name."""


@dataclass(frozen=True)
class ZscoredSummary:
    """What a run has done.

    Attributes:
        store: Folder of the store.
        up_to_date: Whether the store was there already, made from the same inputs.
        n_records: Number of records used.
        n_skipped: Number of records left out.
        n_draws: Amplitude versions of each record.
        r2: Cross-validated R2 of the logarithm of each imputed scale.
        seconds: Wall-clock time of this run.
    """

    store: Path
    up_to_date: bool
    n_records: int
    n_skipped: int
    n_draws: int
    r2: dict[str, float]
    seconds: float

    def describe(self) -> str:
        """Says in words what was done."""
        done = "is there already, made from the same inputs: nothing to do" if self.up_to_date else "written"
        r2 = ", ".join(f"{name} {value:.2f}" for name, value in self.r2.items())
        return (
            f"{self.store} {done}\n  {self.n_records} records in {self.n_draws} amplitude versions, "
            f"{self.n_skipped} left out\n  cross-validated R2 of the log amplitudes: {r2}\n  {self.seconds:.1f} s"
        )


def prepare_zscored(
    raw_path: str | Path, database_path: str | Path, reference_path: str | Path, *, n_draws: int = 4, seed: int = 0
) -> ZscoredSummary:
    """Prepares a store of the z-scored records.

    Args:
        raw_path: The file `train.npz`.
        database_path: Folder of the store.
        reference_path: Store of PTB-XL at 100 Hz, whose training records teach the amplitudes.
        n_draws: Amplitude versions of each record.
        seed: Seed of the draws.

    Returns:
        What was done.

    Raises:
        ValueError: If the file or the reference is missing or not as described, or a record is not of folds 1 to 8.
    """
    start = time.perf_counter()
    source = Path(raw_path)
    if n_draws < 1:
        raise ValueError(f"dataset.n_draws must be at least 1, not {n_draws}")
    if not source.is_file():
        raise ValueError(f"no file {source}; correct dataset.raw_path")
    reference = Store.open(reference_path)
    inputs: dict[str, Any] = {
        "settings": {"name": "zscored", "n_draws": n_draws, "seed": seed},
        "sources": {source.name: hash_file(source), "reference": reference.manifest_hash},
        "processing_version": PROCESSING_VERSION,
    }
    target = settled_path(Path(database_path), inputs["settings"], STANDARD)
    if (target / "manifest.json").is_file():
        manifest = Store.open(target).manifest
        if manifest.get("inputs") == inputs:
            return _summary(target, True, manifest, start)
    ecg, table = read_zscored(source)
    scales, residual = limb_scales(ecg)
    good = (residual <= MAX_LIMB_RESIDUAL) & ~np.isnan(scales).any(axis=1) & ~table.pop("clipped").to_numpy()
    model = fit_amplitudes(*reference_ecg(reference), seed)
    kept = table[good].reset_index(drop=True)
    labels = np.stack([encode(codes) for codes in kept["statements"]])
    deviations = impute_amplitudes(ecg[good], labels, model, kept["ecg_id"].to_numpy(), n_draws, seed)
    versions = pd.concat([kept.assign(draw=draw) for draw in range(n_draws)], ignore_index=True)
    versions["original_id"] = versions["ecg_id"]
    versions["ecg_id"] += versions["draw"] * KEY_STEP
    steps = (
        *filters.STEPS[-2:-1],
        "z-scored leads, band-pass 0.5-40 Hz before",
        "limb scales recovered, one limb scale and V1-V6 imputed by ridge regression with residual draws",
    )
    notes = {
        "records": int(good.sum()),
        "left out (clipped, or limb leads that fit no common scale)": int((~good).sum()),
        "r2": {name: round(float(value), 4) for name, value in zip(SCALES, model.r2, strict=True)},
    }
    manifest = {"inputs": inputs, "steps": list(steps), "notes": notes}
    store = write_store(target, scaled_ecg(ecg[good], deviations), versions, SOURCE_RATE, LEADS, manifest)
    return _summary(target, False, store.manifest, start)


def read_zscored(path: Path) -> tuple[NDArray[np.float64], pd.DataFrame]:
    """Reads the file of z-scored records, without unpickling.

    Args:
        path: The file.

    Returns:
        ECGs after this project's high-pass, z-scored, leads in the order of `LEADS`, shape (N, 12, 1000); and a table
        with `ecg_id`, `strat_fold`, `split`, `statements`, `source`, `source_rate`, `flat_leads` and `clipped`.

    Raises:
        ValueError: If an array is missing, holds objects, has another shape, or a record is not of folds 1 to 8.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            units, keys, folds, codes = (archive[name] for name in ("ecg", "ecg_id", "strat_fold", "scp_codes"))
    except (KeyError, ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path} lacks an array or is damaged ({error}); see preprocessing/zscored.py") from error
    if units.ndim != 3 or units.shape[1] != len(LEADS) or not len(units) == len(keys) == len(folds) == len(codes):
        raise ValueError(f"{path} has ecg of shape {units.shape} for {len(keys)} keys; expected (N, 12, L)")
    if not ((folds >= 1) & (folds <= 8)).all():
        raise ValueError(f"{path} has records beyond folds 1 to 8; only training records may be imputed")
    parsed = [parse_statements(code) for code in codes]
    problems = [problem for _, problem in parsed if problem]
    if problems:
        raise ValueError(f"{path}: {problems[0]}")
    clean = filters.clean_signal(units / UNITS_PER_DEVIATION, SOURCE_RATE, SOURCE_RATE)
    table = pd.DataFrame({"ecg_id": keys.astype(np.int64), "strat_fold": folds.astype(np.int64)})
    table["split"] = [split_of(int(fold)) for fold in folds]
    table["statements"] = [list(statements) for statements, _ in parsed]
    table["source"] = "zscored"
    table["source_rate"] = float(SOURCE_RATE)
    table["flat_leads"] = ""
    table["clipped"] = (np.abs(units.astype(np.int32)) >= CLIPPED).any(axis=(1, 2))
    return clean / clean.std(axis=-1, keepdims=True), table


def reference_ecg(store: Store) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Returns the training ECGs from which amplitudes are learnt, low-passed like the z-scored ones.

    Args:
        store: Store of PTB-XL at 100 Hz.

    Returns:
        ECGs in mV without flat leads, leads in the order of `LEADS`, shape (N, 12, L); and their statements, multi-hot,
        shape (N, 71).

    Raises:
        ValueError: If the store has another rate.
    """
    if store.sampling_rate != SOURCE_RATE:
        raise ValueError(f"{store.path} has {store.sampling_rate:g} Hz; amplitudes are learnt at {SOURCE_RATE} Hz")
    rows = store.rows("train")
    ecg = store.read(rows, LEADS).astype(np.float64)
    good = (np.ptp(ecg, axis=-1) > 0).all(axis=1)
    sections = signal.butter(4, LOW_PASS_HZ, "lowpass", fs=SOURCE_RATE, output="sos")
    return signal.sosfiltfilt(sections, ecg[good], axis=-1), store.labels()[rows[good]]


def scaled_ecg(ecg: NDArray[np.float64], deviations: NDArray[np.float64]) -> NDArray[np.float32]:
    """Gives z-scored ECGs amplitudes; III, aVR, aVL and aVF are derived from I and II.

    Args:
        ecg: Z-scored ECGs, leads in the order of `LEADS`, shape (N, 12, L).
        deviations: Standard deviations in mV, shape (N, n_draws, 12).

    Returns:
        ECGs in mV, all records of the first draw, then of the second, ..., shape (n_draws * N, 12, L), float32.
    """
    independent = [LEADS.index(lead) for lead in INDEPENDENT_LEADS]
    eight = ecg[None][:, :, independent] * deviations.swapaxes(0, 1)[:, :, independent, None]
    return to_twelve(eight.reshape(-1, *eight.shape[2:]).astype(np.float32))


def _summary(path: Path, up_to_date: bool, manifest: dict[str, Any], start: float) -> ZscoredSummary:
    """Describes a finished store."""
    counts = [int(value) for value in manifest["notes"].values() if isinstance(value, int)]
    n_draws = int(manifest["inputs"]["settings"]["n_draws"])
    seconds = time.perf_counter() - start
    return ZscoredSummary(path, up_to_date, counts[0], counts[1], n_draws, manifest["notes"]["r2"], seconds)
