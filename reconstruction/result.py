"""`Reconstruction`: twelve leads with their uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import canonical_leads
from einthoven.ecg.recording import Recording, Source
from einthoven.ecg.showing import Shown, duration_in_words, save_arrays, to_mne_raw, to_xarray_dataset
from einthoven.statistics import median_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_EDGE_S = 10.0
"""What is filtered for a picture goes so far beyond its sheet."""
_SHEET_S = 10.0
_LOOKED_AT = 100_000
"""Samples of which a long result's band is told."""


MEAN, MEDIAN = POINT_ESTIMATES = ("mean", "median")
MEDIAN_NOTE = "the estimate is the median of the samples, not their mean"


@dataclass(frozen=True, repr=False)
class Reconstruction(Shown):
    """A twelve-lead ECG with its uncertainty, at the rate and length of the recording.

    Attributes:
        samples: Draws of what the ECG may be, in mV, shape (n_samples, 12, L), float32; None: they were not kept.
        mean: Posterior mean in mV, shape (12, L): the network's own estimate ("amortised"), or the samples' average.
            With `point_estimate="median"` the samples' median at each time: of less absolute error where gaps are long,
            of more squared error; leads that follow from others obey Einthoven's law only about.
        lower: 5th percentile of the predictive distribution in mV, shape (12, L).
        upper: 95th percentile in mV, shape (12, L).
        observed: True where a sample was measured or follows from measured ones, shape (12, L).
        leads: Names of the twelve leads.
        sampling_rate: Sampling rate in Hz.
        method: Name of the method.
        network_calls: Network evaluations, each on all samples at once.
        gradient_calls: How many of these went backward too.
        seconds: Time that the samples took.
        notes: What was filtered, what was missing, what was removed and what looks wrong, in words.
        noise_level: Estimated root mean square of the noise of each of the twelve leads, in mV, shape (12,), NaN for
            leads whose noise was not looked at; None where no noise was to be removed.
        given: What it was reconstructed from.
    """

    samples: NDArray[np.float32] | None
    mean: NDArray[np.float32]
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    observed: NDArray[np.bool_]
    leads: tuple[str, ...]
    sampling_rate: float
    method: str
    network_calls: int
    gradient_calls: int
    seconds: float
    notes: tuple[str, ...]
    noise_level: NDArray[np.float32] | None = None
    given: Recording | None = None

    @property
    def recording(self) -> Recording:
        """The mean as a recording, with name, patient, start and file of what it was reconstructed from.

        Its source says "reconstructed" or "denoised", and so do its drawings.
        """
        signal, made = self.mean.astype(np.float64), "reconstructed" if self.noise_level is None else "denoised"
        if self.given is None:
            return Recording(signal, self.sampling_rate, self.leads, source=Source(made), notes=self.notes)
        source = Source(made, self.given.source.path if self.given.source else None)
        return replace(self.given, signal=signal, leads=self.leads, source=source, notes=self.notes)

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of each sample in s, from the first one on, shape (L,)."""
        return np.arange(self.mean.shape[-1]) / self.sampling_rate

    def facts(self) -> tuple[str, dict[str, str]]:
        """Returns a title, and what to know of the result, by name."""
        name = self.given.name if self.given is not None else ""
        duration = duration_in_words(self.mean.shape[-1] / self.sampling_rate)
        title = f"Reconstruction{f' of {name}' if name else ''}: {len(self.leads)} leads, {duration}"
        kept = self.observed.mean(axis=-1)
        whole = [lead for lead, share in zip(self.leads, kept, strict=True) if share == 1]
        parts = [f"{lead} {100 * share:.0f} %" for lead, share in zip(self.leads, kept, strict=True) if 0 < share < 1]
        facts = {"observed": ", ".join([*whole, *parts]) or "none: all is estimated"}
        every = slice(None, None, max(1, self.mean.shape[-1] // _LOOKED_AT))
        width = [
            float((self.upper[lead, every] - self.lower[lead, every])[restored].mean())
            for lead, restored in enumerate(~self.observed[:, every])
            if restored.any()
        ]
        if width:
            facts["90 % band"] = f"{np.mean(width):.2f} mV wide where restored, widest lead {np.max(width):.2f} mV"
        if self.noise_level is not None:
            levels = zip(self.leads, self.noise_level, strict=True)
            facts["noise"] = ", ".join(f"{lead} {level:.3f}" for lead, level in levels if not np.isnan(level)) + " mV"
        samples = "" if self.samples is None else f"{len(self.samples)} samples, "
        facts["method"] = f"{self.method}: {samples}{self.network_calls} network calls, {self.seconds:.1f} s"
        return f"{title} at {self.sampling_rate:g} Hz", facts

    def plot(
        self,
        leads: str | Sequence[str] | None = None,
        layout: str = "3x4+1",
        samples: int = 3,
        *,
        speed: float = 25.0,
        gain: float = 10.0,
        start: float = 0.0,
    ) -> "Figure":
        """Draws mean, band and some samples on ECG paper, as `einthoven.report.ecg_paper.draw_ecg`.

        Where noise was removed the recording is drawn too, in grey.

        Args:
            leads: Leads to draw; None: all.
            layout: "3x4+1", "6x2" or "12x1".
            samples: Number of samples to draw beside the mean.
            speed: Paper speed, 25 or 50 mm/s.
            gain: 5, 10 or 20 mm/mV.
            start: First time on the sheet in s.

        Raises:
            ValueError: If a lead is unknown, or one of the others is not possible.
        """
        from einthoven.report.ecg_paper import draw_ecg

        names = self.leads if leads is None else canonical_leads(leads)
        rows = [self.leads.index(lead) for lead in names]
        look: dict[str, Any] = {"layout": layout, "speed": speed, "gain": gain, "start": start}
        if self.noise_level is not None and self.given is not None:
            look["noisy"] = self._noisy(names, start)
        return draw_ecg(
            self.mean[rows],
            names,
            self.sampling_rate,
            lower=self.lower[rows],
            upper=self.upper[rows],
            samples=None if self.samples is None or not samples else self.samples[:samples, rows],
            observed=self.observed[rows],
            title=self.facts()[0],
            **look,
        )

    def _noisy(self, names: Sequence[str], start: float) -> NDArray[np.float64]:
        """Returns the recording around a sheet, filtered as the result is, in mV, NaN elsewhere, shape (n, L)."""
        assert self.given is not None
        rate = self.sampling_rate
        noisy = np.full((len(names), self.mean.shape[-1]), np.nan)
        first = max(0, round((start - _EDGE_S) * rate))
        shown = slice(first, first + round((2 * _EDGE_S + _SHEET_S) * rate))
        for row, lead in enumerate(names):
            if lead in self.given.leads:
                raw = self.given.signal[self.given.leads.index(lead), shown]
                if not np.isnan(raw).all():
                    noisy[row, shown] = np.where(np.isnan(raw), np.nan, clean_signal(raw, rate, rate))
        return noisy

    def to_data_frame(self) -> "pd.DataFrame":
        """Returns a table with a row for each lead and time: `lead`, `time`, `mean`, `lower`, `upper`, `observed`."""
        import pandas as pd

        n_leads, length = self.mean.shape
        columns = {name: getattr(self, name).ravel() for name in ("mean", "lower", "upper", "observed")}
        lead = pd.Categorical.from_codes(np.repeat(np.arange(n_leads), length), pd.Index(self.leads))
        return pd.DataFrame({"lead": lead, "time": np.tile(self.times, n_leads), **columns})

    def to_xarray(self) -> Any:  # noqa: ANN401 (xarray is optional)
        """Returns an `xarray.Dataset` of mean, band and observed (lead, time), and samples (sample, lead, time).

        Raises:
            ValueError: If xarray is not installed.
        """
        variables: dict[str, Any] = {
            name: (("lead", "time"), getattr(self, name)) for name in ("mean", "lower", "upper", "observed")
        }
        if self.samples is not None:
            variables["samples"] = (("sample", "lead", "time"), self.samples)
        facts = {"sampling_rate": self.sampling_rate, "method": self.method, "notes": list(self.notes), "unit": "mV"}
        return to_xarray_dataset(variables, {"lead": list(self.leads), "time": self.times}, **facts)

    def to_mne(self) -> Any:  # noqa: ANN401 (MNE is optional)
        """Returns the mean as an `mne.io.RawArray` in V; ValueError where MNE is not installed."""
        start_time = None if self.given is None else self.given.start_time
        return to_mne_raw(self.mean, self.leads, self.sampling_rate, start_time)

    def _save_content(self, path: Path) -> Path:
        """Writes all arrays as `.npz`, or the mean in a format of recordings."""
        if path.suffix.lower() != ".npz":
            return self.recording.save(path)
        arrays = {
            name: getattr(self, name) for name in ("samples", "mean", "lower", "upper", "observed", "noise_level")
        }
        facts = {"leads": self.leads, "sampling_rate": self.sampling_rate, "method": self.method, "notes": self.notes}
        return save_arrays(path, signal=self.recording.signal, **arrays, **facts)


def with_median(result: Reconstruction) -> Reconstruction:
    """Returns a result whose samples were kept with their median as `mean`, and a note of it."""
    assert result.samples is not None
    return replace(result, mean=median_of(result.samples), notes=(*result.notes, MEDIAN_NOTE))
