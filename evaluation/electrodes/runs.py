"""`evaluate_swaps`: record after record, each kept in a file of its own, so that a killed run goes on."""

import ast
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from diffusion_prior.checkpoint import shared_denoiser
from einthoven.run.registry import check_choice
from evaluation.electrodes.few_leads import evaluate_few_leads
from evaluation.electrodes.report import Draws, write_report
from evaluation.electrodes.scoring import decision_table, score_table
from evaluation.report import Report
from reconstruction.electrodes.checking import packaged
from reconstruction.electrodes.evidence import Judge
from reconstruction.electrodes.fitting.calibrating import fold_records, look_at
from reconstruction.electrodes.fitting.trials import Trials

RHYTHMS = {"AFIB": "atrial fibrillation", "AFLT": "atrial flutter", "PACE": "paced", "STACH": "sinus tachycardia"}


def evaluate_swaps(
    folder: Path,
    *,
    judged: str,
    source: str,
    fold: int,
    ptbxl_path: str,
    wfdb_path: str,
    n_records: int | None,
    specificity: float,
    n_resamples: int,
    seed: int,
    device: str,
) -> Report:
    """Swaps, checks and scores records; arguments are the keys of `configs/evaluate_electrodes.yaml`."""
    if source not in ("ptbxl", "external"):
        raise ValueError(f"source is {source!r}: choose ptbxl or external")
    check_choice("judged", judged, ["eight", "few"])
    root = Path(ptbxl_path)
    if source == "ptbxl":
        paths, groups = fold_records(root, [fold]), _diagnoses(root)
    else:
        paths = sorted(header.with_suffix("") for header in Path(wfdb_path).rglob("*.hea"))
        groups = {path.name: path.relative_to(wfdb_path).parts[0] for path in paths}
    paths = list(islice(paths, n_records))
    if not paths:
        raise ValueError(f"no record to evaluate on: look at {'ptbxl_path' if source == 'ptbxl' else 'wfdb_path'}")
    settings = {"specificity": specificity, "n_resamples": n_resamples, "seed": seed}
    about = f"source {source}{f', fold {fold}' if source == 'ptbxl' else ''}; seed {seed}"
    if judged == "few":
        return evaluate_few_leads(paths, folder, [about], specificity, Draws(n_resamples, seed))
    calibration = packaged()
    judge = Judge(shared_denoiser(device=device), np.array(calibration.law), seed)
    trials, unusable = look_at(paths, Trials(judge, folder / "parts", seed))
    if not trials:
        raise ValueError(f"none of {len(paths)} records can be used: {unusable[0]}")
    notes = [f"{about}; {len(unusable)} not used", *unusable]
    scores, decisions = score_table(trials), decision_table(trials, calibration)
    return write_report(scores, decisions, groups, calibration, settings, notes, folder)


def _diagnoses(root: Path) -> dict[str, str]:
    """Returns the diagnostic classes and the rhythm of records of PTB-XL, by the name of their file."""
    table = pd.read_csv(root / "ptbxl_database.csv")
    classes = pd.read_csv(root / "scp_statements.csv", index_col=0)["diagnostic_class"].dropna()
    found = {}
    for name, codes in zip(table["filename_lr"], table["scp_codes"], strict=True):
        own = list(ast.literal_eval(codes))
        said = {str(classes[code]) for code in own if code in classes} | {RHYTHMS[c] for c in own if c in RHYTHMS}
        found[Path(name).name] = ", ".join(sorted(said))
    return found
