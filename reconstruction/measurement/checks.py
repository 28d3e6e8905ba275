"""What a user's recording must be before anything is computed, and what to do where it is not."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from einthoven.ecg.checks import check_numbers, check_units
from einthoven.ecg.leads import canonical_leads
from einthoven.ecg.lost import without_lost

MIN_RATE_HZ = 50.0
MIN_DURATION_S = 2.5
MAX_DURATION_S = 10.0


def check_recording(
    ecg: ArrayLike, sampling_rate: float, leads: Sequence[str], notes: Sequence[str] = ()
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Checks shape, rate, duration, lead names, values and units of a recording.

    Args:
        ecg: ECG in mV, shape (n_leads, L), NaN where a sample is missing.
        sampling_rate: Sampling rate in Hz.
        leads: Lead names, in the order of `ecg`, any case.
        notes: What its reader noted, told where no sample is left.

    Returns:
        The ECG in mV, float64, shape (n_leads, L), and the names as in `einthoven.ecg.leads.LEADS`.

    Raises:
        ValueError: If something is wrong; the message says what to do.
    """
    names = canonical_leads(leads)
    if not (math.isfinite(sampling_rate) and sampling_rate >= MIN_RATE_HZ):
        raise ValueError(
            f"sampling_rate is {sampling_rate:g} Hz, but reconstruct needs {MIN_RATE_HZ:g} Hz or more: "
            "at a lower rate the QRS complexes themselves are lost"
        )
    x = _check_shape(np.asarray(ecg), names)
    duration = x.shape[-1] / sampling_rate
    if duration < MIN_DURATION_S - 1 / sampling_rate:
        raise ValueError(
            f"the recording lasts {duration:.2f} s, but reconstruct needs {MIN_DURATION_S:g} s or more: "
            "give a longer piece"
        )
    if np.isinf(x).any():
        raise ValueError("the ECG has infinite values: write missing samples as NaN")
    if np.isnan(x).all():
        why = "".join(f"; {note}" for note in notes)
        raise ValueError(f"all samples are missing (NaN): at least one lead must be measured for some time{why}")
    check_units(x, sampling_rate)
    return x, names


def is_long(length: int, sampling_rate: float) -> bool:
    """Says whether a recording is longer than the window of the prior, 10 s, by more than a sample."""
    return length / sampling_rate > MAX_DURATION_S + 1 / sampling_rate


def without_lost_stretches(
    ecg: NDArray[np.float64], sampling_rate: float, leads: Sequence[str]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Takes for not measured where leads are flat, disconnected or wild, and says so: see `einthoven.ecg.lost`.

    Raises:
        ValueError: If nothing is left.
    """
    left, notes = without_lost(ecg, sampling_rate, leads, saturated=False)
    if notes and np.isnan(left).all():
        raise ValueError(
            f"no lead is left to start from: {'; '.join(notes)}: take another part, or check the unit (mV)"
        )
    return left, notes


def _check_shape(ecg: NDArray[np.generic], leads: tuple[str, ...]) -> NDArray[np.float64]:
    n_leads = len(leads)
    if ecg.ndim != 2 or ecg.shape[0] != n_leads:
        hint = "transpose it" if ecg.ndim == 2 and ecg.shape[1] == n_leads else "give one row for each lead"
        hint = "write ecg[None] for a single lead" if ecg.ndim == 1 and n_leads == 1 else hint
        raise ValueError(f"ecg has shape {ecg.shape}, but {n_leads} lead(s) {', '.join(leads)} are named: {hint}")
    check_numbers(ecg)
    return np.asarray(ecg, dtype=np.float64)
