"""Generated ECGs judged by the measures that users see (`einthoven.measure`), and their rhythms by statement."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.ecg.measures.values import BY_NAME, measure_signal
from einthoven.run.progress import track
from evaluation.generation.distances import column_distances, spread_of, with_floor

OVER_LEADS = ("heart_rate", "rr_sd", "pr", "qrs", "qt", "qtc_fridericia")
PER_LEAD = ("p_amplitude", "r_amplitude", "t_amplitude")
COLUMNS = (*OVER_LEADS, *(f"{name} {lead}" for name in PER_LEAD for lead in LEADS), "rr_cv", "has_p_waves")
"""Columns of what is measured; `rr_cv` is the standard deviation of the RR intervals over their mean."""

NORMAL = "NORM, SR"
RHYTHMS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    NORMAL: (frozenset({"NORM", "SR"}), frozenset({"PVC", "PAC", "PRC(S)"})),
    "SR": (frozenset({"SR"}), frozenset({"NORM", "PVC", "PAC", "PRC(S)"})),
    **{code: (frozenset({code}), frozenset()) for code in ("AFIB", "SARRH", "STACH", "SBRAD", "PACE", "PVC", "PAC")},
}
"""Groups of ECGs: the statements that they have, and those that they do not have."""
LEAST_RECORDS = 3


def measure_ecgs(ecgs: NDArray[np.floating], sampling_rate: float, name: str) -> NDArray[np.float64]:
    """Measures ECGs in mV, shape (N, 12, L): shape (N, `COLUMNS`), NaN where something cannot be measured."""
    rows = []
    for ecg in track(ecgs, "ECG", f"measures of {name}", keep=False):
        values = measure_signal(ecg.astype(np.float64), sampling_rate, LEADS)
        numbers = [values.numbers.get((measure, ""), np.nan) for measure in OVER_LEADS]
        numbers += [values.numbers.get((measure, lead), np.nan) for measure in PER_LEAD for lead in LEADS]
        rate, sd = numbers[0], numbers[1]
        waves = np.nan if values.beat is None else float(values.beat.has_p_waves)
        rows.append([*numbers, sd * rate / 60_000.0, waves])
    return np.array(rows, dtype=np.float64).reshape(-1, len(COLUMNS))


def compare_measures(
    real: NDArray[np.float64],
    generated: NDArray[np.float64],
    training: NDArray[np.float64],
    n_resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Measures the Wasserstein-1 distance of each measure in standard deviations of the real ECGs' measure.

    Distances, floor and intervals are those of `compare_features`; amplitudes are means over the leads.

    Args:
        real: Measures of real ECGs, shape (N, `COLUMNS`).
        generated: Measures of their twins, shape (N, `COLUMNS`).
        training: Measures of real training ECGs, shape (M, `COLUMNS`), M at least N.
        n_resamples: Number of draws, for intervals and floor.
        seed: Seed of the draws.

    Returns:
        One row per measure: `measure`, `unit`, `real_mean`, `real_sd`, `generated_mean`, `generated_sd`, `w1`, `lower`,
        `upper`, `floor`, `floor_lower`, `floor_upper`, `n_real`, `n_generated`.
    """
    groups = {name: [COLUMNS.index(name)] for name in OVER_LEADS}
    groups |= {name: [COLUMNS.index(f"{name} {lead}") for lead in LEADS] for name in PER_LEAD}
    spread = np.array([spread_of(column) for column in real.T])

    def distances(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        relative = column_distances(one, other) / spread
        return np.array([relative[columns].mean() for columns in groups.values()])

    table = pd.DataFrame({"measure": list(groups), "unit": [BY_NAME[name].unit for name in groups]})
    for name, values in (("real", real), ("generated", generated)):
        table[f"{name}_mean"] = [_mean(np.abs(values[:, columns])) for columns in groups.values()]
        table[f"{name}_sd"] = [np.mean([spread_of(values[:, k]) for k in columns]) for columns in groups.values()]
        table[f"n_{name}"] = [int(np.isfinite(values[:, columns]).sum(axis=0).min()) for columns in groups.values()]
    compared = with_floor(distances, real, generated, training, n_resamples, seed)
    return table.assign(**compared)


def compare_rhythms(
    real: NDArray[np.float64],
    generated: NDArray[np.float64],
    statements: Sequence[frozenset[str]],
    n_resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Compares how irregular beats are, and whether there are P waves, by the statements on the rhythm.

    Args:
        real: Measures of real ECGs, shape (N, `COLUMNS`).
        generated: Measures of their twins, shape (N, `COLUMNS`).
        statements: The statements of each.
        n_resamples: Number of bootstrap draws over records, twins drawn together.
        seed: Seed of the draws.

    Returns:
        One row per group of `RHYTHMS` of three records or more: `rhythm`, `n_records`; `real_cv`, `generated_cv`, the
        mean coefficients of variation of the RR intervals, `difference` of both with `lower` and `upper`; `real_p`,
        `generated_p`, shares of ECGs with P waves.
    """
    rng, cv, waves = np.random.default_rng(seed), COLUMNS.index("rr_cv"), COLUMNS.index("has_p_waves")
    rows: list[dict[str, object]] = []
    for name, (with_codes, without) in RHYTHMS.items():
        member = [with_codes <= codes and not without & codes for codes in statements]
        chosen = np.flatnonzero(np.array(member) & np.isfinite(real[:, cv]) & np.isfinite(generated[:, cv]))
        if len(chosen) < LEAST_RECORDS:
            continue
        difference = generated[chosen, cv] - real[chosen, cv]
        draws = difference[rng.integers(0, len(chosen), (n_resamples, len(chosen)))].mean(axis=1)
        lower, upper = np.quantile(draws, [0.025, 0.975])
        rows.append(
            {
                "rhythm": name,
                "n_records": len(chosen),
                "real_cv": real[chosen, cv].mean(),
                "generated_cv": generated[chosen, cv].mean(),
                "difference": difference.mean(),
                "lower": lower,
                "upper": upper,
                "real_p": real[chosen, waves].mean(),
                "generated_p": generated[chosen, waves].mean(),
            }
        )
    columns = ["rhythm", "n_records", "real_cv", "generated_cv", "difference", "lower", "upper", "real_p"]
    return pd.DataFrame(rows, columns=[*columns, "generated_p"])


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
