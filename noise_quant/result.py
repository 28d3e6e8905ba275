"""`NoiseScores`: how noisy a recording is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.recording import Recording
from noise_quant.scoring.scorer import LeadScores


@dataclass(frozen=True, kw_only=True)
class NoiseScores(LeadScores):
    """How noisy a recording is; with one partition a segment is a window of ten seconds, the last one maybe shorter.

    Beside what `LeadScores` holds, each of shape (leads, segments):

    Attributes:
        verdict: "clean", "partly noisy", "heavily noisy", "unusable", or "" where no thresholds are known for these
            settings, shape (leads, segments).
        leads: Names of the leads, or their numbers.
        given: What was scored.
    """

    verdict: NDArray[np.object_]
    leads: tuple[str, ...]
    given: Recording | None = None

    @property
    def original_image(self) -> NDArray[np.float32] | None:
        """Scalograms as levels 0 to 255, shape (leads, windows, 32, 256), or None where they were not asked for."""
        return self.levels

    @property
    def cleaned_image(self) -> NDArray[np.float32] | None:
        """Their reconstructions, same shape, or None."""
        return self.cleaned
