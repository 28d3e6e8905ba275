"""What `repair` returns: the repaired recording, what was done to it, and how sure that is."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.recording import Recording
from reconstruction.repairs.finder import Findings

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


@dataclass(frozen=True)
class Repair:
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

    @property
    def duration(self) -> float:
        """Length of the recording in s."""
        return self.recording.signal.shape[-1] / self.recording.sampling_rate

    def __repr__(self) -> str:
        """Says in a few lines what was done."""
        recording = self.recording
        name = f" {recording.name}" if recording.name else ""
        head = f"Repair{name}: {len(recording.leads)} leads, {self.duration:.1f} s, {recording.sampling_rate:g} Hz"
        return "\n".join([head, *(f"  {line}" for line in self.summary())])

    def summary(self) -> list[str]:
        """Returns a line for each kind of change, with its share of all samples."""
        lines = []
        for number, kind in enumerate(KINDS):
            share = float((self.done == number).mean())
            leads = [lead for lead, row in zip(self.recording.leads, self.done, strict=True) if (row == number).any()]
            if leads:
                where = "all leads" if len(leads) == len(self.recording.leads) > 1 else ", ".join(leads)
                kept = " (to the bit)" if number == KEPT else f" in {where}"
                lines.append(f"{kind}: {100 * share:.1f} %{kept}")
        return lines

    def _repr_html_(self) -> str:
        """Returns the same as a table, for notebooks."""
        import html

        lines = html.escape(repr(self)).replace("\n", "<br>")
        table = self.actions.head(20).to_html(index=False, float_format="{:.2f}".format, na_rep="-")
        return f"<p>{lines}</p>{table if len(self.actions) else ''}"

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
