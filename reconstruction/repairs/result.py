"""What `repair` returns: the repaired recording, what was done to it, and how sure that is."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.recording import Recording
from einthoven.ecg.showing import Shown, duration_in_words, save_arrays, to_xarray_dataset
from reconstruction.repairs.finding.finder import Findings
from reconstruction.repairs.storage import blocks

if TYPE_CHECKING:  # matplotlib takes a second, which who draws nothing does without
    from matplotlib.figure import Figure

KEPT, DENOISED, RESTORED, REBUILT, LEFT_MISSING, HUM_REMOVED = range(6)
KINDS: tuple[str, ...] = ("kept", "denoised", "restored", "rebuilt", "left missing", "mains hum removed")
"""What can be done to a sample, by its number in `Repair.done`."""
COLUMNS: tuple[str, ...] = (
    "lead", "start_s", "end_s", "kind", "reason", "noise_mv", "score_before", "score_after", "band_mv",
)  # fmt: skip
"""Columns of `Repair.actions`."""
CAUTION = "Research only, not a medical device: not for diagnosis."


@dataclass(frozen=True, repr=False)
class Repair(Shown):
    """A repaired recording.

    Attributes:
        recording: The repaired recording, of the same rate and length; NaN where nothing could be restored.
        lower: 5th percentile of what a sample may be, in mV, shape (n_leads, L); the sample itself where it was kept.
        upper: 95th percentile.
        done: What was done to each sample, a number of `KINDS`, shape (n_leads, L).
        actions: A row for each change: `lead`, `start_s`, `end_s`, `kind` (of `KINDS`), `reason`, `noise_mv` (root mean
            square of the noise), `score_before` and `score_after` (noise score in dB, higher is cleaner) and `band_mv`
            (mean width of the 90 % band).
        before: The recording as it was given.
        findings: What was found, second by second, for the leads of `before`.
        score_after: Noise score of each second of these leads afterwards, in dB, shape (n_leads, pieces).
        notes: What was assumed, and what is not to be trusted, in words.
        samples: Draws of what the recording may be, in mV, shape (n_samples, n_leads, L), all as recorded where it was
            kept; None where nothing was repaired, of more than two minutes, and of a repair in a folder.
    """

    recording: Recording
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    done: NDArray[np.int8]
    actions: pd.DataFrame
    before: Recording
    findings: Findings
    score_after: NDArray[np.float64]
    notes: tuple[str, ...]
    samples: NDArray[np.float32] | None = None

    @property
    def duration(self) -> float:
        """Length of the recording in s."""
        return self.recording.signal.shape[-1] / self.recording.sampling_rate

    def counts(self) -> NDArray[np.int64]:
        """Counts the samples of each lead by what was done to them, shape (n_leads, kinds)."""
        counts = np.zeros((len(self.done), len(KINDS)), dtype=np.int64)
        for span in blocks(self.done.shape[-1]):
            counts += [np.bincount(row, minlength=len(KINDS)) for row in self.done[:, span]]
        return counts

    def facts(self) -> tuple[str, dict[str, str]]:
        """Returns a title, and of each kind of change its share of all samples."""
        recording = self.recording
        title = f"Repair{f' of {recording.name}' if recording.name else ''}: {len(recording.leads)} leads"
        title += f", {duration_in_words(self.duration)} at {recording.sampling_rate:g} Hz"
        facts = {}
        counts = self.counts()
        for number, kind in enumerate(KINDS):
            share = counts[:, number].sum() / self.done.size
            leads = [lead for lead, count in zip(recording.leads, counts[:, number], strict=True) if count]
            if leads:
                where = "all leads" if len(leads) == len(recording.leads) > 1 else ", ".join(leads)
                facts[kind] = f"{100 * share:.1f} %" + (" (to the bit)" if number == KEPT else f" in {where}")
        return title, facts

    def summary(self) -> list[str]:
        """Returns the title, and a line for each kind of change, with its share of all samples."""
        title, facts = self.facts()
        return [title, *(f"{kind}: {share}" for kind, share in facts.items())]

    def _repr_html_(self) -> str:
        table = self.actions.head(20).to_html(index=False, float_format="{:.2f}".format, na_rep="-")
        return super()._repr_html_() + (table if len(self.actions) else "")

    def plot(self, start: float = 0.0) -> "Figure":
        """Draws ten seconds from `start` (s) on, before and after, and returns the figure."""
        from reconstruction.repairs.figures import draw_repair

        return draw_repair(self, start)

    def report(self, path: str | Path) -> Path:
        """Writes a report into one file, a page (.html) or a document (.pdf); returns its path.

        Raises:
            ValueError: If the path has another suffix.
        """
        from reconstruction.repairs.report import write_report

        return write_report(self, Path(path))

    def to_data_frame(self) -> pd.DataFrame:
        """Returns `actions`."""
        return self.actions

    def to_xarray(self) -> Any:  # noqa: ANN401 (xarray is optional)
        """Returns an `xarray.Dataset` of signal, band and what was done (lead, time); ValueError without xarray."""
        recording = self.recording
        arrays = {"signal": recording.signal, "lower": self.lower, "upper": self.upper, "done": self.done}
        facts = {
            "sampling_rate": recording.sampling_rate,
            "kinds": list(KINDS),
            "notes": list(self.notes),
            "unit": "mV",
        }
        coordinates = {"lead": list(recording.leads), "time": recording.times}
        return to_xarray_dataset({name: (("lead", "time"), x) for name, x in arrays.items()}, coordinates, **facts)

    def to_mne(self) -> Any:  # noqa: ANN401 (MNE is optional)
        """Returns the repaired recording as an `mne.io.RawArray` in V; ValueError where MNE is not installed."""
        return self.recording.to_mne()

    def _save_content(self, path: Path) -> Path:
        """Writes a report (`.html`), all arrays (`.npz`), or the repaired recording in a format of recordings."""
        suffix, recording = path.suffix.lower(), self.recording
        if suffix == ".html":
            return self.report(path)
        if suffix != ".npz":
            return recording.save(path)
        arrays = {"signal": recording.signal, "lower": self.lower, "upper": self.upper, "done": self.done}
        facts = {
            "leads": recording.leads,
            "sampling_rate": recording.sampling_rate,
            "kinds": KINDS,
            "notes": self.notes,
        }
        return save_arrays(path, **arrays, **facts)
