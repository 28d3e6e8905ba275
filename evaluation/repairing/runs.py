"""`evaluate_repairs`: record after record, each kept in a file of its own, so that a killed run goes on."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.filters import clean_signal
from einthoven.report.tables import write_parquet
from einthoven.run.progress import show_progress
from evaluation.repairing.baselines import RATE_HZ, RidgeFromOthers
from evaluation.repairing.report import write_report
from evaluation.repairing.scoring import Scored, score_record
from evaluation.report import Report
from preprocessing.clean_records import CleanRecord, ptbxl_records, wfdb_records
from preprocessing.damage import damage_noise
from reconstruction.repairs.repairing import Tools

PARTS = "parts"
TABLES = ("pieces", "errors", "waves")


def evaluate_repairs(
    folder: Path,
    *,
    source: str,
    fold: int,
    ptbxl_path: str,
    wfdb_path: str,
    nstdb_path: str,
    half: str,
    n_records: int | None,
    n_fit: int,
    n_samples: int,
    n_resamples: int,
    seed: int,
    device: str,
) -> Report:
    """Damages, repairs and scores records; arguments are the keys of `configs/evaluate_repair.yaml`."""
    if source not in ("ptbxl", "external"):
        raise ValueError(f"source is {source!r}: choose ptbxl or external")
    root = Path(ptbxl_path)
    records = ptbxl_records(root, fold) if source == "ptbxl" else wfdb_records(Path(wfdb_path))
    chosen = list(islice(records, n_records))
    if not chosen:
        raise ValueError(f"no record to evaluate on: look at {'ptbxl_path' if source == 'ptbxl' else 'wfdb_path'}")
    ridge = RidgeFromOthers.fit(
        clean_signal(record.signal, record.sampling_rate, RATE_HZ) for record in islice(_training(root), n_fit)
    )
    tools = Tools.load(n_samples, seed, device=device)

    @lru_cache(maxsize=4)
    def noise(rate: float) -> dict[str, NDArray[np.float64]]:
        return damage_noise(nstdb_path, rate, half)

    scored = []
    for record in _shown(chosen):
        parts = [folder / PARTS / f"{record.name.replace('/', '_')}.{name}.parquet" for name in TABLES]
        if not parts[-1].is_file():
            found = score_record(record, noise(record.sampling_rate), ridge, tools, seed)
            for name, part in zip(TABLES, parts, strict=True):
                write_parquet(getattr(found, name), part)
        scored.append(Scored(*(pd.read_parquet(part) for part in parts)))
    notes = [
        f"source {source}{f', fold {fold}' if source == 'ptbxl' else ''}; noise of NSTDB's half {half}; seed {seed}",
        "all ECGs compared at 100 Hz, 0.6 to 50 Hz; a lead-second is bad where a quarter of it or more is damaged, and "
        "is not counted where less is",
        "the regression is told which leads are damaged; the filters are applied to the whole recording",
    ]
    return write_report(scored, folder, n_resamples, seed, notes)


def _shown(records: Sequence[CleanRecord]) -> Iterator[CleanRecord]:
    """Goes through records, and shows how far it has come."""
    with show_progress(len(records), "record") as bar:
        for record in records:
            yield record
            bar.update()


def _training(root: Path) -> Iterator[CleanRecord]:
    for fold in range(1, 9):
        yield from ptbxl_records(root, fold)
