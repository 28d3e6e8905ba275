"""What one window of a recording holds for the scorer: its signal without gaps, what counts of it, and what is wrong.

Missing samples (NaN) are bridged by straight lines. A gap of up to `SHORT_GAP_S` costs nothing, as its samples say
hardly anything that their neighbours do not; around a longer one the columns of the image do not count.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.checks import lead_problems
from einthoven.ecg.filters import fill_gaps
from einthoven.ecg.hum import mains_hum
from einthoven.ecg.lost import Lost
from noise_quant.scalogram.image import WIDTH, WINDOW_S
from noise_quant.scoring.rules.lead_features import lead_features
from noise_quant.scoring.windows import MIN_DURATION_S, Window

SHORT_GAP_S = 0.2
"""Gaps up to so long are bridged and count: that moves scores of the bundled ECG by 0.13 dB on average (one sample by
less than 0.01), leaving them out by 0.14; of 2 s it is 1.4 and 1.1 dB."""
GAP_MARGIN_S = 0.3
"""What lies so near to a longer gap does not count: the wavelets of high frequencies reach so far."""
MISSING = "missing"
"""Why there is no score where less than a second was measured."""
TOLD_GAP_S = 1.0
"""Where more than this of a lead is not scored, it is said, and the lead is not called clean."""
_LARGEST_MV = 1e9


@dataclass(frozen=True)
class WindowSignal:
    """One window of a recording.

    Attributes:
        signal: Its leads in mV, without gaps, shape (C, length).
        reasons: Why each lead is unusable; "" where it is usable.
        counted: Columns of the image that count, shape (C, 256); None: all that the window scores.
        hum_mv: Amplitude of the mains' hum in mV, shape (C,).
        features: Plain features of all that there is of the window, each of shape (C,): see `lead_features`.
    """

    signal: NDArray[np.float64]
    reasons: list[str]
    counted: NDArray[np.bool_] | None
    hum_mv: NDArray[np.float64]
    features: dict[str, NDArray[np.float64]]


def cut_signal(ecg: NDArray[np.floating], window: Window, sampling_rate: float) -> WindowSignal:
    """Cuts a window out of a recording in mV, shape (C, L), NaN where missing; nothing else of it is read."""
    piece = np.asarray(ecg[:, window.start : window.start + window.length], dtype=np.float64)
    judged = slice(window.judged[0] - window.start, window.judged[1] - window.start)
    missing = np.isnan(piece)
    counted = None
    if missing.any():
        reasons = lead_problems(piece[:, judged], sampling_rate, ~missing[:, judged])
        counted = _counted_columns(missing, window)
        least = min(MIN_DURATION_S * sampling_rate, judged.stop - judged.start)
        for lead, row in enumerate(missing[:, judged]):
            if (~row).sum() < least or not counted[lead].any():
                reasons[lead] = MISSING
    else:
        reasons = lead_problems(piece[:, judged], sampling_rate)
    finite = np.where(np.abs(piece) < _LARGEST_MV, piece, np.nan)  # NaN stays NaN
    filled = piece if np.isfinite(finite).all() else fill_gaps(finite)
    hum = mains_hum(filled[:, judged], sampling_rate).max(axis=-1)
    hum = np.where(np.array(reasons) == "", hum, 0.0)
    return WindowSignal(window.padded(filled), reasons, counted, hum, lead_features(filled, sampling_rate))


def why_missing(lost: Sequence[Lost], lead: str, first: int, last: int) -> str:
    """Says why a lead has no samples from `first` to `last`: why most of them were made missing, else "missing"."""
    shares = {MISSING: 0}
    for stretch in lost:
        if stretch.lead == lead:
            shared = min(last, stretch.last) - max(first, stretch.first)
            shares[stretch.reason] = shares.get(stretch.reason, 0) + max(0, shared)
    return max(shares, key=lambda reason: shares[reason])


def _counted_columns(missing: NDArray[np.bool_], window: Window) -> NDArray[np.bool_]:
    """Returns the columns that are to be scored and not near a longer gap, shape (C, 256)."""
    counted = np.zeros((len(missing), WIDTH), dtype=bool)
    counted[:, slice(*window.scored)] = True
    rate = window.length / WINDOW_S
    for lead, row in enumerate(missing):
        for first, last in _runs(row):
            if last - first > SHORT_GAP_S * rate:
                near = (first - GAP_MARGIN_S * rate, last + GAP_MARGIN_S * rate)
                start, stop = (end * WIDTH / window.length for end in near)
                counted[lead, max(0, int(np.floor(start))) : max(0, int(np.ceil(stop)))] = False
    return counted


def _runs(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yields the first place of each run of True in a mask of shape (L,), and the place after its last."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
    yield from zip(edges[::2], edges[1::2], strict=True)
