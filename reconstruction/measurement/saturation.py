"""Samples at the limits of a recorder: the ECG was there or beyond, nobody knows how far."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.checks import CONSTANT_MV, saturated_samples
from reconstruction.measurement.checks import check_choice

Saturation = str | Sequence[float] | None
"""None: no sample; "auto": plateaus at the extremes of a lead; or the recorder's limits (lower, upper) in mV."""


def check_saturation(saturation: Saturation) -> None:
    """Refuses limits that are none.

    Args:
        saturation: What the user said.

    Raises:
        ValueError: If it is neither None, "auto" nor two limits in order.
    """
    if saturation is None:
        return
    if isinstance(saturation, str):
        check_choice("saturation", saturation, ["auto"])
        return
    if len(saturation) != 2 or not saturation[0] < saturation[1]:
        raise ValueError(
            f'saturation is {saturation!r}: give "auto", or the limits (lower, upper) of the recorder in mV, such as '
            "(-5.0, 5.0); an infinite limit is none"
        )


def find_saturated(
    ecg: NDArray[np.float64], sampling_rate: float, saturation: Saturation
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Finds the samples at the recorder's limits.

    Args:
        ecg: ECG in mV, shape (n_leads, L), NaN where a sample is missing.
        sampling_rate: Sampling rate in Hz.
        saturation: As checked by `check_saturation`.

    Returns:
        Where the recording is at its lower limit, and where at its upper, shape (n_leads, L) each.
    """
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
