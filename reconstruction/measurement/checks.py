"""What a user's recording must be before anything is computed, and what to do where it is not."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from einthoven.ecg.checks import LARGEST_RANGE_MV, central_range, check_numbers
from einthoven.ecg.leads import canonical_leads

MIN_RATE_HZ = 50.0
MIN_DURATION_S = 2.5
MAX_DURATION_S = 10.0
_SMALLEST_RANGE_MV = 0.02


def check_recording(
    ecg: ArrayLike, sampling_rate: float, leads: Sequence[str]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Checks shape, rate, duration, lead names, values and units of a recording.

    Args:
        ecg: ECG in mV, shape (n_leads, L), NaN where a sample is missing.
        sampling_rate: Sampling rate in Hz.
        leads: Lead names, in the order of `ecg`, any case.

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
    _check_duration(x.shape[-1] / sampling_rate, 1 / sampling_rate)
    if np.isinf(x).any():
        raise ValueError("the ECG has infinite values: write missing samples as NaN")
    if np.isnan(x).all():
        raise ValueError("all samples are missing (NaN): at least one lead must be measured for some time")
    for lead, row in zip(names, x, strict=True):
        _check_lead(lead, row[~np.isnan(row)])
    return x, names


def _check_shape(ecg: NDArray[np.generic], leads: tuple[str, ...]) -> NDArray[np.float64]:
    n_leads = len(leads)
    if ecg.ndim != 2 or ecg.shape[0] != n_leads:
        hint = "transpose it" if ecg.ndim == 2 and ecg.shape[1] == n_leads else "give one row for each lead"
        hint = "write ecg[None] for a single lead" if ecg.ndim == 1 and n_leads == 1 else hint
        raise ValueError(f"ecg has shape {ecg.shape}, but {n_leads} lead(s) {', '.join(leads)} are named: {hint}")
    check_numbers(ecg)
    return ecg.astype(np.float64)


def _check_duration(duration: float, tolerance: float) -> None:
    if duration > MAX_DURATION_S + tolerance:
        raise ValueError(
            f"the recording lasts {duration:.1f} s, but reconstruct takes {MIN_DURATION_S:g} to {MAX_DURATION_S:g} s: "
            "longer recordings come in a later version; cut it into pieces of at most 10 s for now"
        )
    if duration < MIN_DURATION_S - tolerance:
        raise ValueError(
            f"the recording lasts {duration:.2f} s, but reconstruct needs {MIN_DURATION_S:g} to {MAX_DURATION_S:g} s: "
            "give a longer piece"
        )


def _check_lead(lead: str, samples: NDArray[np.float64]) -> None:
    """Refuses a lead that is flat or whose range cannot be one of an ECG in mV."""
    if len(samples) < 2:
        return
    if np.ptp(samples) == 0:
        raise ValueError(f"lead {lead} is flat ({samples[0]:g} throughout): leave it out, or write NaN")
    extent = central_range(samples)
    if extent > LARGEST_RANGE_MV:
        raise ValueError(
            f"lead {lead} spans {extent:.0f}, too much for mV: if it is in microvolts divide by 1000, "
            "if in raw counts divide by the recorder's gain (counts per mV)"
        )
    if extent < _SMALLEST_RANGE_MV:
        raise ValueError(
            f"lead {lead} spans only {extent:.2g} mV: if it is in volts multiply by 1000; "
            "if the electrode was off, leave the lead out or write NaN"
        )
