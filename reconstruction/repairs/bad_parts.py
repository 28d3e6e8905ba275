"""Which samples of a recording are lost, and which are noisy: from what was found second by second, to the sample."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from einthoven.ecg.checks import CONSTANT_MV, LARGEST_RANGE_MV
from reconstruction.repairs.finding.features import lost_samples
from reconstruction.repairs.finding.finder import Findings
from reconstruction.repairs.pieces import runs
from reconstruction.repairs.storage import MEMORY_UP_TO_S

HELD_S = 0.1
"""In a bad second a lead that does not change for so long is lost, not noisy."""
EDGE_S = 0.15
"""So much beside a flat, held or saturated stretch is lost with it: amplifiers take time to come back ..."""
EDGE_FROM_S = 0.15
"""... where the stretch is so long; a cut wave is shorter."""
SECTION_S = 60.0
MARGIN_S = 10.0
"""Long recordings are looked at in sections, each with so much on either side."""


def mark_bad(
    signal: NDArray[np.float64],
    findings: Findings,
    rate: float,
    lost: NDArray[np.bool_],
    noisy: NDArray[np.bool_],
) -> bool:
    """Writes which samples are lost and which are noisy, and tells whether all are lost.

    Args:
        signal: ECG in mV, shape (n_leads, L), NaN where missing.
        findings: What was found in it.
        rate: Its rate in Hz.
        lost: Where to write the lost ones, shape (n_leads, L).
        noisy: Where to write the noisy ones.
    """
    length, all_lost = signal.shape[-1], True
    piece = np.stack([findings.bad, findings.bad & findings.lost])
    for first, last in sections(length, rate):
        begin, end = max(0, first - round(MARGIN_S * rate)), min(length, last + round(MARGIN_S * rate))
        places = np.searchsorted(findings.edges, np.arange(begin, end), "right") - 1
        bad, lost_pieces = piece[..., places]
        inner = slice(first - begin, last - begin)
        parts = _bad_parts(np.asarray(signal[:, begin:end]), bad, lost_pieces, rate)
        lost[:, first:last], noisy[:, first:last] = (part[:, inner] for part in parts)
        all_lost = all_lost and bool(parts[0][:, inner].all())
    return all_lost


def sections(length: int, rate: float) -> Iterator[tuple[int, int]]:
    """Yields the sections of a recording as first sample and last + 1: one, where it is short."""
    size = length if length <= MEMORY_UP_TO_S * rate else round(SECTION_S * rate)
    for first in range(0, length, size):
        yield first, min(first + size, length)


def _bad_parts(
    signal: NDArray[np.float64], bad: NDArray[np.bool_], lost_pieces: NDArray[np.bool_], rate: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns which samples are lost and which are noisy, shape (n_leads, L) each."""
    missing = np.isnan(signal)
    middle = np.array(
        [np.median(row[~gaps]) if not gaps.all() else 0.0 for row, gaps in zip(signal, missing, strict=True)]
    )
    with np.errstate(invalid="ignore"):
        wild = np.abs(signal - middle[:, None]) > LARGEST_RANGE_MV
        still = np.abs(np.diff(signal, axis=-1, append=signal[:, -1:])) <= CONSTANT_MV / 2
    lost = with_edges(lost_samples(signal, rate), missing, rate) | wild | lost_pieces
    for row in range(len(signal)):
        for first, last in runs(still[row] & bad[row]):
            if last - first >= HELD_S * rate:
                lost[row, first : last + 1] = True
    return lost, bad & ~lost


def with_edges(lost: NDArray[np.bool_], missing: NDArray[np.bool_], rate: float) -> NDArray[np.bool_]:
    """Widens lost stretches by `EDGE_S` on either side, but for those that are missing, which have no edges."""
    hard = lost & ~missing
    for row in hard:
        for first, last in runs(row):
            if last - first < EDGE_FROM_S * rate:
                row[first:last] = False
    return lost | binary_dilation(hard, np.ones((1, 2 * round(EDGE_S * rate) + 1), dtype=bool))
