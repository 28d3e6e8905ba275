"""One recording scored into a folder: pictures of its windows and a table."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.ecg.recording import Recording
from einthoven.report.tables import write_csv
from noise_quant.scoring.figures import draw_scores
from noise_quant.scoring.lead_scores import NOISES
from noise_quant.scoring.rules.judge import Judge
from noise_quant.scoring.scorer import Scorer
from noise_quant.scoring.windows import cut_windows


@dataclass(frozen=True)
class RecordingReport:
    """What was written of a recording.

    Attributes:
        table: A row per lead and segment: lead, segment, start_s, stop_s, psnr, verdict, reason, missing_s,
            acceptable_probability.
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
            + _describe_score(row["psnr"], row["verdict"], row["reason"])
            for row in self.table.to_dict("records")
        ]
        together = self.table.drop_duplicates("segment").dropna(subset="acceptable_probability")
        rows += [
            f" all {row['start_s']:7.1f}-{row['stop_s']:.1f} s  acceptable with probability "
            f"{row['acceptable_probability']:.2f}"
            for row in together.to_dict("records")
        ]
        left = self.n_windows - len(self.pictures)
        more = f"; {left} more windows are in the table only (plot.max_windows)" if left else ""
        return "\n".join([*rows, f"{', '.join(path.name for path in self.pictures)}{more}"])


def _describe_score(psnr: float, verdict: str, reason: str) -> str:
    if np.isnan(psnr):
        return f"no score, {reason}"
    return f"{psnr:5.1f} dB  {verdict}" + (f", {reason}" if reason else "")


def report_recording(
    recording: Recording,
    folder: Path,
    scorer: Scorer,
    judge: Judge,
    max_windows: int = 6,
    dpi: int = 100,
    progress: Callable[[float], object] | None = None,
) -> RecordingReport:
    """Scores a recording into a folder: `scores.csv`, and `<name>_<seconds>s.png` of each of the first windows.

    Args:
        recording: The recording; ValueError if it is too short.
        folder: Where to write.
        scorer: The scorer, which keeps its images.
        judge: What the model's facts make of scores.
        max_windows: Most windows that are drawn.
        dpi: Resolution of the pictures.
        progress: Called with the seconds of the recording that are done since the last time.
    """
    signal, rate = recording.signal, recording.sampling_rate
    scores = scorer.score(signal, rate, recording.name, leads=recording.leads, progress=progress, lost=recording.lost)
    judgement = judge(scores, recording.leads)
    table = scores.to_table(recording.leads, judgement)
    named = ["psnr", "verdict", "reason", "missing_s", *(f"{name}_probability" for name in NOISES)]
    table = table[["lead", "segment", "start_s", "stop_s", *named, "acceptable_probability"]]
    write_csv(table, folder / "scores.csv")
    windows = cut_windows(recording.signal.shape[-1], recording.sampling_rate)
    pictures = []
    for number, window in enumerate(windows[:max_windows]):
        pictures.append(folder / f"{recording.name}_{window.start / recording.sampling_rate:05.0f}s.png")
        draw_scores(pictures[-1], recording, window, number, scores, judgement.verdict, scorer.model.scalogram, dpi)
    return RecordingReport(table, tuple(pictures), len(windows))
