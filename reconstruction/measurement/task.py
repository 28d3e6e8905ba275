"""What is to be solved for records of a store: how a measurement is made from each whole ECG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import INDEPENDENT_LEADS
from reconstruction.measurement.measurement import Measurement
from reconstruction.measurement.missingness import Missingness

Extras = dict[str, NDArray[np.generic]]
"""Arrays that are kept beside the results, by name, each with one row for each record."""


class Task(Protocol):
    """Makes the measurement of B records from their whole ECGs."""

    def __call__(self, keys: Sequence[int], truth: NDArray[np.float32]) -> tuple[Measurement, Extras]:
        """Makes the measurement of records, by their keys, from `truth`, their twelve leads in mV, (B, 12, L).

        What is made of a record depends on its own key only. Returns also arrays to keep beside the results.
        """


@dataclass(frozen=True)
class HideSamples:
    """Hides samples as `missingness` says; what stays is the measurement."""

    missingness: Missingness
    prior_leads: tuple[str, ...] = INDEPENDENT_LEADS
    seed: int = 0

    def __call__(self, keys: Sequence[int], truth: NDArray[np.float32]) -> tuple[Measurement, Extras]:
        """Makes the measurement: see `Task`."""
        return self.missingness.measure(keys, truth, self.prior_leads, self.seed), {}
