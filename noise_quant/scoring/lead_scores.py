"""`LeadScores`: what a scorer finds in each lead and segment of a recording."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from noise_quant.scoring.image_scores import ImageScores

_FACTS = ("unusable", "reason", "missing_s", "hum_mv")
NOISES = ("noisy", "static", "drift", "burst")
"""Any noise, and its kinds: steady and fast, slow, for a moment."""
SCORE_NAMES = tuple(field.name for field in fields(ImageScores))


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What is said of the scores of a recording.

    Attributes:
        verdict: Of each lead and segment: "clean", "partly noisy", "heavily noisy", "partly missing", "unusable", or ""
            where no thresholds are known for these settings, shape (C, S), object.
        noise_probability: That a reader would note noise in a lead, by `NOISES`, each of shape (C, S), NaN where a lead
            is not usable or below five seconds; None where it is not known for these settings.
        acceptable_probability: Of all leads together in a segment, that a reader would accept them, shape (S,); NaN
            below five seconds; None where it is not known for these settings.
    """

    verdict: NDArray[np.object_]
    noise_probability: dict[str, NDArray[np.float64]] | None = None
    acceptable_probability: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class LeadScores:
    """Scores of a recording; S counts the partitions of all its windows that hold something to score.

    Attributes:
        psnr: In dB, higher is cleaner, shape (C, S), float64; NaN, as all scores, where a lead is not usable.
        ssim: Structural similarity, shape (C, S).
        mse: Mean squared difference of levels, shape (C, S).
        mae: Mean absolute difference of levels, shape (C, S).
        unusable: True where a lead is flat, saturated, clipped, out of range or not finite in a window, shape (C, S).
        reason: Which of these, or of a usable lead "mains hum" with its amplitude, else "", shape (C, S), object.
        missing_s: Seconds that count for nothing because samples are missing there or near, shape (C, S).
        hum_mv: Amplitude of the mains' hum in mV, 0 where there is none, shape (C, S).
        features: Plain features of a lead in its window, by name, each of shape (C, S): see `lead_features`.
        segment: Number of the window of each column, shape (S,).
        start_s: Start of what each column scores, in s, shape (S,).
        stop_s: End of it in s, shape (S,).
        levels: Levels of the scalograms, shape (C, windows, 32, 256), float32, or None where they were not kept.
        cleaned: Levels of their reconstructions, or None.
    """

    psnr: NDArray[np.float64]
    ssim: NDArray[np.float64]
    mse: NDArray[np.float64]
    mae: NDArray[np.float64]
    unusable: NDArray[np.bool_]
    reason: NDArray[np.object_]
    missing_s: NDArray[np.float64]
    hum_mv: NDArray[np.float64]
    features: dict[str, NDArray[np.float64]]
    segment: NDArray[np.int64]
    start_s: NDArray[np.float64]
    stop_s: NDArray[np.float64]
    levels: NDArray[np.float32] | None = None
    cleaned: NDArray[np.float32] | None = None

    @property
    def beats(self) -> NDArray[np.float64]:
        """How alike the beats of a lead are in its window, at most 1, shape (C, S): see `beat_likeness`."""
        return self.features["beats"]

    def to_table(self, leads: Sequence[str], judgement: Judgement) -> pd.DataFrame:
        """Lays out the scores of C leads and what is said of them.

        Returns:
            A row per lead and column: `lead`, `segment` (number of the column), `start_s`, `stop_s`, the scores,
            `unusable`, `reason`, `missing_s`, `hum_mv`, the features, `verdict`, `noisy_probability` and that of each
            kind of noise, `acceptable_probability`.
        """
        n_leads, n_segments = self.psnr.shape
        unknown = np.full(n_segments, np.nan)
        together = judgement.acceptable_probability
        noise = judgement.noise_probability or dict.fromkeys(NOISES, np.tile(unknown, (n_leads, 1)))
        return pd.DataFrame(
            {
                "lead": np.repeat(np.array(leads, dtype=object), n_segments),
                "segment": np.tile(np.arange(n_segments), n_leads),
                "start_s": np.tile(self.start_s, n_leads),
                "stop_s": np.tile(self.stop_s, n_leads),
                **{name: getattr(self, name).ravel() for name in (*SCORE_NAMES, *_FACTS)},
                **{name: values.ravel() for name, values in self.features.items()},
                "verdict": judgement.verdict.ravel(),
                **{f"{name}_probability": values.ravel() for name, values in noise.items()},
                "acceptable_probability": np.tile(unknown if together is None else together, n_leads),
            }
        )
