"""A recording: one ECG as a person has it, whatever file it came from."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Patient:
    """What the processing of an ECG may use of its patient.

    Attributes:
        age: Age in years.
        sex: "female" or "male".
    """

    age: float | None = None
    sex: str | None = None


@dataclass(frozen=True)
class Source:
    """Where a recording comes from.

    Attributes:
        format: Name of the file format, such as "WFDB".
        path: The file; None: it was not read from a file.
    """

    format: str
    path: Path | None = None


@dataclass(frozen=True)
class Recording:
    """One ECG as recorded.

    Attributes:
        signal: Signal in mV, NaN where nothing was measured, shape (n_leads, L), float64.
        sampling_rate: Sampling rate in Hz.
        leads: Lead names, spelt as in `einthoven.ecg.leads.LEADS`, in the order of the signal.
        name: Name of the record.
        other_channels: Names of the channels of the file that are not ECG leads; they are not read.
        start_time: When the signal begins, where the file says it.
        patient: Age and sex, where the file says them; never a name.
        source: Format and file that it was read from.
        notes: What the reader assumed or changed, a sentence each.
    """

    signal: NDArray[np.float64]
    sampling_rate: float
    leads: tuple[str, ...]
    name: str = ""
    other_channels: tuple[str, ...] = ()
    start_time: datetime | None = None
    patient: Patient | None = None
    source: Source | None = None
    notes: tuple[str, ...] = ()

    def ordered(self, leads: tuple[str, ...]) -> NDArray[np.float64]:
        """Returns the signal in mV with its leads in a given order, shape (n, L); ValueError if one lacks."""
        absent = [lead for lead in leads if lead not in self.leads]
        if absent:
            raise ValueError(f"record {self.name} lacks lead(s) {', '.join(absent)}; it has {', '.join(self.leads)}")
        return self.signal[[self.leads.index(lead) for lead in leads]]
