"""Estimates put into the place of what is bad, without steps, and their bands; or not, where they say too little."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconstruction.repairs.estimate import WINDOW_S, Estimate
from reconstruction.repairs.result import HUM_REMOVED, KEPT, LEFT_MISSING
from reconstruction.repairs.storage import Storage, runs_in_blocks, spread_of

SEAM_S = 0.3
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

    @classmethod
    def make(cls, n_leads: int, length: int, storage: Storage) -> "Bounds":
        """Makes room for them."""
        names = {"values": np.float64, "lower": np.float64, "upper": np.float64, "kinds": np.int8}
        return cls(**{name: storage.array(name, (n_leads, length), dtype) for name, dtype in names.items()})


def join(bounds: Bounds, estimate: Estimate, sampling_rate: float, storage: Storage) -> None:
    """Puts estimates where samples are not kept, in place.

    Args:
        bounds: The recording, thrice, and what is to be done to each sample, a number of `KINDS`.
        estimate: The estimates.
        sampling_rate: Rate in Hz.
        storage: What `bounds` is kept in.
    """
    length = bounds.values.shape[-1]
    for row in range(len(bounds.values)):
        typical = spread_of(lambda span, row=row: estimate.band(row, span)[0], length)  # type: ignore[misc]
        kinds = bounds.kinds[row]
        for first, last in runs_in_blocks(length, lambda span, kinds=kinds: ~_is_kept(kinds[span])):  # type: ignore[misc]
            _join_stretch(bounds, estimate, row, (first, last), sampling_rate, typical)
        storage.flush()


def _join_stretch(
    bounds: Bounds, estimate: Estimate, row: int, stretch: tuple[int, int], rate: float, typical: float
) -> None:
    first, last = stretch
    ends = _ends(bounds, estimate, row, first, last, max(1, round(SEAM_S * rate)))
    size = round(WINDOW_S * rate)
    for start in range(first, last, size):
        span = slice(start, min(start + size, last))
        mean, low, high = (part.astype(np.float64) for part in estimate.band(row, span))
        low, high = mean - low, high - mean
        low, high = (np.sqrt(np.square(half.clip(min=0)) + (Z_90 * NOISE_MV) ** 2) for half in (low, high))
        unknown = not np.isfinite(mean).all() or float((low + high).mean()) >= BAND_OF_NOTHING * typical
        if unknown:
            bounds.kinds[row, span], mean = LEFT_MISSING, np.full(mean.shape, np.nan)
        values = mean + line(ends, last - first, slice(span.start - first, span.stop - first))
        bounds.values[row, span], bounds.lower[row, span] = values, values - low
        bounds.upper[row, span] = values + high


def _is_kept(kinds: NDArray[np.int8]) -> NDArray[np.bool_]:
    return np.isin(kinds, (KEPT, HUM_REMOVED))


def _ends(
    bounds: Bounds, estimate: Estimate, row: int, first: int, last: int, n_seam: int
) -> tuple[float, float] | None:
    """Returns how much higher than the estimate is what is kept before and after a stretch; None: nothing is kept."""
    found = []
    for span in (slice(max(first - n_seam, 0), first), slice(last, last + n_seam)):
        offset = bounds.values[row, span] - estimate.band(row, span)[0]
        found.append(_median(offset[_is_kept(bounds.kinds[row, span])]))
    before, after = found
    before, after = (after if before is None else before), (before if after is None else after)
    return None if before is None or after is None else (before, after)


def line(ends: tuple[float, float] | None, length: int, part: slice) -> NDArray[np.float64]:
    """Returns a part of the line between two ends over so many samples, as `np.linspace` does; zeros without ends."""
    places = np.arange(part.start, part.stop, dtype=np.float64)
    if ends is None or length == 1:
        return np.full(len(places), 0.0 if ends is None else ends[0])
    step = (ends[1] - ends[0]) / (length - 1)
    rise = places * step if step else places / (length - 1) * (ends[1] - ends[0])
    return np.where(places == length - 1, ends[1], rise + ends[0])


def _median(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None
