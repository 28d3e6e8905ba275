"""A recording: one ECG as a person has it, whatever file it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import canonical_leads
from einthoven.ecg.long_signals import take_rows
from einthoven.ecg.lost import Lost
from einthoven.ecg.showing import Shown, duration_in_words, to_mne_raw, to_xarray_dataset

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


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


@dataclass(frozen=True, repr=False)
class Recording(Shown):
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
        lost: Stretches that the reader made missing, as they show no heart, with the reason.
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
    lost: tuple[Lost, ...] = ()

    def ordered(self, leads: tuple[str, ...]) -> NDArray[np.float64]:
        """Returns the signal in mV with its leads in a given order, shape (n, L); ValueError if one lacks."""
        absent = [lead for lead in leads if lead not in self.leads]
        if absent:
            raise ValueError(f"record {self.name} lacks lead(s) {', '.join(absent)}; it has {', '.join(self.leads)}")
        return take_rows(self.signal, [self.leads.index(lead) for lead in leads])

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of each sample in s, from the first one on, shape (L,)."""
        return np.arange(self.signal.shape[-1]) / self.sampling_rate

    def facts(self) -> tuple[str, dict[str, str]]:
        """Returns a title, and what to know of the recording, by name."""
        n_leads, length = self.signal.shape
        title = f"Recording {self.name}".rstrip()
        title += f": {n_leads} lead{'s' * (n_leads != 1)}, {duration_in_words(length / self.sampling_rate)}"
        facts = {"leads": ", ".join(self.leads)}
        missing = np.isnan(self.signal)
        if missing.any():
            lacking = [lead for lead, row in zip(self.leads, missing, strict=True) if row.any()]
            where = "all leads" if len(lacking) == n_leads > 1 else ", ".join(lacking)
            facts["missing"] = f"{100 * missing.mean():.2g} % of all samples, in {where}"
        if not missing.all():
            facts["range"] = f"{np.nanmin(self.signal):.2f} to {np.nanmax(self.signal):.2f} mV"
        if self.other_channels:
            facts["not read"] = ", ".join(self.other_channels)
        if self.start_time is not None:
            facts["start"] = self.start_time.isoformat(" ", "seconds")
        if self.patient is not None and (self.patient.age is not None or self.patient.sex):
            age = None if self.patient.age is None else f"{self.patient.age:.0f} years"
            facts["patient"] = ", ".join(word for word in (age, self.patient.sex) if word)
        if self.source is not None:
            facts["source"] = self.source.format + (f", {self.source.path}" if self.source.path else "")
        return f"{title} at {self.sampling_rate:g} Hz", facts

    def plot(
        self,
        leads: str | Sequence[str] | None = None,
        layout: str = "3x4+1",
        *,
        speed: float = 25.0,
        gain: float = 10.0,
        start: float = 0.0,
    ) -> "Figure":
        """Draws a sheet of ECG paper, as `einthoven.report.ecg_paper.draw_ecg`, and returns the figure.

        Args:
            leads: Leads to draw; None: all.
            layout: "3x4+1", "6x2" or "12x1".
            speed: Paper speed, 25 or 50 mm/s.
            gain: 5, 10 or 20 mm/mV.
            start: First time on the sheet in s.

        Raises:
            ValueError: If a lead lacks, or one of the others is not possible.
        """
        from einthoven.report.ecg_paper import MADE, draw_ecg

        names = self.leads if leads is None else canonical_leads(leads)
        look: dict[str, Any] = {"layout": layout, "speed": speed, "gain": gain, "start": start}
        if self.source is not None and self.source.format in MADE:  # the sheet says that it was not measured
            look |= {"observed": [[False]], "made": self.source.format}
        return draw_ecg(self.ordered(names), names, self.sampling_rate, title=self.name, **look)

    def to_data_frame(self) -> "pd.DataFrame":
        """Returns a table with a column for each lead, in mV, and the time in s as index; `as_recording` takes it."""
        import pandas as pd

        return pd.DataFrame(self.signal.T, pd.Index(self.times, name="time"), list(self.leads))

    def to_xarray(self) -> Any:  # noqa: ANN401 (xarray is optional)
        """Returns an `xarray.Dataset` with `signal` (lead, time) in mV; ValueError where xarray is not installed."""
        facts = {"sampling_rate": self.sampling_rate, "name": self.name, "notes": list(self.notes), "unit": "mV"}
        coordinates = {"lead": list(self.leads), "time": self.times}
        return to_xarray_dataset({"signal": (("lead", "time"), self.signal)}, coordinates, **facts)

    def to_mne(self) -> Any:  # noqa: ANN401 (MNE is optional)
        """Returns an `mne.io.RawArray` in V; ValueError where MNE is not installed."""
        return to_mne_raw(self.signal, self.leads, self.sampling_rate, self.start_time)

    def _save_content(self, path: Path) -> Path:
        from einthoven.ecg.writing import write

        return write(self, path)
