"""`Judge`: what the facts of a model make of scores: verdicts of leads, how likely they are noisy, whole records."""

from collections.abc import Sequence
from dataclasses import dataclass

from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scoring.lead_scores import Judgement, LeadScores
from noise_quant.scoring.rules.acceptance import Acceptance, find_acceptance
from noise_quant.scoring.rules.lead_noise import LeadNoise, find_lead_noise
from noise_quant.scoring.verdict import Thresholds, find_thresholds, verdicts


@dataclass(frozen=True)
class Judge:
    """Judges scores of one model and reverse process.

    Attributes:
        thresholds: Limits of the verdict; None where none are known: it is then empty.
        lead_noise: How likely a lead is noisy; None where no rule is known.
        acceptance: How likely a record is acceptable; None where no rule is known.
    """

    thresholds: Thresholds | None = None
    lead_noise: LeadNoise | None = None
    acceptance: Acceptance | None = None

    def __call__(self, scores: LeadScores, leads: Sequence[str]) -> Judgement:
        """Judges the scores of leads with these names."""
        noise, whole = self.lead_noise, self.acceptance
        told = (scores.psnr, scores.features, scores.unusable)
        return Judgement(
            verdict=verdicts(scores.psnr, scores.unusable, self.thresholds, scores.hum_mv, scores.missing_s),
            noise_probability=None if noise is None else noise.probability(*told, leads),
            acceptable_probability=None if whole is None else whole.probability(*told),
        )


def find_judge(model: ScalogramDiffusion, process: ReverseProcess) -> Judge:
    """Looks up what a model knows for a reverse process; warns where there are no thresholds."""
    return Judge(find_thresholds(model, process), find_lead_noise(model, process), find_acceptance(model, process))
