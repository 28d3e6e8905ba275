"""Logistic rules whose weights are 0 or more: each input moves the probability one way only."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata

Floats = NDArray[np.float64]


def fit_logistic(inputs: Floats, positive: NDArray[np.bool_], penalty: float) -> tuple[float, Floats]:
    """Finds the most likely rule.

    Args:
        inputs: Shape (n, k), each larger where positive is more likely.
        positive: Shape (n,), some of both.
        penalty: On the squares of the weights of standardised inputs: the fit is finite where a rule parts all.

    Returns:
        Offset and weights, 0 or more, shape (k,), of the inputs as they are: odds = offset + inputs @ weights.
    """
    centre, spread = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-9)
    z, sign = (inputs - centre) / spread, np.where(positive, 1.0, -1.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = sign * (z @ weights[1:] + weights[0])
        slope = -sign / (1 + np.exp(margin))
        gradient = np.concatenate([[slope.mean()], (z * slope[:, None]).mean(axis=0) + 2 * penalty * weights[1:]])
        return float(np.logaddexp(0, -margin).mean() + penalty * (weights[1:] ** 2).sum()), gradient

    bounds = [(None, None), *[(0.0, None)] * inputs.shape[1]]
    found = minimize(loss, np.full(1 + inputs.shape[1], 0.5), jac=True, bounds=bounds).x
    weights = found[1:] / spread
    return float(found[0] - weights @ centre), weights


def held_out(inputs: Floats, positive: NDArray[np.bool_], part: NDArray[np.integer], penalty: float) -> Floats:
    """Returns the log odds of rows, each by the rule that is fitted on the rows of the other parts, shape (n,)."""
    odds = np.empty(len(inputs))
    for number in np.unique(part):
        others = part != number
        offset, weights = fit_logistic(inputs[others], positive[others], penalty)
        odds[~others] = offset + inputs[~others] @ weights
    return odds


def probability(odds: Floats) -> Floats:
    """Turns log odds, of any shape, into probabilities."""
    return np.asarray(1.0 / (1.0 + np.exp(-odds)))


def auroc(values: Floats, positive: NDArray[np.bool_]) -> float:
    """Returns the chance that a positive value lies above a negative one, NaN without both."""
    n = int(positive.sum())
    if n in (0, len(positive)):
        return float("nan")
    return float((rankdata(values)[positive].sum() - n * (n + 1) / 2) / (n * (len(positive) - n)))
