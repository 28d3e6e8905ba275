"""What a classifier of ECGs makes of records as they were, damaged, filtered and repaired."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.leads import lead_rows
from evaluation.classification.classifier import Classifier, load_classifier
from evaluation.classification.labels import find_classes
from evaluation.classification.scores import Predictions, compare_predictions, score_predictions
from evaluation.repairing.baselines import RATE_HZ
from evaluation.repairing.scoring import CLEAN, DAMAGED, ECGS
from preprocessing.cohorts.ptbxl import parse_statements


def find_classifier(path: str | Path) -> Classifier:
    """Reads a classifier of statements at the rate that ECGs are compared at; ValueError for another one."""
    classifier = load_classifier(path)
    if classifier.sampling_rate != RATE_HZ or classifier.exclusive:
        raise ValueError(
            f"{path} is no classifier of statements at {RATE_HZ:g} Hz: train one with downstream_classifier"
        )
    return classifier


def score_statements(
    classifier: Classifier, ecgs: Mapping[int, NDArray[np.float32]], root: Path, n_resamples: int, seed: int
) -> pd.DataFrame:
    """Scores the statements that a classifier finds.

    Args:
        classifier: What `find_classifier` returns.
        ecgs: `Scored.ecgs` by the record's `ecg_id`.
        root: PTB-XL as downloaded, with the statements of the records.
        n_resamples: Bootstrap draws over records.
        seed: Seed of these.

    Returns:
        A row for each of `ECGS`: `ecg`, macro AUROC `value`, `lower`, `upper`, differences `to_clean_...` and
        `to_damaged_...` with their bounds, `n_records`, `n_classes`.
    """
    table = pd.read_csv(root / "ptbxl_database.csv", index_col="ecg_id")
    ids = np.array(sorted(ecgs))
    labels = find_classes(classifier.spec["classes"]).labels(
        [parse_statements(text)[0] for text in table.loc[ids, "scp_codes"]]
    )[1]
    rows = lead_rows(classifier.leads)
    stacked = np.stack([ecgs[key][:, rows] for key in ids], axis=1)
    found = {
        name: Predictions(classifier.classes, ids, labels, classifier.predict(part))
        for name, part in zip(ECGS, stacked, strict=True)
    }
    lines = []
    for name, predictions in found.items():
        scores = score_predictions(predictions, n_resamples=n_resamples, seed=seed)
        macro = scores[scores["class"] == "macro"].iloc[0]
        line = {"ecg": name, **macro[["value", "lower", "upper", "n_records", "n_classes"]]}
        for reference in (CLEAN, DAMAGED):
            compared = compare_predictions(predictions, found[reference], n_resamples=n_resamples, seed=seed)
            row = compared[compared["statistic"] == "difference"].iloc[0]
            for key in ("value", "lower", "upper"):
                line[f"to_{reference}_{key}"] = row[key]
        lines.append(line)
    return pd.DataFrame(lines)
