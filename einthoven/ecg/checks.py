"""Leads on which no noise score may be given: flat, saturated, clipped, out of range or not finite; and wrong units.

The limits were set on real recordings: of 21,948 leads of PTB-XL records without a remark on noise they call none
unusable, of the leads in CinC 2011's acceptable records 0.5 %, in its unacceptable records 30 %.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import binary_opening, maximum_filter1d, minimum_filter1d

from einthoven.ecg.leads import LEADS
from einthoven.ecg.long_signals import release

USABLE = ""
NOT_FINITE = "not finite"
FLAT = "flat"
OUT_OF_RANGE = "out of range"
SATURATED = "saturated"
CLIPPED = "clipped"

SLOWEST_HZ, FASTEST_HZ = 1.0, 1e6
"""Sampling rates below and above are no rates of an ECG."""
FLAT_WINDOW_S = 1.0
"""Changes are looked at in stretches of so many seconds: at 60 beats a minute each holds a beat."""
CONSTANT_MV = 0.001
"""A stretch that changes by no more than this, 1 uV, is constant: below the step of ECG recorders (1 to 5 uV)."""
FLAT_MV = 0.01
"""A stretch that changes by no more than this is flat: amplifier noise alone is larger in a connected lead."""
FLAT_SHARE = 0.5
"""A lead is flat where one stretch is constant, or where flat stretches cover this share of it."""
LARGEST_RANGE_MV = 20.0
"""Largest range of a lead without its outermost 1 % of samples; PTB-XL's largest is 12.7 mV, loose electrodes give
50 to 170 mV in CinC 2011."""
RAIL_DISTANCE_MV = 0.2
"""An extreme value nearer to the median than this is the baseline, not a limit of the amplifier."""
RAIL_TOLERANCE = 1e-3
"""Samples within this share of the lead's range are at its extreme."""
SATURATED_S = 0.2
"""A lead that stays at an extreme for so long is saturated; the longest wave at its peak is far shorter."""
CLIPPED_S = 0.01
"""A plateau of so long, and at least three samples, at an extreme is a cut wave."""
CLIPPED_PLATEAUS = 3
"""A lead is clipped from so many plateaus on ..."""
CLIPPED_SHARE = 0.005
"""... which take this share of its samples."""

LARGEST_BEAT_MV = 60.0
"""Median range of one-second stretches beyond which a recording is not in mV; the largest of a record is 3.4 mV in
PTB-XL and 39.6 mV, with most electrodes loose, in CinC 2011. An ECG of 0.3 mV has 300 in microvolts."""
LARGEST_VOLT_MV = 0.006
"""Median range of one-second stretches below which a recording may be in volts: an ECG of 6 mV has 0.006 there."""
PEAKED_KURTOSIS = 4.0
"""Median kurtosis of one-second stretches from which they hold beats; noise has 3, records of PTB-XL 4.4 and more."""
UNIT_STRETCHES = 600
"""The unit is judged by at most about twice so many one-second stretches."""
LARGEST_COUNT_FREE_MV = 5.0
"""Median range from which whole numbers throughout are raw counts."""


def lead_problems(ecg: ArrayLike, sampling_rate: float, observed: ArrayLike | None = None) -> list[str]:
    """Says of each lead why no noise score can be given.

    Args:
        ecg: ECG in mV, shape (C, L).
        sampling_rate: Sampling rate in Hz.
        observed: True where a sample was measured, shape (L,) or (C, L); by default all. Others are not looked at.

    Returns:
        "not finite", "flat", "out of range", "saturated", "clipped", or "" for a usable lead; C entries.

    Raises:
        ValueError: If the ECG is not of shape (C, L), the rate is not positive, or `observed` does not fit.
    """
    x = np.asarray(ecg, dtype=np.float64)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"expected an ECG of shape (leads, samples), not {x.shape}")
    if not sampling_rate > 0:
        raise ValueError(f"sampling_rate must be positive, not {sampling_rate:g} Hz")
    if observed is None:
        return [_problem(lead, sampling_rate) for lead in x]
    mask = np.asarray(observed, dtype=bool)
    if mask.shape not in (x.shape, x.shape[1:]):
        raise ValueError(f"observed has shape {mask.shape}, but the ECG has {x.shape}")
    rows = np.broadcast_to(mask, x.shape)
    return [_problem(lead[row], sampling_rate) for lead, row in zip(x, rows, strict=True)]


def saturated_samples(lead: NDArray[np.float64], sampling_rate: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Finds the samples of a lead at the limits of the recorder, where it is saturated or clipped there.

    Args:
        lead: One lead in mV, shape (L,), finite.
        sampling_rate: Sampling rate in Hz.

    Returns:
        Where the lead is at its lower limit and where at its upper, shape (L,) each.
    """
    at_low, at_high = (
        rail & (longest_run(rail) >= SATURATED_S * sampling_rate or _is_clipped(rail, sampling_rate))
        for rail in _extremes(lead)
    )
    return at_low, at_high


def check_rate(sampling_rate: float, what: str = "sampling_rate is") -> float:
    """Refuses a sampling rate in Hz that no ECG has, by a ValueError; returns it.

    Args:
        sampling_rate: Sampling rate in Hz.
        what: How the message begins.
    """
    if not SLOWEST_HZ <= sampling_rate <= FASTEST_HZ:
        raise ValueError(
            f"{what} {sampling_rate:g} Hz, but an ECG has {SLOWEST_HZ:g} to {FASTEST_HZ:g} Hz: give the number of "
            "samples a second, such as sampling_rate=500"
        )
    return sampling_rate


def flat_leads(ecg: NDArray[Any], leads: Sequence[str] = LEADS) -> tuple[str, ...]:
    """Returns the names of the leads of an ECG, shape (C, L), that do not change at all."""
    return tuple(lead for lead, span in zip(leads, np.ptp(ecg, axis=1), strict=True) if span == 0)


def longest_run(mask: NDArray[np.bool_]) -> int:
    """Returns the length of the longest run of True in a mask of shape (L,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def longest_hold(lead: NDArray[Any]) -> int:
    """Returns for how many samples a lead, shape (L,), stays at its largest or smallest value."""
    return max(longest_run(lead == extreme) for extreme in (lead.min(), lead.max()))


def central_range(lead: NDArray[Any]) -> float:
    """Returns the range of a lead, shape (L,), without its outermost 1 % of samples: single spikes do not count."""
    return float(np.ptp(np.percentile(lead, [0.5, 99.5])))


def check_numbers(ecg: NDArray[Any]) -> None:
    """Refuses an ECG that holds whole numbers, raising ValueError."""
    if not np.issubdtype(ecg.dtype, np.floating):
        raise ValueError(
            f"ecg holds {ecg.dtype} values, which look like raw counts: divide by the recorder's gain (counts per mV) "
            "to have mV, as floating-point numbers"
        )


def check_units(ecg: ArrayLike, sampling_rate: float) -> None:
    """Refuses a recording that is not in mV, shape (C, L), by a ValueError that says what to do.

    Looks at the median, over leads and one-second stretches, of the range: drift, single leads that are off, short
    artefacts and values that are not finite do not count. Of long recordings it looks at stretches spread over them.
    """
    x = np.asarray(ecg)
    n = min(max(1, round(FLAT_WINDOW_S * sampling_rate)), x.shape[1])
    count = x.shape[1] // n
    each = []
    for lead in x:
        each.append(lead[: count * n].reshape(count, n)[:: 1 + count // UNIT_STRETCHES].astype(np.float64))
        release(x)
    stretches = np.stack(each)
    whole = stretches.reshape(len(x), -1)
    ranges = np.ptp(stretches, axis=-1)
    ranges = ranges[np.isfinite(ranges) & (ranges > 0)]
    if not len(ranges):
        return
    extent = float(np.median(ranges))
    values = whole[np.isfinite(whole)]
    if extent > LARGEST_COUNT_FREE_MV and bool((values == np.round(values)).all()):
        raise ValueError(
            f"the ECG holds whole numbers that span {extent:.0f} within a second, which look like raw counts (or "
            "microvolts): divide by the recorder's gain (counts per mV; by 1000 for microvolts) to have mV"
        )
    if extent > LARGEST_BEAT_MV:
        raise ValueError(
            f"the ECG spans {extent:.0f} within a second, too much for mV: if it is in microvolts divide by 1000, if "
            "in raw counts divide by the recorder's gain (counts per mV)"
        )
    if extent < LARGEST_VOLT_MV and _is_peaked(stretches[np.isfinite(stretches).all(axis=-1)]):
        raise ValueError(
            f"the ECG spans {extent:.1g} within a second, too little for mV, but has the peaks of an ECG, which looks "
            "like volts: multiply by 1000 (in a file: unit='V') to have mV"
        )


def _is_peaked(stretches: NDArray[np.float64]) -> bool:
    """Says whether stretches, shape (n, samples), mostly have peaks, as beats are, and noise is not."""
    stretches = stretches[np.ptp(stretches, axis=-1) > 0]
    if not len(stretches):
        return False
    deviation = stretches - stretches.mean(axis=-1, keepdims=True)
    deviation /= np.abs(deviation).max(axis=-1, keepdims=True)
    kurtosis = np.mean(deviation**4, axis=-1) / np.mean(deviation**2, axis=-1) ** 2
    return float(np.median(kurtosis)) > PEAKED_KURTOSIS


def _problem(lead: NDArray[np.float64], sampling_rate: float) -> str:
    """Returns the problem of one lead, shape (L,)."""
    if not len(lead) or not np.isfinite(lead).all():
        return NOT_FINITE
    extremes = _extremes(lead)
    if any(longest_run(rail) >= SATURATED_S * sampling_rate for rail in extremes):
        return SATURATED
    if _is_flat(lead, sampling_rate):
        return SATURATED if abs(float(np.median(lead))) > LARGEST_RANGE_MV else FLAT
    if central_range(lead) > LARGEST_RANGE_MV:
        return OUT_OF_RANGE
    return CLIPPED if any(_is_clipped(rail, sampling_rate) for rail in extremes) else USABLE


def _is_flat(lead: NDArray[np.float64], sampling_rate: float) -> bool:
    n = min(len(lead), max(2, round(FLAT_WINDOW_S * sampling_rate)))
    inside = slice(n // 2, len(lead) - (n - 1) // 2)  # stretches that lie within the lead
    ranges = (maximum_filter1d(lead, n) - minimum_filter1d(lead, n))[inside]
    flat = ranges <= FLAT_MV
    return bool((ranges <= CONSTANT_MV).any() or flat.mean() >= FLAT_SHARE)


def _extremes(lead: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns where a lead is at its smallest and at its largest value, nowhere if that is the baseline."""
    low, middle, high = float(lead.min()), float(np.median(lead)), float(lead.max())
    tolerance = max(CONSTANT_MV, RAIL_TOLERANCE * (high - low))
    at_low = (lead <= low + tolerance) & (middle - low >= RAIL_DISTANCE_MV)
    at_high = (lead >= high - tolerance) & (high - middle >= RAIL_DISTANCE_MV)
    return at_low, at_high


def _is_clipped(rail: NDArray[np.bool_], sampling_rate: float) -> bool:
    if rail.mean() < CLIPPED_SHARE:  # plateaus are a part of it; most leads end here, without the opening's time
        return False
    plateaus = binary_opening(rail, np.ones(max(3, round(CLIPPED_S * sampling_rate)), dtype=bool))
    starts = int(np.count_nonzero(np.diff(plateaus.astype(np.int8), prepend=0) == 1))
    return starts >= CLIPPED_PLATEAUS and bool(plateaus.mean() >= CLIPPED_SHARE)
