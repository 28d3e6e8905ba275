"""What a sweep over settings of `reconstruction.inpaint` minimises."""

from pathlib import Path

import numpy as np

from einthoven.ecg.leads import LEADS
from einthoven.statistics import mean_over_records
from evaluation.inpainting import metrics
from evaluation.inpainting.report import default_leads
from evaluation.inpainting.runs import Reconstructions
from evaluation.inpainting.scores import CHUNK


def mean_crps(folder: Path | str) -> float:
    """Mean CRPS of the reconstructions in a run folder, as in the table of `evaluation.evaluate_reconstruction`.

    Read in chunks of records, so that the whole cohort is never in memory.

    Args:
        folder: A finished run folder of `reconstruction.inpaint`.

    Returns:
        CRPS in mV over the hidden samples of the reported leads of each record, averaged over records; NaN where
        nothing was hidden.
    """
    run = Reconstructions.open(folder)
    if np.asarray(run.observed).all():
        return float("nan")
    leads = [LEADS.index(lead) for lead in default_leads(run)]
    values = []
    for start in range(0, len(run.ecg_ids), CHUNK):
        rows = slice(start, start + CHUNK)
        truth = np.asarray(run.truth[rows])[:, leads]
        hidden = ~np.asarray(run.observed[rows])[:, leads] & np.isfinite(truth)
        samples = np.asarray(run.samples[rows])[:, :, leads]
        scores = metrics.crps(samples, np.where(hidden, truth, 0.0), hidden)
        count = hidden.sum(axis=-1)
        total = np.where(count > 0, np.nan_to_num(scores) * count, 0.0).sum(axis=-1)
        values.append(np.where(count.any(axis=-1), total / np.maximum(count.sum(axis=-1), 1), np.nan))
    return float(mean_over_records(np.concatenate(values)))
