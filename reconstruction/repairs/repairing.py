"""`repair`: a recording without what is bad in it, where the other leads and times tell what was there.

Good seconds are kept to the bit. Noisy ones are denoised, with the noise of each stretch estimated; lost ones are
restored; mains hum is taken out by a notch. Where the band of what a stretch may have been is as wide as the ECG
itself, nothing is put there: it stays missing, and the result says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from diffusion_prior.checkpoint import shared_denoiser
from einthoven.ecg.adapters import ECGLike, as_recording
from einthoven.ecg.checks import CONSTANT_MV, LARGEST_RANGE_MV, check_units
from einthoven.ecg.filters import HIGH_PASS_HZ
from einthoven.ecg.hum import Lines, find_hum
from einthoven.ecg.leads import LEADS
from einthoven.ecg.recording import Recording
from noise_quant.api import load_scorer_model
from noise_quant.scoring.scorer import Scorer
from reconstruction.api import check_n_samples
from reconstruction.repairs.actions import Told, list_actions
from reconstruction.repairs.estimate import Estimate, estimate_bad
from reconstruction.repairs.features import lost_samples
from reconstruction.repairs.finder import Finder, Findings, bad_samples, piece_scores, windows
from reconstruction.repairs.hum import LEAST_MV, without_hum
from reconstruction.repairs.joining import join
from reconstruction.repairs.pieces import runs, spread_pieces
from reconstruction.repairs.result import (
    CAUTION,
    DENOISED,
    HUM_REMOVED,
    KEPT,
    KINDS,
    LEFT_MISSING,
    REBUILT,
    RESTORED,
    Repair,
)
from reconstruction.repairs.windows import WindowRepairer

SHORTEST_S = 2.5
"""What is shorter is too little for the prior: bad stretches of it stay missing."""
HELD_S = 0.1
"""In a bad second a lead that does not change for so long is lost, not noisy."""


@dataclass(frozen=True)
class Tools:
    """What `repair` works with: the finder, what repairs a window, and what scores noise (None: no scores)."""

    finder: Finder
    repairer: WindowRepairer
    scorer: Scorer | None

    @classmethod
    def load(
        cls,
        n_samples: int = 10,
        seed: int = 0,
        weights: str | Path | None = None,
        device: str | torch.device = "cpu",
    ) -> "Tools":
        """Loads the bundled ones; arguments as for `repair`."""
        repairer = WindowRepairer(shared_denoiser(weights, device), n_samples, seed)
        return cls(Finder.load(), repairer, Scorer(load_scorer_model(device=device)))


def repair(
    ecg: ECGLike,
    sampling_rate: float | None = None,
    leads: str | Sequence[str] | None = None,
    *,
    complete: bool = False,
    n_samples: int = 10,
    seed: int = 0,
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
    tools: Tools | None = None,
    progress: Callable[[int], object] | None = None,
) -> Repair:
    """Finds what is bad in a recording, and repairs it: see the module.

    Args:
        ecg: A `Recording`, or what `as_recording` takes: an array in mV, shape (n_leads, L), NaN where missing, ...
        sampling_rate: Sampling rate in Hz; only for what does not know its own.
        leads: Lead names; only for what does not know its own.
        complete: Whether those of the twelve leads that the recording lacks are rebuilt.
        n_samples: Draws that the band is made of, at least 2.
        seed: Seed; the same seed and name of the recording give the same result.
        weights: The prior's: a file or a training's folder; None: the bundled ones.
        device: Device of the networks.
        tools: Tools of one's own, in place of `weights`, `n_samples`, `seed` and `device`.
        progress: Called with the samples of each window that is done.

    Raises:
        ValueError: If an argument is not usable, or the recording is not in mV.
    """
    check_n_samples(n_samples)
    before = as_recording(ecg, sampling_rate, leads)
    check_units(before.signal, before.sampling_rate)
    used = tools or Tools.load(n_samples, seed, weights, device)
    rate, key = before.sampling_rate, before.name or "0"
    signal, hum = _hum_removed(before)
    findings = used.finder(signal, rate, before.leads, used.repairer, used.scorer, key)
    lost, noisy = _bad_parts(signal, findings, rate)
    wanted = LEADS if complete else before.leads
    estimate = Estimate.nothing(len(wanted), signal.shape[-1])
    hindrance = _hindrance(lost, rate)
    if not hindrance:
        given = np.where(lost, np.nan, signal)
        estimate = estimate_bad(given, noisy, rate, before.leads, wanted, used.repairer, key, progress)
    places = [wanted.index(lead) for lead in before.leads]
    values = np.full((len(wanted), signal.shape[-1]), np.nan)
    values[places] = signal
    kinds = np.full(values.shape, REBUILT, dtype=np.int8)
    whole = np.isin(np.arange(len(signal)), list(hum))[:, None]
    kinds[places] = np.select([lost, noisy, whole], [RESTORED, DENOISED, HUM_REMOVED], KEPT)
    joined = join(values, kinds, estimate, rate)
    after = _scores(joined.values[places], before, findings, used.scorer, key)
    actions = list_actions(joined, wanted, rate, Told(findings, after, estimate.noise, places, hum))
    notes = (*before.notes, *_notes(actions, hindrance))
    recording = replace(before, signal=joined.values, leads=wanted, notes=notes)
    return Repair(recording, joined.lower, joined.upper, joined.kinds, actions, before, findings, after, notes)


def _hum_removed(recording: Recording) -> tuple[NDArray[np.float64], dict[int, Lines]]:
    """Takes mains hum out of the leads that have it; returns the signal and, by row, the lines that were found."""
    signal, found = recording.signal, {}
    for row, lead in enumerate(recording.signal):
        if lines := find_hum(lead, recording.sampling_rate, LEAST_MV):
            found[row] = lines
    if found:
        signal = signal.copy()
        for row, lines in found.items():
            signal[row] = without_hum(signal[row], recording.sampling_rate, lines)
    return signal, found


def _bad_parts(
    signal: NDArray[np.float64], findings: Findings, rate: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns which samples are lost and which are noisy, shape (n_leads, L) each."""
    missing = np.isnan(signal)
    surely = lost_samples(signal, rate)
    with np.errstate(invalid="ignore"):
        middle = np.array(
            [np.median(row[~gaps]) if not gaps.all() else 0.0 for row, gaps in zip(signal, missing, strict=True)]
        )
        wild = np.abs(signal - middle[:, None]) > LARGEST_RANGE_MV
    bad = bad_samples(findings)
    lost = surely | wild | (bad & np.asarray(spread_pieces(findings.lost, findings.edges), dtype=bool))
    still = np.abs(np.diff(signal, axis=-1, append=signal[:, -1:])) <= CONSTANT_MV / 2
    for row in range(len(signal)):
        for first, last in runs(still[row] & bad[row]):
            if last - first >= HELD_S * rate:
                lost[row, first : last + 1] = True
    return lost, bad & ~lost


def _scores(
    values: NDArray[np.float64], before: Recording, findings: Findings, scorer: Scorer | None, key: str
) -> NDArray[np.float64]:
    """Scores the windows that were changed again; the others keep their scores, shape (n_leads, pieces)."""
    after, given = findings.score.copy(), before.signal
    for first, last in windows(values.shape[-1], before.sampling_rate):
        span = slice(first, last)
        changed = [
            row for row in range(len(values)) if not np.array_equal(values[row, span], given[row, span], equal_nan=True)
        ]
        if changed:
            names = [before.leads[row] for row in changed]
            scores = piece_scores(values[changed, span], before.sampling_rate, names, scorer, f"{key}/{first}")
            after[changed, slice(*np.searchsorted(findings.edges, (first, last)))] = scores[..., 0]
    return after


def _hindrance(lost: NDArray[np.bool_], rate: float) -> str:
    """Says why nothing at all can be restored where samples (n_leads, L) are lost; "" where something can."""
    if lost.all():
        return "every lead is lost throughout, so nothing tells what was there"
    duration = lost.shape[-1] / rate
    return "" if duration >= SHORTEST_S else f"that takes {SHORTEST_S:g} s, and the recording has {duration:.3g} s"


def _notes(actions: pd.DataFrame, hindrance: str) -> list[str]:
    """Says what was assumed and what not to trust."""
    notes = []
    kinds = set(actions["kind"])
    if kinds - {KINDS[LEFT_MISSING]}:
        notes.append(
            f"repaired stretches hold {HIGH_PASS_HZ:g} to 50 Hz, on a straight line between the ends of what was kept; "
            "everything else is kept to the bit"
        )
    if kinds & {KINDS[RESTORED], KINDS[REBUILT]}:
        notes.append(
            "restored and rebuilt stretches show what is probable, not what happened: do not read single extra beats, "
            "ST changes or small waves there"
        )
    if KINDS[LEFT_MISSING] in kinds:
        left = actions[actions["kind"] == KINDS[LEFT_MISSING]]
        seconds = float((left["end_s"] - left["start_s"]).sum())
        notes.append(f"{seconds:.1f} lead-seconds could not be restored and stay missing")
    if hindrance:
        notes.append(f"nothing could be restored: {hindrance}")
    return [*notes, CAUTION]
