"""The list of what a repair has done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.hum import Lines
from reconstruction.repairs.finding.finder import Findings
from reconstruction.repairs.joining import Bounds
from reconstruction.repairs.result import COLUMNS, DENOISED, HUM_REMOVED, KINDS, LEFT_MISSING, REBUILT, RESTORED
from reconstruction.repairs.storage import runs_in_blocks


@dataclass(frozen=True)
class Told:
    """What the list tells of beside the samples.

    Attributes:
        findings: What was found in the leads that the recording has.
        score_after: Their noise scores afterwards, shape (leads, pieces).
        noise: Root mean square of the noise of each sample in mV, shape (n_leads, L), 0 where none was estimated.
        places: Rows, among all leads, of those that the recording has.
        hum: Lines of the mains that were taken out, by row among the leads that the recording has.
    """

    findings: Findings
    score_after: NDArray[np.float64]
    noise: NDArray[np.float32]
    places: Sequence[int]
    hum: Mapping[int, Lines]


def list_actions(joined: Bounds, leads: Sequence[str], sampling_rate: float, told: Told) -> pd.DataFrame:
    """Lists what was done, by time and lead: see `Repair.actions`."""
    rows, length = [], joined.kinds.shape[-1]
    for row, lead in enumerate(leads):
        own = told.places.index(row) if row in told.places else None
        done = joined.kinds[row]
        for kind in (DENOISED, RESTORED, REBUILT, LEFT_MISSING, HUM_REMOVED):
            spans = runs_in_blocks(length, lambda span, done=done, kind=kind: done[span] == kind)  # type: ignore[misc]
            if kind == HUM_REMOVED and spans:
                spans = [(spans[0][0], spans[-1][1])]
            for first, last in spans:
                noise = _rms(told.noise[row, first:last]) if kind == DENOISED else np.nan
                width = np.nan
                if kind not in (LEFT_MISSING, HUM_REMOVED):
                    width = float((joined.upper[row, first:last] - joined.lower[row, first:last]).mean())
                reason, *scores = _why(first, last, kind, own, told)
                rows.append(
                    (lead, first / sampling_rate, last / sampling_rate, KINDS[kind], reason, noise, *scores, width)
                )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["start_s", "end_s"], kind="stable").reset_index(drop=True)


def _why(first: int, last: int, kind: int, own: int | None, told: Told) -> tuple[str, float, float]:
    """Returns why something was done, and the mean noise score before and after."""
    if own is None:
        return "the recording lacks this lead", np.nan, np.nan
    edges = told.findings.edges
    inside = slice(max(int(np.searchsorted(edges, first, "right")) - 1, 0), int(np.searchsorted(edges, last)))
    before, after = (_mean(scores[own, inside]) for scores in (told.findings.score, told.score_after))
    if kind == HUM_REMOVED:
        lines = ", ".join(f"{frequency:.1f} Hz {amplitude:.2f} mV" for frequency, amplitude in told.hum[own])
        return f"mains hum: {lines}", before, after
    reasons = [str(reason) for reason in dict.fromkeys(told.findings.reason[own, inside]) if reason]
    reason = ", ".join(reasons) or "missing"
    if kind == LEFT_MISSING:
        reason += ": the other leads and times do not tell what was there"
    return reason, before, after


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _rms(values: NDArray[np.float32]) -> float:
    known = values[values > 0]
    return float(np.sqrt(np.square(known).mean())) if len(known) else np.nan
