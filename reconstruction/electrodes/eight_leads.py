"""The eight independent leads of a recording as the prior knows them, and what a swap in them means for all leads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, LIMB_COEFFICIENTS, consistent_matrix, to_twelve
from einthoven.ecg.recording import Recording
from reconstruction.electrodes.maps import Matrix
from reconstruction.measurement.checks import MAX_DURATION_S, check_recording, without_lost_stretches

MOST_MISSING = 0.2
"""A lead of which more is missing counts as not measured."""
STEP_S = 5.0
"""Of long recordings the ten seconds with the fewest missing samples are looked at, from any of these steps on."""


@dataclass(frozen=True)
class EightLeads:
    """What the prior looks at.

    Attributes:
        ecg: I, II and V1 to V6 in mV, filtered, at the prior's rate, zeros where not measured, shape (8, L).
        measured: Leads that were measured, shape (8,).
        start_s: Where in the recording it begins.
        notes: What was noted of the recording.
    """

    ecg: Tensor
    measured: Tensor
    start_s: float
    notes: tuple[str, ...]


def eight_leads(recording: Recording, rate: float) -> EightLeads:
    """Prepares ten seconds at most of a recording; ValueError where it is unusable, as `reconstruct` says."""
    signal, names = check_recording(recording.signal, recording.sampling_rate, recording.leads, recording.notes)
    signal, notes = without_lost_stretches(signal, recording.sampling_rate, names)
    first, last = _window(np.isnan(signal), recording.sampling_rate)
    part = signal[:, first:last]
    usable = [row for row, gaps in enumerate(np.isnan(part)) if gaps.mean() <= MOST_MISSING]
    leads = [names[row] for row in usable]
    derived = derivable(leads)
    filtered = clean_signal(part[usable], recording.sampling_rate, rate)
    ecg = np.zeros((len(INDEPENDENT_LEADS), filtered.shape[-1]))
    measured = np.array([lead in derived for lead in INDEPENDENT_LEADS])
    ecg[measured] = consistent_matrix(derived, leads) @ filtered
    values = torch.from_numpy(ecg).float()
    return EightLeads(values, torch.from_numpy(measured), first / recording.sampling_rate, notes)


def derivable(leads: Sequence[str]) -> list[str]:
    """Returns which of the eight leads follow from others."""
    has_limbs = sum(lead in LIMB_COEFFICIENTS for lead in leads) >= 2
    return [lead for lead in INDEPENDENT_LEADS if lead in leads or (lead in LIMB_COEFFICIENTS and has_limbs)]


def _window(missing: NDArray[np.bool_], rate: float) -> tuple[int, int]:
    """Returns the first sample, and the one after the last, of the ten seconds with the fewest missing samples."""
    length, n = missing.shape[-1], round(MAX_DURATION_S * rate)
    if length <= n:
        return 0, length
    starts = np.arange(0, length - n + 1, max(1, round(STEP_S * rate)))
    lost = np.concatenate([[0], missing.sum(axis=0).cumsum()])
    first = int(starts[np.argmin(lost[starts + n] - lost[starts])])
    return first, first + n


def corrected_signal(recording: Recording, undo: Matrix) -> NDArray[np.float64]:
    """Undoes a swap in the leads of a recording at its own rate, in mV, shape (n_leads, L).

    Leads that the swap does not reach stay to the bit. A sample is NaN where one that it is made of is missing.

    Raises:
        ValueError: If a lead that the swap reaches follows from one that the recording lacks.
    """
    known = derivable(recording.leads)
    limbs = to_twelve(np.eye(len(INDEPENDENT_LEADS)))
    target = to_twelve(undo)
    out = recording.signal.copy()
    to_known = consistent_matrix(known, recording.leads)
    columns = [INDEPENDENT_LEADS.index(lead) for lead in known]
    for row, lead in enumerate(recording.leads):
        weights = target[LEADS.index(lead)]
        if np.allclose(weights, limbs[LEADS.index(lead)]):
            continue
        lacking = [
            name for name, weight in zip(INDEPENDENT_LEADS, weights, strict=True) if weight and name not in known
        ]
        if lacking:
            raise ValueError(f"lead {lead} cannot be corrected: it is made of {', '.join(lacking)}, which is not there")
        mix = weights[columns] @ to_known
        used = np.flatnonzero(np.abs(mix) > 1e-12)  # a missing sample of a lead of no weight does not count
        out[row] = mix[used] @ recording.signal[used]
    return out
