"""The probability that a record is acceptable: a logistic rule on its lowest PSNR, its least alike beats, lost leads.

It was asked of readers of CinC 2011 whether a record of twelve leads and ten seconds can be interpreted. Each of the
three inputs moves the probability one way only, so that more noise never makes a record better.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata

from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess

PERFECT_DB = 60.0
"""A higher PSNR says nothing more; that of equal images is infinite."""
LEAST_ALIKE = 0.4
"""Beats that are less alike than this hold no more news: from 0.3 to 0.5 the rule is as good on records held out."""
PENALTY = 1e-3
"""On the squares of the weights of standardised inputs: the fit is finite where records can be parted perfectly."""
N_PARTS, N_DRAWS = 8, 6
"""Parts of the records that are held out in turn, and how often they are drawn."""
MIN_RECORDS = 16
"""Fewest acceptable and unacceptable records that a rule is fitted on."""
COLUMNS = ("ecg_id", "segment", "psnr", "beats", "unusable", "acceptable")
"""What a table of scores needs for the fit."""


@dataclass(frozen=True)
class Acceptance:
    """The rule: log odds = offset + psnr * (lowest PSNR) + beats * (lowest likeness) - unusable * log(1 + lost leads).

    Attributes:
        offset: Log odds.
        psnr: Of the lowest PSNR, per dB, 0 or more.
        beats: Of the lowest likeness of beats, 0 or more.
        unusable: Of the log of 1 + the number of unusable leads, 0 or more.
    """

    offset: float
    psnr: float
    beats: float
    unusable: float

    def probability(
        self, psnr: NDArray[np.float64], beats: NDArray[np.float64], unusable: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Judges the segments of a record.

        Args:
            psnr: In dB, NaN where a lead is not usable, shape (C, S).
            beats: Likeness of beats (`beat_likeness`), shape (C, S).
            unusable: Shape (C, S).

        Returns:
            Probability, shape (S,): 0 where no lead is usable, NaN where the beats are not known.
        """
        inputs = record_inputs(psnr, beats, unusable)
        odds = self.offset + inputs @ np.array([self.psnr, self.beats, self.unusable])
        return np.asarray(np.where(unusable.all(axis=0), 0.0, 1.0 / (1.0 + np.exp(-odds))))


def record_inputs(
    psnr: NDArray[np.float64], beats: NDArray[np.float64], unusable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Sums leads up, each (C, S): lowest PSNR and likeness of the usable ones, minus log(1 + unusable ones), (S, 3)."""
    bounded = np.minimum(psnr, PERFECT_DB), np.maximum(beats, LEAST_ALIKE)
    lowest = [np.where(unusable, np.inf, values).min(axis=0) for values in bounded]
    known = [np.where(np.isposinf(values), 0.0, values) for values in lowest]  # where all are unusable
    return np.stack([*known, -np.log1p(unusable.sum(axis=0))], axis=-1)


def find_acceptance(model: ScalogramDiffusion, process: ReverseProcess) -> Acceptance | None:
    """Looks up the rule of a model for a reverse process, in `facts["acceptance"]` of its file; None: none is known."""
    known: Mapping[str, Any] = model.facts.get("acceptance") or {}
    rule = known.get(process.key)
    return None if rule is None else Acceptance(*(float(rule[name]) for name in Acceptance.__dataclass_fields__))


@dataclass(frozen=True)
class AcceptanceFit:
    """A fitted rule.

    Attributes:
        rule: The rule.
        n_records: Records that it was fitted on.
        n_unacceptable: How many of them are unacceptable.
        auroc: Mean AUROC of records, each judged by a rule that was fitted without it, over `N_DRAWS` draws of parts.
        auroc_usable: The same of those without unusable leads.
    """

    rule: Acceptance
    n_records: int
    n_unacceptable: int
    auroc: float
    auroc_usable: float

    @property
    def facts(self) -> dict[str, float]:
        """What is written beside the weights."""
        content = {**asdict(self.rule), **{name: value for name, value in asdict(self).items() if name != "rule"}}
        return {name: value if isinstance(value, int) else round(value, 4) for name, value in content.items()}

    def describe(self) -> str:
        """Says in one line what it was fitted on, and how good it is."""
        return (
            f"records acceptable or not: {self.n_records} records, {self.n_unacceptable} of them unacceptable; held "
            f"out, AUROC {self.auroc:.3f}, without unusable leads {self.auroc_usable:.3f}"
        )


def fit_acceptance(scores: pd.DataFrame, seed: int = 0) -> AcceptanceFit:
    """Fits the rule, with weights that are 0 or more.

    Args:
        scores: A row per lead of records of ten seconds, with `COLUMNS`.
        seed: Of the parts that are held out.

    Raises:
        ValueError: If acceptable or unacceptable records are too few.
    """
    groups = [group for _, group in scores[scores["segment"] == 0].groupby("ecg_id")]
    usable = [group for group in groups if not group["unusable"].all()]
    acceptable = np.array([bool(group["acceptable"].iloc[0]) for group in usable], dtype=bool)
    least = int(min(acceptable.sum(), (~acceptable).sum())) if len(usable) else 0
    if least < MIN_RECORDS:
        raise ValueError(
            f"{MIN_RECORDS} acceptable and {MIN_RECORDS} unacceptable records are needed, not {least}: score all of "
            "CinC 2011 with source=cinc2011"
        )
    columns = [[group[name].to_numpy()[:, None] for name in ("psnr", "beats", "unusable")] for group in usable]
    inputs = np.concatenate(
        [record_inputs(psnr.astype(float), beats.astype(float), lost.astype(bool)) for psnr, beats, lost in columns]
    )
    whole = inputs[:, 2] == 0
    held_out = [_held_out(inputs, acceptable, seed + draw) for draw in range(N_DRAWS)]
    return AcceptanceFit(
        Acceptance(*_fit(inputs, acceptable)),
        len(usable),
        int((~acceptable).sum()),
        float(np.mean([_auroc(odds, acceptable) for odds in held_out])),
        float(np.mean([_auroc(odds[whole], acceptable[whole]) for odds in held_out])),
    )


def _fit(inputs: NDArray[np.float64], acceptable: NDArray[np.bool_]) -> tuple[float, ...]:
    """Returns offset and weights, 0 or more, of the most likely rule on inputs of shape (n, 3)."""
    centre, spread = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-9)
    z, sign = (inputs - centre) / spread, np.where(acceptable, 1.0, -1.0)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign * (z @ weights[1:] + weights[0])
        slope = -sign / (1 + np.exp(margin))
        gradient = np.concatenate([[slope.mean()], (z * slope[:, None]).mean(axis=0) + 2 * PENALTY * weights[1:]])
        return float(np.logaddexp(0, -margin).mean() + PENALTY * (weights[1:] ** 2).sum()), gradient

    bounds = [(None, None), *[(0.0, None)] * inputs.shape[1]]
    found = minimize(loss, np.full(1 + inputs.shape[1], 0.5), jac=True, bounds=bounds).x
    weights = found[1:] / spread
    return float(found[0] - weights @ centre), *(float(weight) for weight in weights)


def _held_out(inputs: NDArray[np.float64], acceptable: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """Returns the log odds of records, each by the rule of the other parts, shape (n,)."""
    order = np.random.default_rng(seed).permutation(len(inputs))
    order = order[np.argsort(acceptable[order], kind="stable")]  # each part gets its share of unacceptable records
    part = np.empty(len(inputs), dtype=np.int64)
    part[order] = np.arange(len(inputs)) % N_PARTS
    odds = np.empty(len(inputs))
    for number in range(N_PARTS):
        offset, *weights = _fit(inputs[part != number], acceptable[part != number])
        odds[part == number] = offset + inputs[part == number] @ np.array(weights)
    return odds


def _auroc(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Returns the chance that a positive value lies above a negative one, NaN without both."""
    n = int(positive.sum())
    if n in (0, len(positive)):
        return float("nan")
    return float((rankdata(values)[positive].sum() - n * (n + 1) / 2) / (n * (len(positive) - n)))
