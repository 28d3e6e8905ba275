"""What is scored of denoised ECGs: whole leads, and beats.

Reported are the eight independent leads together: the other four follow from I and II.
"""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from einthoven.ecg.leads import LEADS, lead_rows
from einthoven.statistics import finite_mean
from evaluation.denoising import metrics
from evaluation.denoising.metrics import BeatErrors, Beats
from evaluation.inpainting.scores import coverage, crps_or_error, mean_error, mean_squared_error
from evaluation.scores import Estimate, Metric


def _joint_snr(values: np.ndarray, estimate: Estimate, leads: Sequence[int]) -> np.ndarray:
    """SNR of the leads together, shape (N,)."""
    return metrics.output_snr(estimate.mean[:, leads], estimate.truth[:, leads])


def _noisy(estimate: Estimate) -> np.ndarray:
    assert estimate.noisy is not None, "an improvement is over what was denoised"
    return estimate.noisy


def _snr_improvement(estimate: Estimate) -> np.ndarray:
    return metrics.lead_snr(estimate.mean, estimate.truth) - metrics.lead_snr(_noisy(estimate), estimate.truth)


def _joint_improvement(values: np.ndarray, estimate: Estimate, leads: Sequence[int]) -> np.ndarray:
    before = metrics.output_snr(_noisy(estimate)[:, leads], estimate.truth[:, leads])
    return _joint_snr(values, estimate, leads) - before


METRICS = (
    Metric("output_snr", "output SNR (dB)", 2, lambda e: metrics.lead_snr(e.mean, e.truth), _joint_snr),
    Metric("snr_improvement", "SNR improvement (dB)", 2, _snr_improvement, _joint_improvement),
    Metric("snr_above_best", "output SNR above the best baseline (dB)", 2),
    Metric("snr_above_wiener", "output SNR above the Wiener filter (dB)", 2),
    Metric("ssd", "SSD (mV^2)", 3, lambda e: metrics.sum_of_squares(e.mean, e.truth)),
    Metric("mad", "MAD (mV)", 3, lambda e: metrics.maximum_distance(e.mean, e.truth)),
    Metric("prd", "PRD (%)", 1, lambda e: metrics.percentage_difference(e.mean, e.truth)),
    Metric("cosine", "cosine similarity", 3, lambda e: metrics.cosine_similarity(e.mean, e.truth)),
    Metric("mae", "MAE (mV)", 4, mean_error),
    Metric("crps", "CRPS (mV)", 4, crps_or_error),
    Metric("coverage", "coverage of the 90 % band (%)", 1, lambda e: 100.0 * coverage(e)),
    Metric("rmse", "RMSE (mV)", 4, mean_squared_error, then=np.sqrt),
    Metric("timing_ms", "R peak timing error (ms)", 1),
    Metric("missed", "beats missed (%)", 1),
    Metric("extra", "beats extra (%)", 1),
    Metric("qrs_width_ms", "QRS width error (ms)", 1),
    Metric("qrs_failed", "QRS not delineated (%)", 1),
    Metric("seconds", "seconds per ECG", 2),
    Metric("network_calls", "network calls", 0),
    Metric("gradient_calls", "of them with a gradient", 0),
)
"""The lines of the report. Output SNR and RMSE pool the reported leads of a record; the others are averaged over
them."""


def find_all_beats(ecg: np.ndarray, sampling_rate: float, leads: Sequence[str]) -> list[list[Beats]]:
    """Finds the beats of some leads of ECGs in mV, shape (N, 12, L): for each record, those of each lead."""
    return [[metrics.find_beats(lead, sampling_rate) for lead in record] for record in ecg[:, lead_rows(leads)]]


def score_beats(
    estimate: Sequence[Sequence[Beats]], truth: Sequence[Sequence[Beats]], leads: Sequence[str]
) -> dict[str, np.ndarray]:
    """Compares beats of some leads, as `find_all_beats` returns them, with those of the clean ECGs.

    Returns:
        By metric (the fields of `BeatErrors`), values of shape (N, 13); NaN in leads without beats; last the mean over
        `leads`.
    """
    places = lead_rows(leads)
    names = [field.name for field in fields(BeatErrors)]
    values = np.full((len(names), len(truth), len(LEADS)), np.nan)
    for record, (found, true) in enumerate(zip(estimate, truth, strict=True)):
        for place, mine, wanted in zip(places, found, true, strict=True):
            errors = metrics.beat_errors(mine, wanted)
            values[:, record, place] = [getattr(errors, name) for name in names]
    return {
        name: np.column_stack([of_leads, finite_mean(of_leads[:, places].T)])
        for name, of_leads in zip(names, values, strict=True)
    }
