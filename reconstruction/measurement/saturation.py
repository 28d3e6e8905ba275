"""Samples at the limits of a recorder: the ECG was there or beyond, nobody knows how far."""

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from einthoven.ecg.checks import CONSTANT_MV, saturated_samples
from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.run.registry import check_choice
from reconstruction.measurement.operators import MeasuredLeads

_PULLED_MV = 1e-5
_MAX_PULLS = 20
_SMALLEST_STEP = 1e-4

Saturation = str | Sequence[float] | None
"""None: no sample; "auto": plateaus at the extremes of a lead; or the recorder's limits (lower, upper) in mV."""


def check_saturation(saturation: Saturation) -> None:
    """Raises ValueError where it is neither None, "auto" nor two limits in order."""
    if saturation is None:
        return
    if isinstance(saturation, str):
        check_choice("saturation", saturation, ["auto"])
        return
    pair = np.asarray(saturation, dtype=object)
    if pair.shape != (2,) or not all(isinstance(limit, Real) for limit in pair) or not pair[0] < pair[1]:
        raise ValueError(
            f'saturation is {saturation!r}: give "auto", or the limits (lower, upper) of the recorder in mV, such as '
            "(-5.0, 5.0); an infinite limit is none"
        )


def find_saturated(
    ecg: NDArray[np.float64], sampling_rate: float, saturation: Saturation
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Finds the samples of an ECG (n_leads, L) in mV at the recorder's lower limit, and those at its upper."""
    at_low, at_high = np.zeros(ecg.shape, dtype=bool), np.zeros(ecg.shape, dtype=bool)
    if isinstance(saturation, str):
        for row, lead in enumerate(ecg):
            there = ~np.isnan(lead)
            if there.any():
                at_low[row, there], at_high[row, there] = saturated_samples(lead[there], sampling_rate)
    elif saturation is not None:
        lower, upper = saturation
        at_low, at_high = ecg <= lower + CONSTANT_MV, ecg >= upper - CONSTANT_MV
    return at_low, at_high


class SaturatedLeads(MeasuredLeads):
    """Samples of some leads from a recorder with limits, between its rails.

    A sample at a rail was not measured: the ECG was there or beyond. The operator is the mask of the other samples, and
    knows the bounds, which no linear likelihood can hold: `pull` moves an ECG into them.

    Args:
        observed: True where measured, between the rails, bool of shape (m, L) or (B, m, L).
        leads_out: As for `LeadSelection`.
        leads_in: As for `LeadSelection`.
        lower: What the leads are not below, in mV, of that shape: the upper rail where a sample is at it, else -inf.
        upper: What they are not above, in mV: the lower rail where a sample is at it, else inf; None: nowhere.
    """

    def __init__(
        self,
        observed: Tensor,
        leads_out: Sequence[str],
        leads_in: Sequence[str] = INDEPENDENT_LEADS,
        lower: Tensor | None = None,
        upper: Tensor | None = None,
    ) -> None:
        super().__init__(observed, leads_out, leads_in)
        self.lower = torch.full(observed.shape, -math.inf) if lower is None else lower
        self.upper = torch.full(observed.shape, math.inf) if upper is None else upper

    def pull(self, x: Tensor) -> Tensor:
        """Moves an ECG (..., C, L) in mV within the bounds, by the least change that leaves what is measured as it was.

        By projections onto the bounds of one lead after another, repeated where derived leads make them depend.
        """
        rows = self.selection.matrix(x)[0]
        steps = rows[:, :, None] - (self.projector(x).to(x) @ rows.mT).movedim(-3, -1).transpose(
            -3, -2
        )  # (..., m, C, L)
        size = (steps * rows[:, :, None]).sum(-2, keepdim=True)
        steps = torch.where(size > _SMALLEST_STEP, steps / size, 0.0)
        lower, upper = self.lower.to(x), self.upper.to(x)
        for _ in range(_MAX_PULLS):
            worst = 0.0
            for row in range(len(rows)):
                lead = (rows[row, :, None] * x).sum(-2)
                misfit = lead.clamp(lower[..., row, :], upper[..., row, :]) - lead
                x = x + steps[..., row, :, :] * misfit[..., None, :]
                worst = max(worst, float(misfit.abs().max()))
            if worst < _PULLED_MV:
                break
        return x
