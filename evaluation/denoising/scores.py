"""Scores of denoised ECGs: per record and lead, and summed up over records with bootstrap intervals.

Reported are the eight independent leads together: the other four follow from I and II.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np
import pandas as pd

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS
from einthoven.report.tables import Row
from einthoven.statistics import bootstrap_intervals, crps, mean_over_records
from evaluation.denoising import metrics as denoising_metrics
from evaluation.denoising.metrics import BeatErrors, Beats
from evaluation.inpainting import metrics
from evaluation.inpainting.scores import REPORTED

CHUNK = 8
"""Records per chunk."""

ROWS = (
    Row("output_snr", "output SNR (dB)", 2),
    Row("snr_improvement", "SNR improvement (dB)", 2),
    Row("snr_above_best", "output SNR above the best baseline (dB)", 2),
    Row("snr_above_wiener", "output SNR above the Wiener filter (dB)", 2),
    Row("ssd", "SSD (mV^2)", 3),
    Row("mad", "MAD (mV)", 3),
    Row("prd", "PRD (%)", 1),
    Row("cosine", "cosine similarity", 3),
    Row("mae", "MAE (mV)", 4),
    Row("rmse", "RMSE (mV)", 4),
    Row("crps", "CRPS (mV)", 4),
    Row("coverage", "coverage of the 90 % band (%)", 1),
    Row("timing_ms", "R peak timing error (ms)", 1),
    Row("missed", "beats missed (%)", 1),
    Row("extra", "beats extra (%)", 1),
    Row("qrs_width_ms", "QRS width error (ms)", 1),
    Row("qrs_failed", "QRS not delineated (%)", 1),
    Row("seconds", "seconds per ECG", 2),
    Row("network_calls", "network calls", 0),
    Row("gradient_calls", "of them with a gradient", 0),
)

_INDEPENDENT = [LEADS.index(lead) for lead in INDEPENDENT_LEADS]


def score_denoising(
    estimate: np.ndarray,
    truth: np.ndarray,
    noisy: np.ndarray,
    samples: np.ndarray | None = None,
    band: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Scores denoised ECGs against the clean ones, beats left out.

    Output SNR and RMSE pool the reported leads of a record; the others are averaged over them. The CRPS of a method
    without samples is its absolute error.

    Args:
        estimate: Denoised ECG in mV, shape (N, 12, L).
        truth: Clean ECG in mV, shape (N, 12, L).
        noisy: Noisy ECG in mV, shape (N, 12, L).
        samples: Samples in mV, shape (N, S, 12, L), or None.
        band: Edges of the 90 % band in mV, each of shape (N, 12, L), or None.

    Returns:
        By metric, values of shape (N, 13): the leads in the order of `LEADS`, then the reported leads together.
    """
    everywhere = np.ones(truth.shape, bool)
    mse = metrics.squared_error(estimate, truth, everywhere)
    mae = metrics.absolute_error(estimate, truth, everywhere)
    drawn = samples is not None and samples.shape[1] > 1
    covered = metrics.coverage(*band, truth, everywhere) if band is not None else np.full(mae.shape, np.nan)
    per_lead = {
        "ssd": denoising_metrics.sum_of_squares(estimate, truth),
        "mad": denoising_metrics.maximum_distance(estimate, truth),
        "prd": denoising_metrics.percentage_difference(estimate, truth),
        "cosine": denoising_metrics.cosine_similarity(estimate, truth),
        "mae": mae,
        "crps": _crps(samples, truth) if drawn and samples is not None else mae,
        "coverage": 100.0 * covered,
    }
    values = {name: _with_reported(found, _mean(found)) for name, found in per_lead.items()}
    snr = _snr(estimate, truth)
    return {
        "output_snr": snr,
        "snr_improvement": snr - _snr(noisy, truth),
        **values,
        "rmse": _with_reported(np.sqrt(mse), np.sqrt(_mean(mse))),
    }


def find_all_beats(ecg: np.ndarray, sampling_rate: float, leads: Sequence[str]) -> list[list[Beats]]:
    """Finds the beats of some leads of all records.

    Args:
        ecg: ECG in mV, shape (N, 12, L).
        sampling_rate: Sampling rate in Hz.
        leads: The leads.

    Returns:
        For each record, the beats of each lead.
    """
    places = [LEADS.index(lead) for lead in leads]
    return [[denoising_metrics.find_beats(record[place], sampling_rate) for place in places] for record in ecg]


def score_beats(
    estimate: Sequence[Sequence[Beats]], truth: Sequence[Sequence[Beats]], leads: Sequence[str]
) -> dict[str, np.ndarray]:
    """Compares beats lead by lead.

    Args:
        estimate: Beats of the denoised ECGs, as `find_all_beats` returns them.
        truth: Beats of the clean ECGs.
        leads: Their leads.

    Returns:
        By metric (the fields of `BeatErrors`), values of shape (N, 13); NaN in leads without beats; last the mean over
        `leads`.
    """
    places = [LEADS.index(lead) for lead in leads]
    names = [field.name for field in fields(BeatErrors)]
    values = np.full((len(names), len(truth), len(LEADS)), np.nan)
    for record, (found, true) in enumerate(zip(estimate, truth, strict=True)):
        for place, mine, wanted in zip(places, found, true, strict=True):
            errors = denoising_metrics.beat_errors(mine, wanted)
            values[:, record, place] = [getattr(errors, name) for name in names]
    return {
        name: _with_reported(of_leads, mean_over_records(of_leads[:, places].T))
        for name, of_leads in zip(names, values, strict=True)
    }


def summarise(values: Mapping[str, np.ndarray], n_resamples: int, seed: int) -> pd.DataFrame:
    """Averages over records, with bootstrap 95 % intervals.

    Args:
        values: By metric, values of shape (N, 13), as above; NaN marks a record without a value.
        n_resamples: Number of bootstrap draws.
        seed: Seed of the draws.

    Returns:
        One row per metric and lead: columns `metric`, `lead`, `value`, `lower`, `upper`, `n_records`.
    """
    rows = []
    for name, column in values.items():
        intervals = bootstrap_intervals(column, mean_over_records, n_resamples, seed)
        counts = np.isfinite(column).sum(axis=0)
        for lead, count, interval in zip((*LEADS, REPORTED), counts, intervals, strict=True):
            rows.append((name, lead, interval.estimate, interval.lower, interval.upper, int(count)))
    return pd.DataFrame(rows, columns=["metric", "lead", "value", "lower", "upper", "n_records"])


def _snr(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    joint = denoising_metrics.output_snr(estimate[:, _INDEPENDENT], truth[:, _INDEPENDENT])
    return _with_reported(denoising_metrics.lead_snr(estimate, truth), joint)


def _crps(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    parts = []
    for start in range(0, len(truth), CHUNK):
        rows = slice(start, start + CHUNK)
        parts.append(crps(np.asarray(samples[rows]), truth[rows], np.ones(truth[rows].shape, bool)))
    return np.concatenate(parts)


def _mean(values: np.ndarray) -> np.ndarray:
    return mean_over_records(values[:, _INDEPENDENT].T)


def _with_reported(per_lead: np.ndarray, reported: np.ndarray) -> np.ndarray:
    return np.concatenate([per_lead, reported[:, None]], axis=1)
