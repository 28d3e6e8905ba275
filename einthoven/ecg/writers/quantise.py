"""Whole numbers for a lead, as formats with a fixed width of samples need them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEPS_UV: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, *(digit * 10.0**power for power in range(7) for digit in (1, 2, 5)))
"""Steps between numbers in µV, the finest first: each is a whole part of 100 µV, or the other way round."""
LARGEST: dict[int, int] = {16: 32_000, 24: 8_000_000, 32: 2_000_000_000}
"""Largest number that is used, by the bits of a sample: times a step it has few digits, as headers need it."""
CENTRE_UV = 100.0
"""A lead that does not fit around 0 is shifted by a multiple of so many µV, and of its step."""


@dataclass(frozen=True)
class Quantised:
    """A lead in whole numbers: its samples are `numbers * step + centre`, in µV.

    Attributes:
        numbers: Shape (L,); `missing` where nothing was measured.
        step: Step between numbers in µV.
        centre: What the number 0 stands for in µV.
        largest: Largest number that is used, by either sign.
        missing: The smallest number of the width.
    """

    numbers: NDArray[np.int64]
    step: float
    centre: float
    largest: int
    missing: int


def quantise(lead: NDArray[np.float64], bits: int = 16) -> Quantised:
    """Rounds a lead in mV, shape (L,), NaN where missing, to the finest step in which it fits the width."""
    largest = LARGEST[bits]
    microvolts = np.where(np.isfinite(lead), lead * 1000, np.nan)
    measured = microvolts[np.isfinite(microvolts)]
    low, high = (float(measured.min()), float(measured.max())) if len(measured) else (0.0, 0.0)
    for step in STEPS_UV:
        unit = max(CENTRE_UV, step)
        fits_around_0 = max(-low, high) <= largest * step
        centre = 0.0 if fits_around_0 else round((low + high) / 2 / unit) * unit
        if max(centre - low, high - centre) <= largest * step:
            break
    else:
        raise ValueError(f"a lead spans {(high - low) / 1000:.3g} mV, which no ECG does: write it as .npz")
    missing = -(2 ** (bits - 1))
    numbers = np.where(np.isnan(microvolts), missing, np.rint((np.nan_to_num(microvolts) - centre) / step))
    return Quantised(numbers.astype(np.int64), step, centre, largest, missing)
