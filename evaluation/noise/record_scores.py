"""How the scores of leads combine into one of their record."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Rule = Callable[[NDArray[np.float64]], float]

RULES: dict[str, Rule] = {
    "lowest lead": lambda scores: float(scores[0]),
    "second lowest lead": lambda scores: float(scores[min(1, len(scores) - 1)]),
    "10th percentile": lambda scores: float(np.percentile(scores, 10)),
    "mean": lambda scores: float(scores.mean()),
}
"""Rules on the scores of a record's leads, ascending."""

AS_LOWEST = "unusable leads as the lowest score"
COUNTED = "number of unusable leads first"
UNUSABLE = (AS_LOWEST, COUNTED)
"""What becomes of unusable leads."""


def combine_leads(scores: NDArray[np.floating], rule: str, unusable: str) -> NDArray[np.float64]:
    """Combines the scores of each record's leads, higher is cleaner, from (N, C) to (N,).

    Args:
        scores: Scores of leads, -inf for an unusable lead and NaN for none; each record has a lead at least.
        rule: One of `RULES`.
        unusable: One of `UNUSABLE`: unusable leads take the lowest score of any lead, or the record with more of them
            is the worse (in units of leads), and the rule on the others adds less than 1.
    """
    if rule not in RULES or unusable not in UNUSABLE:
        raise ValueError(
            f"no rule {rule!r} with {unusable!r}: choose of {', '.join(RULES)} and of {', '.join(UNUSABLE)}"
        )
    scores = np.asarray(scores, dtype=np.float64)
    finite = np.isfinite(scores)
    floor = scores[finite].min() if finite.any() else 0.0
    if unusable == AS_LOWEST:
        scores = np.where(np.isneginf(scores), floor, scores)
        finite = ~np.isnan(scores)
    combined = np.array(
        [RULES[rule](np.sort(row[use])) if use.any() else -np.inf for row, use in zip(scores, finite, strict=True)]
    )
    if unusable == AS_LOWEST:
        return combined
    return rankdata(combined) / (len(combined) + 1) - np.isneginf(scores).sum(axis=1)
