"""The probability that a record is acceptable: a logistic rule on its worst leads.

It was asked of readers of CinC 2011 whether a record of twelve leads and ten seconds can be interpreted. Each of the
four inputs moves the probability one way only, so that more noise never makes a record better.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scoring.rules.logistic import auroc, fit_logistic, held_out, probability

PERFECT_DB = 60.0
"""A higher PSNR says nothing more; that of equal images is infinite."""
LEAST_ALIKE = 0.4
"""Beats that are less alike than this hold no more news: from 0.3 to 0.5 the rule is as good on records held out."""
LEAST_RANGE_MV = 1.0
"""A lead that spans less holds no more news."""
PENALTY = 1e-3
"""On the squares of the weights of standardised inputs: the fit is finite where records can be parted perfectly."""
N_PARTS, N_DRAWS = 8, 6
"""Parts of the records that are held out in turn, and how often they are drawn."""
MIN_RECORDS = 16
"""Fewest acceptable and unacceptable records that a rule is fitted on."""
INPUTS = ("psnr", "beats", "range_mv", "unusable")
COLUMNS = ("ecg_id", "segment", *INPUTS, "acceptable")
"""What a table of scores needs for the fit."""


@dataclass(frozen=True)
class Acceptance:
    """The rule: log odds = offset + sum of weight times what `record_inputs` returns.

    Attributes:
        offset: Log odds.
        psnr: Of the lowest PSNR, per dB, 0 or more.
        beats: Of the lowest likeness of beats, 0 or more.
        unusable: Of minus the log of 1 + the number of unusable leads, 0 or more.
        range_mv: Of minus the log of the largest range of a lead in mV, 0 or more.
    """

    offset: float
    psnr: float
    beats: float
    unusable: float
    range_mv: float = 0.0

    def probability(
        self, psnr: NDArray[np.float64], features: Mapping[str, NDArray[np.float64]], unusable: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Judges the segments of a record.

        Args:
            psnr: In dB, NaN where a lead is not usable, shape (C, S).
            features: Among them `beats` and `range_mv` (`lead_features`), each of shape (C, S).
            unusable: Shape (C, S).

        Returns:
            Probability, shape (S,): 0 where no lead is usable, NaN where the features are not known.
        """
        inputs = record_inputs(psnr, features["beats"], features["range_mv"], unusable)
        found = probability(self.offset + inputs @ np.array([getattr(self, name) for name in INPUTS]))
        return np.where(unusable.all(axis=0), 0.0, found)


def record_inputs(
    psnr: NDArray[np.float64],
    beats: NDArray[np.float64],
    range_mv: NDArray[np.float64],
    unusable: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Sums leads up, each argument of shape (C, S), to `INPUTS`, all higher for better records, shape (S, 4).

    They are the lowest PSNR and likeness of beats and minus the log of the largest range of the usable leads, and minus
    the log of 1 + the number of the others.
    """
    bounded = (
        np.minimum(psnr, PERFECT_DB),
        np.maximum(beats, LEAST_ALIKE),
        -np.log(np.maximum(range_mv, LEAST_RANGE_MV)),
    )
    lowest = [np.where(unusable, np.inf, values).min(axis=0) for values in bounded]
    known = [np.where(np.isposinf(values), 0.0, values) for values in lowest]  # where all are unusable
    return np.stack([*known, -np.log1p(unusable.sum(axis=0))], axis=-1)


def find_acceptance(model: ScalogramDiffusion, process: ReverseProcess) -> Acceptance | None:
    """Looks up the rule of a model for a reverse process, in `facts["acceptance"]` of its file; None: none is known."""
    known: Mapping[str, Any] = model.facts.get("acceptance") or {}
    rule = known.get(process.key)
    if rule is None:
        return None
    return Acceptance(**{name: float(rule[name]) for name in Acceptance.__dataclass_fields__ if name in rule})


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
    columns = [[group[name].to_numpy(dtype=float)[:, None] for name in INPUTS] for group in usable]
    inputs = np.concatenate(
        [record_inputs(psnr, beats, range_mv, lost.astype(bool)) for psnr, beats, range_mv, lost in columns]
    )
    whole = inputs[:, -1] == 0
    drawn = [held_out(inputs, acceptable, _parts(acceptable, seed + draw), PENALTY) for draw in range(N_DRAWS)]
    offset, weights = fit_logistic(inputs, acceptable, PENALTY)
    return AcceptanceFit(
        Acceptance(offset, **dict(zip(INPUTS, weights.tolist(), strict=True))),
        len(usable),
        int((~acceptable).sum()),
        float(np.mean([auroc(odds, acceptable) for odds in drawn])),
        float(np.mean([auroc(odds[whole], acceptable[whole]) for odds in drawn])),
    )


def _parts(acceptable: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """Draws the part of each record, shape (n,); each part gets its share of unacceptable ones."""
    order = np.random.default_rng(seed).permutation(len(acceptable))
    order = order[np.argsort(acceptable[order], kind="stable")]
    part = np.empty(len(acceptable), dtype=np.int64)
    part[order] = np.arange(len(acceptable)) % N_PARTS
    return part
