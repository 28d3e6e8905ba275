"""What a restored ECG does to its measures: bias, limits of agreement, and coverage of the intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.ecg.measures.measuring import summarise
from einthoven.ecg.measures.values import ANGLES, BY_NAME, Values, measure_samples, measure_signal
from einthoven.report.tables import format_row, markdown_table
from einthoven.run.progress import track
from einthoven.statistics import bootstrap_intervals
from evaluation.scores import Estimate

OVER_LEADS = ("heart_rate", "rr_sd", "rmssd", "pr", "qrs", "qt", "qtc_fridericia", "p_axis", "qrs_axis")
PER_LEAD = ("r_amplitude", "s_amplitude", "t_amplitude", "st_j", "st_j60")
ORDER = [f"{BY_NAME[name].label} ({BY_NAME[name].unit})" for name in (*OVER_LEADS, *PER_LEAD)]
STATISTICS = ("bias", "sd", "lower_limit", "upper_limit", "coverage", "lost", "found")
FILE = "measures.csv"
AGREEMENT = 1.96
"""Limits of agreement lie so many standard deviations from the bias (Bland and Altman, Lancet 1, 307, 1986)."""


@dataclass(frozen=True)
class MeasuredErrors:
    """Measures of N ECGs by one method, beside those of the true ECGs.

    Attributes:
        errors: By measure, estimate less truth, shape (N, K), with K leads, or 1 over leads; NaN where either lacks it.
        inside: Whether the truth lies in the 90 % interval, same shape; NaN without an interval.
        lost: 1 where the true ECG has the measure and the estimate has not, 0 where both have, else NaN.
        found: 1 where the estimate has it and the true ECG has not, 0 where neither has, else NaN.
    """

    errors: dict[str, NDArray[np.float64]]
    inside: dict[str, NDArray[np.float64]]
    lost: dict[str, NDArray[np.float64]]
    found: dict[str, NDArray[np.float64]]


def report_errors(
    estimates: Mapping[str, Estimate], leads: Sequence[str], n_records: int, n_resamples: int, seed: int
) -> tuple[dict[str, pd.DataFrame], str]:
    """Compares the measures of the first records by several methods with those of the true ECGs.

    Args:
        estimates: By method, all of the same records.
        leads: Leads whose amplitudes and ST levels are compared.
        n_records: Most records; 0: none.
        n_resamples: Number of bootstrap draws over records.
        seed: Seed of the draws.

    Returns:
        The table by the name of its file, and the section for people; nothing without records.
    """
    if not n_records:
        return {}, ""
    first = next(iter(estimates.values()))
    truth = true_measures(first.truth[:n_records], first.sampling_rate)
    errors = {
        name: measure_errors(estimate, truth, leads, f"measures of {name}") for name, estimate in estimates.items()
    }
    table = error_table(errors, n_resamples, seed)
    return {FILE: table}, error_section(table, len(truth), leads)


def true_measures(truth: NDArray[np.floating], sampling_rate: float) -> list[Values]:
    """Measures ECGs in mV, shape (N, 12, L); also ST levels, whatever high-pass they and the estimates went through."""
    return [measure_signal(np.asarray(ecg, np.float64), sampling_rate, LEADS) for ecg in track(truth, "ECG", "truth")]


def measure_errors(
    estimate: Estimate, truth: Sequence[Values], leads: Sequence[str], name: str = "estimate"
) -> MeasuredErrors:
    """Compares the measures of ECGs with those of the true ones: of the samples together, or of the point estimate.

    Args:
        estimate: The ECGs, those of `truth` first.
        truth: Measures of the true ECGs, as `true_measures` gives them.
        leads: Leads whose amplitudes and ST levels are compared.
        name: Name of the progress bar.
    """
    shapes = {measure: (len(truth), len(_leads_of(measure, leads))) for measure in (*OVER_LEADS, *PER_LEAD)}
    kinds = ("errors", "inside", "lost", "found")
    filled = {kind: {measure: np.full(shape, np.nan) for measure, shape in shapes.items()} for kind in kinds}
    for record, true in enumerate(track(list(truth), "ECG", name)):
        mean, rate = np.asarray(estimate.mean[record], np.float64), estimate.sampling_rate
        if estimate.samples is None:
            values = [measure_signal(mean, rate, LEADS)]
        else:
            values = measure_samples(np.asarray(estimate.samples[record], np.float64), mean, rate, LEADS)
        for measure in shapes:
            for place, lead in enumerate(_leads_of(measure, leads)):
                key = (measure, lead)
                value, lower, upper, _ = summarise(values, key)
                wanted = true.numbers.get(key, np.nan)
                at = (measure, record, place)
                _put(filled["lost" if np.isfinite(wanted) else "found"], at, np.isnan(value) == np.isfinite(wanted))
                error = value - wanted
                if measure in ANGLES:
                    error = (error + 180.0) % 360.0 - 180.0
                _put(filled["errors"], at, error)
                if np.isfinite([error, lower, upper]).all():
                    _put(filled["inside"], at, lower - value <= -error <= upper - value)
    return MeasuredErrors(**filled)


def _leads_of(measure: str, leads: Sequence[str]) -> Sequence[str]:
    return leads if measure in PER_LEAD else ("",)


def _put(values: Mapping[str, NDArray[np.float64]], at: tuple[str, int, int], number: float | bool) -> None:
    measure, record, place = at
    values[measure][record, place] = number


def error_table(errors: Mapping[str, MeasuredErrors], n_resamples: int, seed: int) -> pd.DataFrame:
    """Sums errors up over records, with bootstrap 95 % intervals.

    Args:
        errors: By method.
        n_resamples: Number of bootstrap draws over records.
        seed: Seed of the draws.

    Returns:
        One row per method, measure and statistic (`bias`, `sd`, `lower_limit`, `upper_limit`, `coverage`, `lost`,
        `found`; the last three in per cent): `value`, `lower`, `upper`, `n` pairs.
    """
    rows = []
    for (method, own), measure in product(errors.items(), (*OVER_LEADS, *PER_LEAD)):
        stacked = np.stack([kind[measure] for kind in (own.errors, own.inside, own.lost, own.found)], axis=1)
        intervals = bootstrap_intervals(stacked, _statistics, n_resamples, seed)
        n = int(np.isfinite(own.errors[measure]).sum())
        for name, interval in zip(STATISTICS, intervals, strict=True):
            rows.append((method, measure, name, interval.estimate, interval.lower, interval.upper, n))
    return pd.DataFrame(rows, columns=["method", "measure", "statistic", "value", "lower", "upper", "n"])


def _statistics(stacked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Takes the statistics of errors, inside, lost and found, shape (N, 4, K)."""
    error, inside, lost, found = (part[np.isfinite(part)] for part in np.moveaxis(stacked, 1, 0))
    bias = float(error.mean()) if len(error) else np.nan
    sd = float(error.std(ddof=1)) if len(error) > 1 else np.nan
    shares = [100.0 * float(part.mean()) if len(part) else np.nan for part in (inside, lost, found)]
    return np.array([bias, sd, bias - AGREEMENT * sd, bias + AGREEMENT * sd, *shares])


def error_section(table: pd.DataFrame, n_records: int, leads: Sequence[str]) -> str:
    """Writes the table for people: a row for each measure and method."""
    header = ["measure", "method", "bias", "limits of agreement", "coverage of the 90 % interval (%)", "lost (%)", "n"]
    rows = []
    for (measure, method), part in table.groupby(["measure", "method"], sort=False):
        known = BY_NAME[str(measure)]
        by = {row["statistic"]: row for row in part.to_dict("records")}
        if not by["bias"]["n"]:
            continue
        limits = " to ".join(f"{by[name]['value']:.{known.digits}f}" for name in ("lower_limit", "upper_limit"))
        cells = [format_row(by["bias"], max(known.digits, 1)), limits, format_row(by["coverage"], 0)]
        lost = by["lost"]["value"]
        cells += ["-" if np.isnan(lost) else f"{lost:.0f}", str(by["bias"]["n"])]
        rows.append([f"{known.label} ({known.unit})", str(method), *cells])
    rows.sort(key=lambda row: ORDER.index(row[0]))
    about = (
        f"{n_records} records; error: the restored ECG's less the true ECG's; amplitudes and ST levels over the leads "
        f"{', '.join(leads)}; ST levels of both after the high-pass of 0.6 Hz; lost: measurable in the true ECG alone"
    )
    return f"## Measures\n\n{markdown_table(header, rows)}\n- {about}\n"
