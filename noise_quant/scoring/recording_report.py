"""One recording scored into a folder: pictures of its windows and a table."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.ecg.recording import Recording
from einthoven.report.tables import write_csv
from noise_quant.scalogram.image import ScalogramSettings
from noise_quant.scoring.figures import draw_scores
from noise_quant.scoring.scorer import LeadScores, Scorer
from noise_quant.scoring.verdict import Thresholds, verdicts
from noise_quant.scoring.windows import cut_windows


@dataclass(frozen=True)
class RecordingReport:
    """What was written of a recording.

    Attributes:
        table: A row per lead and segment: lead, segment, start_s, stop_s, psnr, verdict, reason.
        pictures: The pictures.
        n_windows: Windows of the recording, of which the first ones were drawn.
    """

    table: pd.DataFrame
    pictures: tuple[Path, ...]
    n_windows: int

    def describe(self) -> str:
        """Says so in a few lines."""
        rows = [
            f"{row['lead']:>4} {row['start_s']:7.1f}-{row['stop_s']:.1f} s  "
            + (f"no score, {row['reason']}" if row["reason"] else f"{row['psnr']:5.1f} dB  {row['verdict']}")
            for row in self.table.to_dict("records")
        ]
        left = self.n_windows - len(self.pictures)
        more = f"; {left} more windows are in the table only (plot.max_windows)" if left else ""
        return "\n".join([*rows, f"{', '.join(path.name for path in self.pictures)}{more}"])


def report_recording(
    recording: Recording,
    folder: Path,
    scorer: Scorer,
    thresholds: Thresholds | None = None,
    max_windows: int = 6,
    dpi: int = 100,
) -> RecordingReport:
    """Scores a recording into a folder: `scores.csv`, and `<name>_<seconds>s.png` of each of the first windows.

    Args:
        recording: The recording; ValueError if it is too short.
        folder: Where to write.
        scorer: The scorer, which keeps its images.
        thresholds: Of the verdict; None where none are known.
        max_windows: Most windows that are drawn.
        dpi: Resolution of the pictures.
    """
    scores = scorer.score(recording.ecg, recording.sampling_rate, recording.name, leads=recording.leads)
    verdict = verdicts(scores.psnr, scores.unusable, thresholds)
    table = scores.to_table(recording.leads, verdict)
    table = table[["lead", "segment", "start_s", "stop_s", "psnr", "verdict", "reason"]]
    write_csv(table, folder / "scores.csv")
    pictures = _draw_windows(recording, folder, scores, verdict, scorer.model.scalogram, max_windows, dpi)
    return RecordingReport(table, pictures, scores.psnr.shape[1])


def _draw_windows(
    recording: Recording,
    folder: Path,
    scores: LeadScores,
    verdict: np.ndarray,
    settings: ScalogramSettings,
    max_windows: int,
    dpi: int,
) -> tuple[Path, ...]:
    if scores.levels is None or scores.cleaned is None:
        raise ValueError("the pictures need the images: build the scorer with keep_images=True")
    rate = recording.sampling_rate
    pictures = []
    for number, window in enumerate(cut_windows(recording.ecg.shape[-1], rate)[:max_windows]):
        start_s = window.start / rate
        path = folder / f"{recording.name}_{start_s:05.0f}s.png"
        draw_scores(
            path,
            recording.ecg[:, window.start : window.start + window.length],
            rate,
            scores.levels[:, number],
            scores.cleaned[:, number],
            scores.psnr[:, number],
            list(verdict[:, number]),
            list(scores.reason[:, number]),
            leads=recording.leads,
            start_s=start_s,
            scored=window.scored,
            settings=settings,
            title=f"{recording.name}, {scores.start_s[number]:.1f} to {scores.stop_s[number]:.1f} s",
            dpi=dpi,
        )
        pictures.append(path)
    return tuple(pictures)
