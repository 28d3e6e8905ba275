"""What a sweep over settings of `reconstruction.inpaint` minimises."""

from pathlib import Path

import numpy as np

from einthoven.ecg.leads import LEADS, leads_to_report
from einthoven.statistics import crps, finite_mean

CHUNK = 8
"""Records per chunk."""


def mean_crps(folder: Path) -> float:
    """Mean CRPS in mV of a finished folder's reconstructions, as in the table of `evaluation.evaluate_reconstruction`.

    Over the hidden samples of the reported leads of each record, averaged over records; NaN where nothing was hidden.
    Read in chunks of records, so that the whole cohort is never in memory.
    """
    samples, truth, observed = (
        np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("samples", "truth", "observed")
    )
    leads = [LEADS.index(lead) for lead in leads_to_report(observed)]
    if not leads:
        return float("nan")
    values = []
    for start in range(0, len(truth), CHUNK):
        rows = slice(start, start + CHUNK)
        true = np.asarray(truth[rows])[:, leads]
        hidden = ~np.asarray(observed[rows])[:, leads] & np.isfinite(true)
        scores = crps(np.asarray(samples[rows])[:, :, leads], np.where(hidden, true, 0.0), hidden)
        count = hidden.sum(axis=-1)
        total = np.where(count > 0, np.nan_to_num(scores) * count, 0.0).sum(axis=-1)
        values.append(np.where(count.any(axis=-1), total / np.maximum(count.sum(axis=-1), 1), np.nan))
    return float(finite_mean(np.concatenate(values)))
