"""From losses to probabilities: a conditional logit, fitted on fold 9 with swaps made on purpose.

The log odds of a hypothesis h against "as recorded" are

    b(kind of h) + sum over looks of w * log(loss as recorded / loss of h),

and probabilities are their softmax. The offsets b hold how often each kind is met, and, for gains, what a change of
scale costs. Swaps with the right leg have no loss: what speaks for them is how flat the lead is that they make flat,

    b(right leg) + slope * log10(share / reference),

with the share of its root mean square in the largest of I, II and III.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import INDEPENDENT_LEADS
from reconstruction.electrodes.evidence import Evidence
from reconstruction.electrodes.maps import LEG, Hypothesis, flat_lead

PACKAGED = Path(__file__).parent / "calibration.json"
FLAT_SHARE = 0.1
LEAST_SHARE = 0.005


@dataclass(frozen=True)
class Calibration:
    """What was fitted.

    Attributes:
        weights: Weight of the log ratio at the first look and at each level of the second.
        offsets: Log odds of each kind without any evidence, by kind.
        leg_slope: Log odds that a tenth of the share of the flat lead adds.
        limit: A hypothesis is told where the probability of "as recorded" is below this.
        facts: What it was fitted on.
    """

    weights: tuple[float, ...]
    offsets: Mapping[str, float]
    leg_slope: float
    limit: float
    facts: Mapping[str, object]

    @classmethod
    def load(cls, path: Path = PACKAGED) -> "Calibration":
        """Reads one from a file; the packaged one by default."""
        held = json.loads(path.read_text(encoding="utf-8"))
        return cls(tuple(held["weights"]), held["offsets"], held["leg_slope"], held["limit"], held["facts"])

    def to_json(self) -> str:
        """Returns it as text for a file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    def log_odds(self, evidence: Evidence, known: Sequence[Hypothesis]) -> NDArray[np.float64]:
        """Returns the log odds against "as recorded", -inf where there was no second look, shape (hypotheses,)."""
        ratios = log_ratios(evidence)
        odds = ratios @ np.array(self.weights) + np.array([self.offsets[one.kind] for one in known])
        return np.where(np.isnan(odds), -np.inf, odds)

    def leg_log_odds(self, ecg: NDArray[np.floating], legs: Sequence[Hypothesis]) -> NDArray[np.float64]:
        """Returns the same of swaps with the right leg, by how flat a lead of `ecg` (8, L) is."""
        shares = np.array([flat_share(ecg, flat_lead(one)) for one in legs])
        return np.asarray(self.offsets[LEG] + self.leg_slope * np.log10(FLAT_SHARE / shares))


def log_ratios(evidence: Evidence) -> NDArray[np.float64]:
    """Returns log(loss as recorded / loss of each hypothesis), first and second look, shape (hypotheses, looks)."""
    losses = np.concatenate([evidence.first[:, None], evidence.second], axis=1)
    return np.asarray(np.log(losses[:1] / losses))


def flat_share(ecg: NDArray[np.floating], lead: str) -> float:
    """Returns the share of the root mean square of lead I, II or III in the largest of the three of an ECG (8, L)."""
    one, two = (ecg[INDEPENDENT_LEADS.index(name)] for name in ("I", "II"))
    sizes = {name: float(np.std(x)) for name, x in (("I", one), ("II", two), ("III", two - one))}
    return max(sizes[lead] / max(*sizes.values(), 1e-9), LEAST_SHARE)


def probabilities(odds: Mapping[str, float]) -> dict[str, float]:
    """Returns the softmax of log odds by name, the largest first."""
    values = np.array(list(odds.values()))
    shares = np.exp(values - values.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")
    names = list(odds)
    return {names[place]: float(shares[place]) for place in order}
