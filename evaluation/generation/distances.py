"""How far the features of generated ECGs lie from those of real ones: Wasserstein-1 distances beside their floor."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from evaluation.generation.ecg_features import FEATURES, INTERVALS, NO_P_WAVE, WAVES

OVERALL = "all"
"""Row of the mean over the intervals and the waves' amplitudes."""

_WAVE_COLUMNS = {wave: [k for k, feature in enumerate(FEATURES) if feature.wave == wave] for wave in WAVES}


def feature_values(table: pd.DataFrame, statements: Sequence[frozenset[str]]) -> NDArray[np.float64]:
    """Takes the features that mean something for each of N ECGs, in their units, shape (N, F); NaN where there is none.

    ECGs whose statements say that they have no conducted P waves get no PR interval and no P amplitude.
    """
    values = table[[feature.name for feature in FEATURES]].to_numpy(dtype=np.float64, copy=True)
    without = np.array([bool(codes & NO_P_WAVE) for codes in statements], dtype=bool)
    needing = np.array([feature.needs_p_wave for feature in FEATURES])
    values[np.outer(without, needing)] = np.nan
    return values


def compare_features(
    real: NDArray[np.float64],
    generated: NDArray[np.float64],
    training: NDArray[np.float64],
    n_resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Measures the Wasserstein-1 distance of each feature, with its interval and the floor that real ECGs set.

    W1 = integral of |F(v) - G(v)| over v, F and G the empirical distribution functions of the values found. Finite
    samples of one distribution have a distance too: the floor is that between the real ECGs and as many real training
    ECGs, drawn without replacement again and again; a distance below the 97.5th percentile of these draws is one that
    other real ECGs might have. Intervals are 95 % bootstrap intervals over records, twins drawn together, moved by the
    mean excess that resampling adds to a distance, so that they lie about their estimate.

    Args:
        real: Features of real ECGs, shape (N, F), as `feature_values` gives them.
        generated: Features of their twins, shape (N, F).
        training: Features of real training ECGs, shape (M, F), M at least N.
        n_resamples: Number of draws, for intervals and floor.
        seed: Seed of the draws.

    Returns:
        One row per feature, per wave (`P`, `R`, `T`: the mean over leads) and for `OVERALL`: `feature`, `unit`; `w1`,
        `lower`, `upper`, `floor`, `floor_lower`, `floor_upper` in that unit, and with `relative_` in front in standard
        deviations of the real feature; `real_mean`, `real_sd`, `generated_mean`, `generated_sd` (of a wave: means over
        leads of their magnitudes); `n_real` and `n_generated`, how many have the feature.
    """
    spread = np.array([spread_of(column) for column in real.T])

    def distances(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        return _summed_up(column_distances(one, other), spread)

    columns = with_floor(distances, real, generated, training, n_resamples, seed)
    names = [*(feature.name for feature in FEATURES), *WAVES, OVERALL]
    table = pd.DataFrame({"feature": names, "unit": [*(f.unit for f in FEATURES), *["mV"] * len(WAVES), ""]})
    for column, values in columns.items():
        table[column] = values[0]
        table[f"relative_{column}"] = values[1]
    for name, values in (("real", real), ("generated", generated)):
        found = np.isfinite(values).sum(axis=0)
        for statistic, function in (("mean", _mean), ("sd", spread_of)):
            single = np.array([function(column) for column in values.T])
            waves = (np.abs(single[columns]).mean() for columns in _WAVE_COLUMNS.values())
            table[f"{name}_{statistic}"] = [*single, *waves, np.nan]
        table[f"n_{name}"] = [*found, *(found[_WAVE_COLUMNS[wave]].min() for wave in WAVES), found.min()]
    return table


def with_floor(
    distances: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
    real: NDArray[np.float64],
    generated: NDArray[np.float64],
    training: NDArray[np.float64],
    n_resamples: int,
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Measures distances with their intervals and the floor that real ECGs set, as `compare_features` says.

    Args:
        distances: Distances of two sets of rows, of any shape.
        real: A row per real ECG, shape (N, F).
        generated: Rows of their twins, shape (N, F).
        training: Rows of real training ECGs, shape (M, F).
        n_resamples: Number of draws, for intervals and floor.
        seed: Seed of the draws.

    Returns:
        `w1`, `lower`, `upper`, `floor`, `floor_lower`, `floor_upper`, each of the shape that `distances` returns.

    Raises:
        ValueError: If M is below N.
    """
    if len(training) < len(real):
        raise ValueError(f"the floor needs {len(real)} training ECGs at least: raise evaluate.n_train")
    rng, draws, floors = np.random.default_rng(seed), [], []
    for _ in range(n_resamples):
        chosen = rng.integers(0, len(real), len(real))
        draws.append(distances(real[chosen], generated[chosen]))
        floors.append(distances(real, training[rng.permutation(len(training))[: len(real)]]))
    estimate = distances(real, generated)
    lower, upper = np.quantile(draws, [0.025, 0.975], axis=0) - (np.mean(draws, axis=0) - estimate)
    floor_lower, floor_upper = np.quantile(floors, [0.025, 0.975], axis=0)
    return {
        "w1": estimate,
        "lower": np.maximum(lower, 0.0),
        "upper": upper,
        "floor": np.mean(floors, axis=0),
        "floor_lower": floor_lower,
        "floor_upper": floor_upper,
    }


def column_distances(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the Wasserstein-1 distance of each column of (N, F) and (M, F), shape (F,); NaN where one is empty."""
    distances = np.full(first.shape[1], np.nan)
    for k, (one, other) in enumerate(zip(first.T, second.T, strict=True)):
        one, other = one[np.isfinite(one)], other[np.isfinite(other)]
        if len(one) and len(other):
            distances[k] = wasserstein_distance(one, other)
    return distances


def _summed_up(distances: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adds the means over leads of each wave and the overall mean: (2, rows), in units and in SDs of the feature."""
    relative = distances / spread
    waves = np.array(
        [[values[columns].mean() for columns in _WAVE_COLUMNS.values()] for values in (distances, relative)]
    )
    overall = np.mean([*relative[: len(INTERVALS)], *waves[1]])
    return np.stack([[*distances, *waves[0], np.nan], [*relative, *waves[1], overall]])


def spread_of(values: NDArray[np.float64]) -> float:
    """Returns the standard deviation of what is finite; NaN where it does not vary."""
    finite = values[np.isfinite(values)]
    return float(finite.std()) if len(finite) > 1 and np.ptp(finite) > 0.0 else np.nan


def _mean(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else np.nan
