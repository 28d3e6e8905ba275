"""Fits the limits of `familiarity` on training records, and says how many others exceed them."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_prior.model.denoiser import Denoiser
from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.randomness import seeded_generator
from einthoven.run.progress import show_progress
from preprocessing.store.store import Store
from reconstruction.calibration.familiarity import SEED, Familiarity, can_tell, familiarity_loss, weights_digest

SHARE = 0.99
"""So many of the training records stay below the limits."""
NUMBERS = tuple(range(1, len(INDEPENDENT_LEADS) + 1))
FIRST_LEADS = ("I", "II", "V2", "V5")
"""Leads that are measured first, as in recordings of few leads; the others follow in random order."""


def losses_of(
    denoiser: Denoiser, store: Store, rows: NDArray[np.int64], numbers: Sequence[int] = NUMBERS
) -> dict[int, NDArray[np.float64]]:
    """Returns the losses of records of a store, shape (n,), by the number of leads taken for measured."""
    if not can_tell(denoiser):
        raise ValueError("the weights need to be of a prior of the eight independent leads that takes measurements")
    ids = store.table["ecg_id"].to_numpy()[rows]
    found: dict[int, list[float]] = {number: [] for number in numbers}
    with show_progress(len(rows), "record") as bar:
        for row, ecg_id in zip(rows, ids.tolist(), strict=True):
            ecg = torch.from_numpy(store.read(np.array([row]), INDEPENDENT_LEADS)[0]).float()
            for number in numbers:
                measured = _some_leads(number, ecg_id)
                found[number].append(familiarity_loss(denoiser, ecg * measured[:, None], measured))
            bar.update()
    return {number: np.array(values) for number, values in found.items()}


def _some_leads(number: int, ecg_id: int) -> torch.Tensor:
    """Draws which leads of a record are measured, shape (8,): one by one, the usual ones first."""
    first = [INDEPENDENT_LEADS.index(lead) for lead in FIRST_LEADS]
    order = torch.randperm(len(INDEPENDENT_LEADS), generator=seeded_generator(SEED, ecg_id)).tolist()
    chosen = [*first, *(lead for lead in order if lead not in first)][:number]
    measured = torch.zeros(len(INDEPENDENT_LEADS), dtype=torch.bool)
    measured[chosen] = True
    return measured


def fit_limits(denoiser: Denoiser, losses: Mapping[int, NDArray[np.float64]], data: str) -> Familiarity:
    """Returns the limits that `SHARE` of the training records stay below."""
    limits = {str(number): round(float(np.quantile(values, SHARE)), 4) for number, values in losses.items()}
    n_records = len(next(iter(losses.values())))
    return Familiarity(weights_digest(denoiser), limits, {"data": data, "records": n_records, "share": SHARE})


def exceeding(familiarity: Familiarity, losses: Mapping[int, NDArray[np.float64]]) -> dict[int, float]:
    """Returns the share of other records that exceed the limits, by the number of measured leads."""
    return {number: float((values > familiarity.limits[str(number)]).mean()) for number, values in losses.items()}
