"""What tells a bad second of a lead from a good one, without any network.

It is compared with the lead's other seconds, the other leads and Einthoven's law, and looked at for itself: is it flat,
or at the recorder's limit?

Logarithms are decimal; levels are in mV with a floor far below an ECG.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from einthoven.ecg.checks import CONSTANT_MV, FLAT_MV, longest_run, saturated_samples
from einthoven.ecg.filters import clean_signal, fill_gaps, resample
from einthoven.ecg.leads import LIMB_COEFFICIENTS, lead_matrix
from reconstruction.repairs.pieces import piece_edges, runs

RATE_HZ = 100.0
"""Rate that shapes are looked at: recordings of any rate then look alike."""
BANDS_HZ = ((0.7, 4.0), (4.0, 12.0), (12.0, 25.0), (25.0, 45.0))
CHECKS: tuple[str, ...] = ("held_s", "saturated_s", "range_raw")
"""Features of the usability checks."""
PLAIN: tuple[str, ...] = (
    "range",
    "range_relative",
    "peakedness",
    "drift",
    "level",
    "step",
    "roughness",
    "roughness_relative",
    "roughness_to_leads",
    *(f"band{k}" for k in range(len(BANDS_HZ))),
    *(f"band{k}_relative" for k in range(len(BANDS_HZ))),
    "regression",
    "regression_relative",
    "correlation",
    "law",
)
"""Plain features."""
HELD_S = 0.2
"""A lead that does not change at all for so long is lost ..."""
FLAT_S = 0.5
"""... and one that hardly changes, if it does so for so long."""
RIDGE = 1e-3
N_REWEIGHTINGS = 3
FLOOR_MV = 0.003


def piece_features(ecg: NDArray[np.float64], sampling_rate: float, leads: Sequence[str]) -> NDArray[np.float64]:
    """Computes `CHECKS` and `PLAIN` of each piece of each lead, shape (n_leads, pieces, features), NaN: does not apply.

    Args:
        ecg: ECG in mV, shape (n_leads, L), NaN where missing; at least half a second.
        sampling_rate: Its rate in Hz.
        leads: Names of its leads.
    """
    filled = fill_gaps(ecg)
    usable = fill_gaps(np.where(lost_samples(ecg, sampling_rate), np.nan, ecg))
    slow = resample(usable, sampling_rate, RATE_HZ)
    clean = clean_signal(usable, sampling_rate, RATE_HZ)
    edges = piece_edges(clean.shape[-1], RATE_HZ, len(piece_edges(ecg.shape[-1], sampling_rate)) - 1)
    own_edges = np.round(edges * sampling_rate / RATE_HZ).astype(int).clip(max=ecg.shape[-1])
    checks = np.stack([_checks(lead, own_edges, sampling_rate) for lead in filled])
    return np.concatenate([checks, _shapes(slow, clean, edges, leads)], axis=-1)


def lost_samples(ecg: NDArray[np.float64], sampling_rate: float) -> NDArray[np.bool_]:
    """Finds the samples of leads, shape (n_leads, L), that say nothing: missing, held, flat, or at the limit."""
    lost = np.isnan(ecg)
    n_flat = max(2, round(FLAT_S * sampling_rate))
    for row, lead in enumerate(fill_gaps(ecg)):
        lost[row] |= np.logical_or(*saturated_samples(lead, sampling_rate))
        for still, n_least in ((_still(lead), HELD_S * sampling_rate), (_flat(lead, n_flat), n_flat)):
            for first, last in runs(still):
                if last - first >= n_least:
                    lost[row, first : last + 1] = True
    return np.asarray(lost)


def _still(lead: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tells where a lead does not change to the next sample."""
    return np.asarray(np.abs(np.diff(lead, append=lead[-1])) <= CONSTANT_MV / 2)


def _flat(lead: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Tells which samples lie in a stretch of `size` samples that hardly changes."""
    ranges = maximum_filter1d(lead, size) - minimum_filter1d(lead, size)
    return np.asarray(maximum_filter1d((ranges <= FLAT_MV).astype(np.int8), size) > 0)


def _checks(lead: NDArray[np.float64], edges: NDArray[np.int64], rate: float) -> NDArray[np.float64]:
    """Returns how long a lead is held and saturated in each piece, in s, and the log of its range; (pieces, 3)."""
    still = _still(lead)
    at_limit = np.logical_or(*saturated_samples(lead, rate))
    rows = []
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        span = slice(first, last)
        held, saturated = (longest_run(mask[span]) / rate for mask in (still, at_limit))
        rows.append([held, saturated, np.log10(np.ptp(lead[span]) + FLOOR_MV)])
    return np.array(rows)


def _shapes(
    slow: NDArray[np.float64], clean: NDArray[np.float64], edges: NDArray[np.int64], leads: Sequence[str]
) -> NDArray[np.float64]:
    """Returns `PLAIN` of ECGs at `RATE_HZ`, unfiltered and filtered, each (n_leads, L)."""
    drift = slow - clean
    extent = _log(_by_piece(np.ptp, clean, edges))
    level = _by_piece(np.mean, drift, edges)
    bend = np.abs(np.diff(clean, 2, prepend=clean[:, :1], append=clean[:, -1:]))
    rough = _log(_by_piece(np.median, bend, edges), 3e-4)
    bands = [_log(_by_piece(np.std, band, edges)) for band in _bands(clean)]
    residual, correlation = _regressions(clean, edges)
    typical = np.median(_log(_by_piece(np.std, clean, edges)), axis=-1, keepdims=True)
    shapes = [
        extent,
        extent - _middle(extent),
        extent - _log(_by_piece(lambda x, axis: np.median(np.abs(x), axis=axis), clean, edges)),
        _log(_by_piece(np.ptp, drift, edges), 0.01),
        _log(np.abs(level - _middle(level)), 0.01),
        _log(np.abs(np.diff(level, axis=-1, prepend=level[:, :1])), 0.01),
        rough,
        rough - _middle(rough),
        rough - np.median(rough, axis=0, keepdims=True),
        *(band - typical for band in bands),
        *(band - _middle(band) for band in bands),
        residual - typical,
        residual - _middle(residual),
        correlation,
        _law(clean, edges, leads),
    ]
    return np.stack(shapes, axis=-1)


def _by_piece(function: object, x: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Applies a function along the samples of each piece, (n_leads, L) to (n_leads, pieces)."""
    assert callable(function)
    spans = zip(edges[:-1], edges[1:], strict=True)
    return np.stack([function(x[:, first:last], axis=-1) for first, last in spans], axis=-1)


def _log(values: NDArray[np.float64], floor: float = FLOOR_MV) -> NDArray[np.float64]:
    return np.asarray(np.log10(values + floor))


def _middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns what is usual for the seconds of a lead: their lower third, as noise rather adds than takes away."""
    return np.asarray(np.quantile(values, 0.35, axis=-1, keepdims=True))


def _bands(clean: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    padding = min(100, clean.shape[-1] - 1)
    sections = [signal.butter(2, band, "bandpass", fs=RATE_HZ, output="sos") for band in BANDS_HZ]
    return [signal.sosfiltfilt(rows, clean, axis=-1, padlen=padding) for rows in sections]


def _regressions(clean: NDArray[np.float64], edges: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Predicts each lead from the others, sample by sample, by a regression in which what does not fit counts less.

    Returns the log of the root mean square error, and the largest correlation with another lead, (n_leads, pieces).
    """
    n_leads, n_pieces = len(clean), len(edges) - 1
    error, correlation = np.full((n_leads, n_pieces), np.nan), np.full((n_leads, n_pieces), np.nan)
    if n_leads < 2:
        return error, correlation
    piece = np.repeat(np.arange(n_pieces), np.diff(edges))
    for row in range(n_leads):
        others, target = np.delete(clean, row, axis=0), clean[row]
        weights = np.ones(n_pieces)
        for _ in range(N_REWEIGHTINGS):
            w = weights[piece]
            gram = (others * w) @ others.T
            gram += RIDGE * (np.trace(gram) / len(gram) + 1e-9) * np.eye(len(gram))
            left = target - np.linalg.solve(gram, (others * w) @ target) @ others
            power = np.bincount(piece, left**2, n_pieces) / np.bincount(piece, minlength=n_pieces)
            weights = 1 / (power + 0.1 * np.median(power) + FLOOR_MV**2)
            weights /= weights.max()
        error[row] = _log(np.sqrt(power))
        with np.errstate(invalid="ignore", divide="ignore"):
            for place, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
                x, y = others[:, first:last], target[first:last]
                x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean()
                ratio = np.abs(x @ y) / np.sqrt(np.square(x).sum(axis=-1) * np.square(y).sum())
                correlation[row, place] = np.nanmax(ratio) if np.isfinite(ratio).any() else 0.0
    return error, correlation


def _law(clean: NDArray[np.float64], edges: NDArray[np.int64], leads: Sequence[str]) -> NDArray[np.float64]:
    """Returns the log of what limb leads differ by from the pair of others that gives them best, (n_leads, pieces)."""
    limb = [row for row, lead in enumerate(leads) if lead in LIMB_COEFFICIENTS]
    found = np.full((len(clean), len(edges) - 1), np.nan)
    if len(limb) < 3:
        return found
    for row in limb:
        errors = []
        for pair in combinations([other for other in limb if other != row], 2):
            weights = lead_matrix([leads[row]], [leads[other] for other in pair])[0]
            errors.append(_by_piece(np.std, clean[row : row + 1] - weights @ clean[list(pair)], edges)[0])
        found[row] = _log(np.min(errors, axis=0))
    return found
