"""Fits the limit of `familiarity` on training records, and says how many others exceed it."""

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_prior.model.denoiser import Denoiser
from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.run.progress import show_progress
from preprocessing.store.store import Store
from reconstruction.calibration.familiarity import Familiarity, can_tell, familiarity_loss, weights_digest

SHARE = 0.99
"""So many of the training records stay below the limit."""


def losses_of(denoiser: Denoiser, store: Store, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the losses of records of a store, shape (n,); ValueError where the prior cannot be asked."""
    if not can_tell(denoiser):
        raise ValueError("the weights need to be of a prior of the eight independent leads that takes measurements")
    device, found = next(denoiser.parameters()).device, []
    with show_progress(len(rows), "record") as bar:
        for row in rows:
            ecg = torch.from_numpy(store.read(np.array([row]), INDEPENDENT_LEADS)[0]).float().to(device)
            found.append(familiarity_loss(denoiser, ecg))
            bar.update()
    return np.array(found)


def fit_limit(denoiser: Denoiser, losses: NDArray[np.float64], data: str) -> Familiarity:
    """Returns the limit that `SHARE` of the training records stay below."""
    limit = round(float(np.quantile(losses, SHARE)), 4)
    return Familiarity(weights_digest(denoiser), limit, {"data": data, "records": len(losses), "share": SHARE})
