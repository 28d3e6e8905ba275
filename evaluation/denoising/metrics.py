"""How near a denoised ECG is to the clean one: distances as the field defines them, and beats.

ECGs are in mV, shape (..., C, L) for C leads of L samples. SSD, MAD and PRD follow DeepFilter (Romero et al., Biomed.
Signal Process. Control 70, 102992, 2021) and DeScoD (Li et al., IEEE J. Biomed. Health Inform. 2023): sums and maxima
over one lead, shape (..., C). Theirs are over beats of the QT database at 360 Hz scaled to their own amplitude, ours
over whole leads in mV at the store's rate, so only numbers of one table compare. A lead whose truth is constant has no
PRD, cosine similarity or SNR: NaN, which averages leave out.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from einthoven.ecg.filters import resample
from einthoven.extras import extra
from evaluation.inpainting.metrics import FLAT

with extra("train"):
    import neurokit2

MATCH_MS = 150.0
"""Farthest distance of two R peaks that count as the same beat (ANSI/AAMI EC57)."""

MAX_SNR_DB = 300.0
"""Ratio in dB of an estimate without error."""

SHORTEST_S = 2.0
"""Seconds that beats are looked for in at least."""

BEAT_RATE = 500.0
"""Rate in Hz that beats are looked for at, so that their places are not bound to a grid of 10 ms."""


def sum_of_squares(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Sum of squared distances, SSD, of each lead in mV^2."""
    return np.asarray(np.square(_difference(estimate, truth)).sum(axis=-1))


def maximum_distance(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Maximum absolute distance, MAD, of each lead in mV."""
    return np.asarray(np.abs(_difference(estimate, truth)).max(axis=-1))


def percentage_difference(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Percentage root-mean-square difference, PRD, of each lead in %.

    100 sqrt(sum (estimate - truth)^2 / sum (truth - mean of truth)^2), as the papers print it; DeepFilter's code
    divides by the estimate's sum of squares about the truth's mean instead.
    """
    centred = truth - truth.mean(axis=-1, keepdims=True, dtype=np.float64)
    power = np.square(centred).sum(axis=-1)
    return 100.0 * np.sqrt(_ratio(sum_of_squares(estimate, truth), power, truth))


def cosine_similarity(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Cosine of the angle between estimate and truth of each lead, offsets included; 0 where the estimate is zero."""
    product = (estimate.astype(np.float64) * truth).sum(axis=-1)
    norms = np.sqrt(
        np.square(estimate, dtype=np.float64).sum(axis=-1) * np.square(truth, dtype=np.float64).sum(axis=-1)
    )
    return np.where(norms > 0.0, _ratio(product, np.where(norms > 0.0, norms, 1.0), truth), _ratio(0.0, 1.0, truth))


def lead_snr(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Signal-to-noise ratio of each lead, 10 log10(sum truth^2 / sum (estimate - truth)^2), in dB, at most 300."""
    power = np.square(truth, dtype=np.float64).sum(axis=-1)
    defined = np.ptp(truth, axis=-1) > FLAT
    power = np.where(defined, power, 1.0)
    error = np.maximum(sum_of_squares(estimate, truth), power * 10.0 ** (-MAX_SNR_DB / 10.0))
    return np.where(defined, 10.0 * np.log10(power / error), np.nan)


def output_snr(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Signal-to-noise ratio of each record over all its leads, sums over leads and time, in dB, shape (...)."""
    joined = (*truth.shape[:-2], 1, truth.shape[-2] * truth.shape[-1])
    return lead_snr(np.asarray(estimate).reshape(joined), np.asarray(truth).reshape(joined))[..., 0]


def _difference(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.asarray(estimate, dtype=np.float64) - truth


def _ratio(values: np.ndarray | float, scale: np.ndarray | float, truth: np.ndarray) -> np.ndarray:
    """Divides; NaN where the truth is constant."""
    defined = np.ptp(truth, axis=-1) > FLAT
    return np.where(defined, values / np.where(defined, scale, 1.0), np.nan)


@dataclass(frozen=True)
class Beats:
    """Beats of one lead: times of the R peaks, shape (n,), and median width of its QRS complexes (or NaN), in ms."""

    peaks_ms: np.ndarray
    qrs_width_ms: float


def find_beats(ecg: np.ndarray, sampling_rate: float) -> Beats:
    """Finds the R peaks and the QRS complexes of a lead in mV with neurokit2 (its own detector; wavelet delineation).

    Without peaks and with NaN where there are none, or too few to delineate.
    """
    if np.ptp(ecg) <= FLAT or len(ecg) < SHORTEST_S * sampling_rate:
        return Beats(np.empty(0), np.nan)
    fine = resample(ecg, sampling_rate, BEAT_RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # neurokit2 warns of every odd beat
        try:
            peaks = neurokit2.ecg_peaks(fine, sampling_rate=BEAT_RATE)[1]["ECG_R_Peaks"]
        except (IndexError, ValueError, ZeroDivisionError):  # what its detector raises where it finds no complex
            return Beats(np.empty(0), np.nan)
        peaks = np.asarray(peaks, dtype=np.int64)
        try:
            waves = neurokit2.ecg_delineate(fine, peaks, sampling_rate=BEAT_RATE, method="dwt")[1]
            width = np.subtract(waves["ECG_R_Offsets"], waves["ECG_R_Onsets"], dtype=np.float64)
        except (IndexError, KeyError, ValueError, ZeroDivisionError):  # what its delineation raises for too few beats
            width = np.empty(0)
    width = width[np.isfinite(width)]
    median = float(np.median(width)) if len(width) else np.nan
    return Beats(peaks * 1000.0 / BEAT_RATE, median * 1000.0 / BEAT_RATE)


@dataclass(frozen=True)
class BeatErrors:
    """How the beats of a denoised lead differ from the true ones; NaN where there is nothing to compare.

    Attributes:
        timing_ms: Mean distance of the matched R peaks in ms.
        missed: Share of true beats without a match, in %.
        extra: Share of found beats without a match, in %; NaN where none was found.
        qrs_width_ms: Distance of the median QRS widths in ms.
        qrs_failed: 100 where the truth has a QRS width and the estimate none, 0 where both have one, NaN otherwise.
    """

    timing_ms: float
    missed: float
    extra: float
    qrs_width_ms: float
    qrs_failed: float


def beat_errors(estimate: Beats, truth: Beats) -> BeatErrors:
    """Compares the beats of a denoised lead with the true ones.

    Peaks match one to one, nearest pairs first, up to 150 ms apart.
    """
    n_true, n_found = len(truth.peaks_ms), len(estimate.peaks_ms)
    distance = np.abs(truth.peaks_ms[:, None] - estimate.peaks_ms)
    matched = []
    while distance.size and distance.min() <= MATCH_MS:
        row, column = np.unravel_index(distance.argmin(), distance.shape)
        matched.append(distance[row, column])
        distance[row], distance[:, column] = np.inf, np.inf
    width_error = abs(estimate.qrs_width_ms - truth.qrs_width_ms)
    return BeatErrors(
        timing_ms=float(np.mean(matched)) if matched else np.nan,
        missed=100.0 * (1.0 - len(matched) / n_true) if n_true else np.nan,
        extra=100.0 * (1.0 - len(matched) / n_found) if n_found else np.nan,
        qrs_width_ms=width_error,
        qrs_failed=100.0 * float(np.isnan(width_error)) if np.isfinite(truth.qrs_width_ms) else np.nan,
    )
