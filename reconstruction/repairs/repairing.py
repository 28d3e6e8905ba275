"""`repair`: a recording without what is bad in it, where the other leads and times tell what was there.

Good seconds are kept to the bit. Noisy ones are denoised, with the noise of each stretch estimated; lost ones are
restored; mains hum is taken out by a notch. Where the band of what a stretch may have been is as wide as the ECG
itself, nothing is put there: it stays missing, and the result says so.
"""

import hashlib
import shutil
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from diffusion_prior.checkpoint import shared_denoiser
from einthoven.arguments import check_device, check_seed
from einthoven.ecg.adapters import ECGLike, as_recording
from einthoven.ecg.checks import check_units
from einthoven.ecg.filters import HIGH_PASS_HZ
from einthoven.ecg.hum import find_hum
from einthoven.ecg.leads import LEADS
from einthoven.ecg.recording import Recording
from einthoven.run.fingerprint import fingerprint
from einthoven.run.lock import held_folder
from einthoven.run.registry import check_choice
from noise_quant.api import load_scorer_model
from noise_quant.scoring.scorer import Scorer
from reconstruction.api import check_n_samples
from reconstruction.calibration.familiarity import LOOKED_AT_S, unlike_training
from reconstruction.electrodes.checking import electrodes_note
from reconstruction.repairs.actions import Told, list_actions
from reconstruction.repairs.bad_parts import mark_bad
from reconstruction.repairs.estimate import Estimate, Given, estimate_bad
from reconstruction.repairs.finding.finder import Finder, Findings, piece_scores, windows
from reconstruction.repairs.hum import LEAST_MV, without_hums
from reconstruction.repairs.joining import Bounds, join
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
from reconstruction.repairs.storage import MEMORY_UP_TO_S, Storage, blocks
from reconstruction.repairs.windows import WindowRepairer
from reconstruction.result import MEAN, MEDIAN, POINT_ESTIMATES
from reconstruction.windows.arrays import temporary_folder

SHORTEST_S = 2.5
"""What is shorter is too little for the prior: bad stretches of it stay missing."""


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
        point_estimate: str = MEAN,
    ) -> "Tools":
        """Loads the bundled ones; arguments as for `repair`."""
        check_choice("point_estimate", point_estimate, POINT_ESTIMATES)
        takes_median = point_estimate == MEDIAN
        repairer = WindowRepairer(shared_denoiser(weights, device), n_samples, seed, takes_median=takes_median)
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
    point_estimate: str = MEAN,
    electrodes: bool = False,
    tools: Tools | None = None,
    progress: Callable[[int], object] | None = None,
    folder: str | Path | None = None,
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
        point_estimate: What is put in a bad stretch: the samples' "mean", or their "median".
        electrodes: Whether the notes also say what `check_electrodes` finds; nothing is corrected.
        tools: Tools of one's own, in place of `weights`, `n_samples`, `seed`, `device` and `point_estimate`.
        progress: Called with the samples of each window that is done.
        folder: Folder for what is as long as the recording, as memory-mapped `.npy` files; a killed repair goes on
            there. None: memory, or a temporary folder for more than two minutes.

    Raises:
        ValueError: If an argument is not usable, the recording is not in mV, or the folder holds other work.
    """
    check_n_samples(n_samples)
    check_device(device)
    check_seed(seed)
    before = as_recording(ecg, sampling_rate, leads)
    check_units(before.signal, before.sampling_rate)
    if electrodes and (note := electrodes_note(before, seed, weights, device)):
        before = replace(before, notes=(*before.notes, note))
    used = tools or Tools.load(n_samples, seed, weights, device, point_estimate)
    wanted = LEADS if complete else before.leads
    is_temporary = folder is None and before.signal.shape[-1] > MEMORY_UP_TO_S * before.sampling_rate
    place = temporary_folder() if is_temporary else None if folder is None else Path(folder)
    try:
        with nullcontext() if place is None else held_folder(place):
            depends_on = {} if folder is None else _depends_on(before, used, wanted)
            result = _repair(before, wanted, used, Storage(place, depends_on), progress)
    except BaseException:
        if is_temporary and place is not None:
            shutil.rmtree(place, ignore_errors=True)
        raise
    if is_temporary and place is not None:
        weakref.finalize(result, shutil.rmtree, place, ignore_errors=True)
    return result


def _repair(
    before: Recording, wanted: Sequence[str], used: Tools, storage: Storage, progress: Callable[[int], object] | None
) -> Repair:
    """Repairs a recording, and keeps what is as long as it in a storage."""
    rate, key, shape = before.sampling_rate, before.name or "0", before.signal.shape
    hum = {row: lines for row, lead in enumerate(before.signal) if (lines := find_hum(lead, rate, LEAST_MV))}
    signal = without_hums(before.signal, rate, hum, storage)
    findings = used.finder(signal, rate, before.leads, used.repairer, used.scorer, key, storage)
    lost, noisy = (storage.array(name, shape, np.bool_) for name in ("lost", "noisy"))
    hindrance = _hindrance(mark_bad(signal, findings, rate, lost, noisy), shape[-1] / rate)
    if hindrance:
        estimate = Estimate.nothing(len(wanted), shape[-1], storage)
    else:
        given = Given(signal, lost, noisy, rate, before.leads, key)
        estimate = estimate_bad(given, wanted, used.repairer, storage, progress)
    places = [wanted.index(lead) for lead in before.leads]
    joined = Bounds.make(len(wanted), shape[-1], storage)
    for span in blocks(shape[-1]):
        values = np.full((len(wanted), span.stop - span.start), np.nan)
        values[places] = signal[:, span]
        joined.values[:, span], joined.lower[:, span], joined.upper[:, span] = values, values, values
        kinds = np.full(values.shape, REBUILT, dtype=np.int8)
        whole = np.isin(np.arange(len(signal)), list(hum))[:, None]
        kinds[places] = np.select([lost[:, span], noisy[:, span], whole], [RESTORED, DENOISED, HUM_REMOVED], KEPT)
        joined.kinds[:, span] = kinds
        storage.flush()  # lets go of their memory
    join(joined, estimate, rate, storage)
    after = _scores(joined.values, places, before, findings, used.scorer, storage)
    actions = list_actions(joined, wanted, rate, Told(findings, after, estimate.noise, places, hum))
    begin = joined.values[:, : round(LOOKED_AT_S * rate)][places]
    unlike = unlike_training(begin, rate, before.leads, used.repairer.denoiser)
    notes = (*before.notes, *unlike, *_notes(actions, hindrance))
    recording = replace(before, signal=joined.values, leads=tuple(wanted), notes=notes)
    storage.flush()
    samples = _samples(joined, estimate)
    return Repair(recording, joined.lower, joined.upper, joined.kinds, actions, before, findings, after, notes, samples)


def _samples(joined: Bounds, estimate: Estimate) -> NDArray[np.float32] | None:
    """Returns draws of the repaired recording: what was kept, and the samples on the lines that the mean lies on."""
    repaired = np.isin(joined.kinds, (DENOISED, RESTORED, REBUILT))
    departures = estimate.departures() if repaired.any() else None
    return None if departures is None else (joined.values + np.where(repaired, departures, 0.0)).astype(np.float32)


def _depends_on(before: Recording, used: Tools, wanted: Sequence[str]) -> dict[str, Any]:
    """Says what a repair depends on, as plain data."""
    digest = hashlib.sha256()
    for span in blocks(before.signal.shape[-1]):
        digest.update(np.ascontiguousarray(before.signal[:, span], np.float64).tobytes())
    facts = {"signal": digest.hexdigest(), "sampling_rate": before.sampling_rate, "leads": list(before.leads)}
    return {**facts, "name": before.name, "wanted": list(wanted), "tools": fingerprint(used)}


def _scores(
    values: NDArray[np.float64],
    places: Sequence[int],
    before: Recording,
    findings: Findings,
    scorer: Scorer | None,
    storage: Storage,
) -> NDArray[np.float64]:
    """Scores the windows that were changed again; the others keep their scores, shape (n_leads, pieces)."""
    rate, given = before.sampling_rate, before.signal
    spans = windows(values.shape[-1], rate)
    after = storage.array("score_after", findings.score.shape, np.float64)
    scored = storage.array("scored", (len(spans),), np.bool_)
    for number in np.flatnonzero(~scored).tolist():
        first, last = spans[number]
        pieces = slice(*np.searchsorted(findings.edges, (first, last)))
        after[:, pieces] = findings.score[:, pieces]
        part, old = values[:, first:last][places], given[:, first:last]
        changed = [row for row in range(len(old)) if not np.array_equal(part[row], old[row], equal_nan=True)]
        if changed:
            names = [before.leads[row] for row in changed]
            scores = piece_scores(part[changed], rate, names, scorer, f"{before.name or '0'}/{first}")
            after[changed, pieces] = scores[..., 0]
        storage.done("scored", number)
    storage.flush()
    return after


def _hindrance(all_lost: bool, duration: float) -> str:
    """Says why nothing at all can be restored of a recording of so many seconds; "" where something can."""
    if all_lost:
        return "every lead is lost throughout, so nothing tells what was there"
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
