"""The ways to score records for `score_source`: a diffusion model, or the plain baseline beside it."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from einthoven.ecg.checks import lead_problems
from einthoven.ecg.recording import Recording
from einthoven.run.progress import show_progress
from noise_quant.data.sources import SourceItem
from noise_quant.model.checkpoint import load_model
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scalogram.image import WIDTH
from noise_quant.scoring.plain_quality import lead_quality
from noise_quant.scoring.rules.judge import Judge, find_judge
from noise_quant.scoring.scorer import Scorer
from noise_quant.scoring.windows import cut_windows

SCORING_METHODS: tuple[str, ...] = ("diffusion", "baseline")

LONG_S = 300.0
"""Within a record of so many seconds or more it is shown how far its scoring has come."""


@dataclass(frozen=True)
class DiffusionScoring:
    """Scores by a diffusion model: the columns of `LeadScores.to_table`.

    A segment is a window of ten seconds, or a partition of one; `start_s` and `stop_s` say which part it is.

    Attributes:
        scorer: The scorer.
        judge: What the model's facts make of scores.
        n_partitions: Scores of each window.
    """

    scorer: Scorer
    judge: Judge = Judge()
    n_partitions: int = 1

    def __call__(self, item: SourceItem, record: Recording) -> pd.DataFrame:
        """Returns the scores of a record."""
        rate = record.sampling_rate
        seconds = round(record.signal.shape[-1] / rate)
        with show_progress(seconds, "second", record.name, shown=seconds >= LONG_S, keep=False) as bar:
            settings = (item.seed_key, self.n_partitions, record.leads, bar.update, record.lost)
            scores = self.scorer.score(record.signal, rate, *settings)
        return scores.to_table(record.leads, self.judge(scores, record.leads))


@dataclass(frozen=True)
class PlainScoring:
    """Scores by the plain baseline: the columns of `lead_quality`, `unusable` and `reason`.

    A segment is a window of ten seconds; of one that is left over at the end, only the new part is judged.
    """

    def __call__(self, item: SourceItem, record: Recording) -> pd.DataFrame:
        """Returns the scores of a record."""
        tables, rate = [], record.sampling_rate
        for segment, window in enumerate(cut_windows(record.signal.shape[-1], rate)):
            first, last = window.judged
            piece = record.signal[:, first:last]
            place = {"segment": segment, "start_s": first / rate, "stop_s": last / rate}
            table = lead_quality(piece, rate).assign(lead=list(record.leads), **place)
            table["reason"] = lead_problems(piece, rate)
            tables.append(table.assign(unusable=table["reason"] != ""))
        return pd.concat(tables, ignore_index=True)


def scoring_method(
    method: str = "diffusion",
    checkpoint: str | Path | None = None,
    *,
    use_ldm: bool | None = None,
    timestep: int = 30,
    step_interval: int = 10,
    noise_scheduler_type: str = "ddim",
    discretization: bool | None = None,
    n_partitions: int = 1,
    batch_size: int = 64,
    seed: int = 0,
    device: str = "cpu",
) -> "DiffusionScoring | PlainScoring":
    """Makes a way of scoring from plain values; ValueError if one is out of range, or the checkpoint not as asked for.

    Args:
        method: "diffusion", or "baseline", for which nothing else matters.
        checkpoint: As for `load_model`; None: the bundled model.
        use_ldm: True refuses a model that is not latent, False one that is not of pixels.
        timestep: As for `ReverseProcess`.
        step_interval: As for `ReverseProcess`.
        noise_scheduler_type: As for `ReverseProcess`.
        discretization: As for `Scorer`.
        n_partitions: Scores of each window of ten seconds.
        batch_size: Images that the network takes at once.
        seed: Seed.
        device: Device of the network.
    """
    if method not in SCORING_METHODS:
        raise ValueError(f"no method {method!r}: choose one of {', '.join(SCORING_METHODS)}")
    process = ReverseProcess(timestep, step_interval, noise_scheduler_type)
    if not 1 <= n_partitions <= WIDTH:
        raise ValueError(f"n_partitions must lie between 1 and {WIDTH}, not {n_partitions}")
    if method == "baseline":
        return PlainScoring()
    model = load_model(checkpoint, use_ldm)
    scorer = Scorer(model.to(device), process, seed, batch_size, discretization)
    return DiffusionScoring(scorer, find_judge(model, process), n_partitions)
