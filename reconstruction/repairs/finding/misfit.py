"""The prior's own misfit: how far a second of a lead is from what the network expects, given the other leads and times.

Every other second of a lead is left out, and estimated from the rest by one call of the conditional network; then the
seconds between. Of limb leads the others are left out with it, but for lead I or II, from which they would follow.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import LEADS, LIMB_COEFFICIENTS, to_twelve
from einthoven.randomness import record_generators
from reconstruction.repairs.finding.features import FLOOR_MV, lost_samples
from reconstruction.repairs.pieces import piece_edges, spread_pieces
from reconstruction.repairs.windows import WindowRepairer, at_rate

MISFIT: tuple[str, ...] = ("misfit", "misfit_share", "misfit_relative", "misfit_correlation", "misfit_gain")
"""Features of the prior."""
N_STARTS = 1


def piece_misfits(
    ecg: NDArray[np.float64],
    usable: NDArray[np.bool_],
    sampling_rate: float,
    leads: Sequence[str],
    repairer: WindowRepairer,
) -> NDArray[np.float64]:
    """Computes `MISFIT` of each piece of each lead of a window, shape (n_leads, pieces, features).

    Args:
        ecg: ECG in mV, shape (n_leads, L), NaN where missing.
        usable: Pieces that others may be estimated from, shape (n_leads, pieces).
        sampling_rate: Its rate in Hz.
        leads: Names of its leads.
        repairer: What knows the network.
    """
    lost = lost_samples(ecg, sampling_rate)
    clean = clean_signal(np.where(lost, np.nan, ecg), sampling_rate, repairer.rate)
    edges = piece_edges(clean.shape[-1], repairer.rate, usable.shape[-1])
    good = at_rate(~lost, sampling_rate, repairer.rate) & spread_pieces(usable, edges)
    expected = _expect(clean, good, edges, leads, repairer)
    rows = []
    for lead, measured in zip(leads, clean, strict=True):
        rows.append(_compare(measured, expected[LEADS.index(lead)], edges))
    features = np.stack(rows)
    typical = np.quantile(features[..., :1], 0.35, axis=1, keepdims=True)
    scale = np.log10(np.median(np.abs(expected).mean(axis=-1)) + FLOOR_MV)
    share, relative = features[..., :1] - scale, features[..., :1] - typical
    return np.concatenate([features[..., :1], share, relative, features[..., 1:]], axis=-1)


def _expect(
    clean: NDArray[np.float64],
    good: NDArray[np.bool_],
    edges: NDArray[np.int64],
    leads: Sequence[str],
    repairer: WindowRepairer,
) -> NDArray[np.float64]:
    """Estimates each second of the twelve leads from others, in mV, shape (12, L)."""
    odd = spread_pieces(np.arange(len(edges) - 1) % 2 == 1, edges)
    limb = np.array([lead in LIMB_COEFFICIENTS for lead in leads])
    hidden: list[NDArray[np.bool_]] = []  # whole groups of leads: each lead of the prior, and all limb leads
    for lead in (*repairer.denoiser.leads, "limb"):
        if lead in LIMB_COEFFICIENTS:
            kept = {"I": "II", "II": "I"}[lead]
            hidden.append(limb & np.array([name != kept for name in leads]))
        else:
            hidden.append(limb if lead == "limb" else np.array([name == lead for name in leads]))
    found = [
        repairer.known(clean, good & ~(group[:, None] & parity), leads) for parity in (odd, ~odd) for group in hidden
    ]
    values, observed = (torch.cat(parts) for parts in zip(*found, strict=True))
    generators = record_generators(0, ["misfit"] * len(values), N_STARTS)
    estimates = repairer.expect(values, observed, generators).cpu().numpy().astype(np.float64)
    first, second = np.split(estimates, 2)
    joined = np.where(odd, first, second)  # (groups, C, L): each sample from where it was left out
    twelve = to_twelve(joined[-1])
    for place, lead in enumerate(repairer.denoiser.leads):
        twelve[LEADS.index(lead)] = joined[place, place]
    return np.asarray(twelve)


def _compare(
    measured: NDArray[np.float64], expected: NDArray[np.float64], edges: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Returns the log of the root mean square difference, the correlation and the log ratio of the ranges, by piece."""
    rows = []
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        x, y = measured[first:last], expected[first:last]
        difference = np.log10(np.sqrt(np.square(x - y).mean()) + FLOOR_MV)
        spread = float(x.std() * y.std())
        correlation = float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread > 0 else 0.0
        rows.append([difference, correlation, np.log10((np.ptp(x) + FLOOR_MV) / (np.ptp(y) + FLOOR_MV))])
    return np.array(rows)
