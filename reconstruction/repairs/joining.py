"""Estimates put into the place of what is bad, without steps, and their bands; or not, where they say too little."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconstruction.repairs.estimate import WINDOW_S, Estimate
from reconstruction.repairs.pieces import runs
from reconstruction.repairs.result import HUM_REMOVED, KEPT, LEFT_MISSING

SEAM_S = 0.1
"""What is kept is averaged over so long, on either side of a stretch, to meet it."""
NOISE_MV = 0.01
"""Standard deviation of what a filtered resting ECG still has of noise, in mV: no band is narrower."""
BAND_OF_NOTHING = 3.29
"""Width of the band, in the ECG's own standard deviations, of one who knows nothing: where it is reached, a stretch
stays missing."""
Z_90 = 1.645


@dataclass(frozen=True)
class Bounds:
    """Values, the edges of their band in mV, and what was done to each sample, each (n_leads, L)."""

    values: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    kinds: NDArray[np.int8]


def join(values: NDArray[np.float64], kinds: NDArray[np.int8], estimate: Estimate, sampling_rate: float) -> Bounds:
    """Puts estimates where samples are not kept.

    Args:
        values: The recording in mV, shape (n_leads, L).
        kinds: What is to be done to each sample, a number of `KINDS`, same shape.
        estimate: The estimates.
        sampling_rate: Rate in Hz.
    """
    joined, kinds = values.copy(), kinds.copy()
    lower, upper = values.copy(), values.copy()
    n_seam = max(1, round(SEAM_S * sampling_rate))
    for row in range(len(values)):
        kept = np.isin(kinds[row], (KEPT, HUM_REMOVED))
        offset = values[row] - estimate.mean[row]
        typical = _spread(estimate.mean[row])
        for first, last in runs(~kept):
            line = _line(offset, kept, first, last, n_seam)
            for start in range(first, last, round(WINDOW_S * sampling_rate)):
                span = slice(start, min(start + round(WINDOW_S * sampling_rate), last))
                mean = estimate.mean[row, span].astype(np.float64)
                low, high = mean - estimate.lower[row, span], estimate.upper[row, span] - mean
                low, high = (np.sqrt(np.square(half.clip(min=0)) + (Z_90 * NOISE_MV) ** 2) for half in (low, high))
                unknown = not np.isfinite(mean).all() or float((low + high).mean()) >= BAND_OF_NOTHING * typical
                if unknown:
                    kinds[row, span], mean = LEFT_MISSING, np.full(mean.shape, np.nan)
                joined[row, span] = mean + line[span.start - first : span.stop - first]
                lower[row, span], upper[row, span] = joined[row, span] - low, joined[row, span] + high
    return Bounds(joined, lower, upper, kinds)


def _line(
    offset: NDArray[np.float64], kept: NDArray[np.bool_], first: int, last: int, n_seam: int
) -> NDArray[np.float64]:
    """Returns the line, over a stretch, between what is kept beside it and the estimate, shape (last - first,)."""
    before, after = (
        _median(offset[span][kept[span]]) for span in (slice(max(first - n_seam, 0), first), slice(last, last + n_seam))
    )
    before, after = (after if before is None else before), (before if after is None else after)
    if before is None or after is None:
        return np.zeros(last - first)
    return np.linspace(before, after, last - first)


def _median(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None


def _spread(mean: NDArray[np.float32]) -> float:
    """Returns the standard deviation of an estimated lead in mV, 0 where there is none."""
    known = mean[np.isfinite(mean)]
    return float(known.std()) if len(known) else 0.0
