"""From evidence to probabilities: a conditional logit, fitted on fold 9 with swaps made on purpose.

The log odds of a hypothesis h against "as recorded" are

    w mean over leads of log(loss as recorded / loss of h) + b,

with w and b of the kind of h, or of h alone where swaps of a kind differ much; probabilities are the softmax. A tenth
of the mean loss is added to the loss of each lead first, so that no lead counts by its smallness alone. The misfit that
chose what the prior was asked about adds nothing to what the prior says: on fold 9 its weight came out as zero.

Swaps with the right leg cannot be undone, so they have no loss. What speaks for them is how flat the lead is that they
make flat: its log odds are `LEG_SLOPE` log10(`FLAT_SHARE` / share), with the share of its root mean square in the
largest of I, II and III. No lead of 1,781 records of PTB-XL's folds 1 to 9 has a share below 0.16.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import INDEPENDENT_LEADS
from reconstruction.electrodes.evidence import Evidence
from reconstruction.electrodes.maps import Hypothesis, flat_lead

PACKAGED = Path(__file__).parent / "calibration.json"
FLAT_SHARE, LEG_SLOPE = 0.12, 300.0
LEAST_SHARE = 0.01
FLOOR = 0.1


@dataclass(frozen=True)
class Calibration:
    """What was fitted.

    Attributes:
        law: Mean covariance of the eight leads, (8, 8): see `covariance`.
        terms: Weight of the loss, and offset, by kind or name of a hypothesis.
        limit: A mistake is told where the probability of "as recorded" is below this.
        facts: What it was fitted on.
    """

    law: Sequence[Sequence[float]]
    terms: Mapping[str, tuple[float, float]]
    limit: float
    facts: Mapping[str, object]

    @classmethod
    def load(cls, path: Path = PACKAGED) -> "Calibration":
        """Reads one from a file; the packaged one by default."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def to_json(self) -> str:
        """Returns it as text for a file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    def log_odds(self, evidence: Evidence, known: Sequence[Hypothesis]) -> NDArray[np.float64]:
        """Returns the log odds against "as recorded", -inf where the prior was not asked, shape (hypotheses,)."""
        terms = np.array([self.terms[term_of(one, self.terms)] for one in known])
        odds = log_ratios(evidence) * terms[:, 0] + terms[:, 1]
        return np.where(np.isnan(odds), -np.inf, odds)


def term_of(one: Hypothesis, terms: Mapping[str, object] | Sequence[str]) -> str:
    """Returns which of the terms a hypothesis has: its own where there is one, else that of its kind."""
    return one.name if one.name in terms else one.kind


def log_ratios(evidence: Evidence) -> NDArray[np.float64]:
    """Returns the mean log ratio of the loss as above, NaN where the prior was not asked, shape (hypotheses,)."""
    leads = evidence.loss[:, evidence.loss[0] > 0]
    floor = FLOOR * leads[0].mean()
    ratios = np.log((leads[:1] + floor) / (leads + floor)).sum(axis=-1)
    return np.asarray(ratios / evidence.loss.shape[1])  # leads that were not measured say nothing


def leg_log_odds(ecg: NDArray[np.floating], legs: Sequence[Hypothesis]) -> NDArray[np.float64]:
    """Returns the log odds of swaps with the right leg, by how flat a lead of `ecg` (8, L) is."""
    one, two = (ecg[INDEPENDENT_LEADS.index(name)] for name in ("I", "II"))
    sizes = {name: float(np.std(x)) for name, x in (("I", one), ("II", two), ("III", two - one))}
    largest = max(*sizes.values(), 1e-9)
    shares = np.array([max(sizes[flat_lead(leg)] / largest, LEAST_SHARE) for leg in legs])
    return np.asarray(LEG_SLOPE * np.log10(FLAT_SHARE / shares))


def probabilities(odds: Mapping[str, float]) -> dict[str, float]:
    """Returns the softmax of log odds by name, the largest first."""
    values = np.array(list(odds.values()))
    shares = np.exp(values - values.max())
    shares /= shares.sum()
    order, names = np.argsort(-shares, kind="stable"), list(odds)
    return {names[place]: float(shares[place]) for place in order}
