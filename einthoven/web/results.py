"""Results of jobs as files of a folder, and back: what was made, and by which means its files are made later."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.recording import Recording, Source
from einthoven.web.stored import load_arrays, load_recording, save_arrays, without_patient
from einthoven.web.traces import save_signal
from reconstruction.repairs.finding.finder import Findings
from reconstruction.repairs.pieces import runs
from reconstruction.repairs.result import DENOISED, KINDS, REBUILT, RESTORED, Repair
from reconstruction.result import Reconstruction

MOST_STRETCHES = 2000
KEPT_SAMPLES = 10
_FOUND = ("edges", "probability", "bad", "score", "features")
_KNOWN = ("observed", "noise_level")


def save_repair(result: Repair, folder: Path) -> dict[str, Any]:
    """Writes a repair; returns what is told of it, as plain values."""
    _save_versions(folder, result.recording.signal, result.lower, result.upper)
    found = result.findings
    arrays = {name: getattr(found, name) for name in _FOUND} | {"reason": found.reason.astype(str)}
    actions = result.actions.astype(object).where(result.actions.notna(), None).to_dict("records")
    facts = {"kind": "repair", "leads": list(result.recording.leads), "notes": list(result.notes), "actions": actions}
    save_arrays(folder, facts, done=result.done, score_after=result.score_after, **arrays)
    names = {"lead": "lead", "start": "start_s", "end": "end_s", "kind": "kind", "reason": "reason"}
    stretches = [{name: row[column] for name, column in names.items()} for row in actions]
    return _told(result.recording.leads, result.notes, stretches, 0)


def load_repair(folder: Path, before: Recording) -> Repair:
    """Reads a repair of a recording."""
    facts, arrays = load_arrays(folder)
    after, lower, upper = (np.load(folder / f"{name}.npy") for name in ("after", "lower", "upper"))
    found = Findings(**{name: arrays[name] for name in _FOUND}, reason=arrays["reason"].astype(object))
    notes, leads = tuple(facts["notes"]), tuple(facts["leads"])
    recording = _made(before, after, leads, "repaired", notes)
    columns = ("lead", "start_s", "end_s", "kind", "reason", "noise_mv", "score_before", "score_after", "band_mv")
    actions = pd.DataFrame(facts["actions"], columns=list(columns))
    actions[list(columns[5:])] = actions[list(columns[5:])].astype(float)
    return Repair(recording, lower, upper, arrays["done"], actions, before, found, arrays["score_after"], notes)


def save_reconstruction(result: Reconstruction, folder: Path, kind: str) -> dict[str, Any]:
    """Writes a reconstruction, or what is denoised; returns what is told of it, as plain values."""
    samples = [] if result.samples is None else list(result.samples[:KEPT_SAMPLES])
    _save_versions(folder, result.mean, result.lower, result.upper, *samples)
    given = () if result.given is None else result.given.leads
    facts: dict[str, Any] = {"kind": kind, "leads": list(result.leads), "notes": list(result.notes)}
    facts |= {"given": list(given), "n_samples": len(samples), "method": result.method, "seconds": result.seconds}
    facts |= {"network_calls": result.network_calls, "gradient_calls": result.gradient_calls}
    arrays = {name: getattr(result, name) for name in _KNOWN if getattr(result, name) is not None}
    save_arrays(folder, facts, **arrays)
    return _told(result.leads, result.notes, stretches_of(result), len(samples))


def load_reconstruction(folder: Path, before: Recording) -> Reconstruction:
    """Reads a reconstruction of a recording."""
    facts, arrays = load_arrays(folder)
    mean, lower, upper = (np.load(folder / f"{name}.npy") for name in ("after", "lower", "upper"))
    samples = [np.load(folder / f"sample_{number}.npy") for number in range(facts["n_samples"])]
    given = tuple(facts["given"])
    return Reconstruction(
        samples=np.stack(samples) if samples else None,
        mean=mean,
        lower=lower,
        upper=upper,
        observed=arrays["observed"],
        leads=tuple(facts["leads"]),
        sampling_rate=before.sampling_rate,
        method=facts["method"],
        network_calls=facts["network_calls"],
        gradient_calls=facts["gradient_calls"],
        seconds=facts["seconds"],
        notes=tuple(facts["notes"]),
        noise_level=arrays.get("noise_level"),
        given=replace(before, signal=before.ordered(given), leads=given),
    )


def stretches_of(result: Reconstruction) -> list[dict[str, Any]]:
    """Lists the stretches that were not measured, lead by lead: lead, start and end in s, kind and reason."""
    given = () if result.given is None else result.given.leads
    found = []
    for lead, observed in zip(result.leads, result.observed, strict=True):
        kind = KINDS[RESTORED if result.noise_level is None else DENOISED] if lead in given else KINDS[REBUILT]
        reason = "" if lead in given else "the recording lacks this lead"
        for first, last in runs(~observed):
            start, end = first / result.sampling_rate, last / result.sampling_rate
            found.append({"lead": lead, "start": start, "end": end, "kind": kind, "reason": reason})
    return found


def save_corrected(recording: Recording, folder: Path) -> dict[str, Any]:
    """Writes a recording whose electrodes were put right; returns what is told of it, as plain values."""
    _save_versions(folder, recording.signal)
    facts = {"kind": "correct", "leads": list(recording.leads), "notes": list(recording.notes)}
    save_arrays(folder, facts)
    return {**_told(recording.leads, recording.notes, [], 0), "versions": ["after"]}


def load_result(folder: Path, recording: Path, *, anonymous: bool = False) -> Repair | Reconstruction | Recording:
    """Reads what a job has made of a recording.

    Args:
        folder: Folder of the result.
        recording: Folder of the recording.
        anonymous: Whether the recording's name, age, sex and start time are left out.
    """
    before = load_recording(recording)
    before = without_patient(before) if anonymous else before
    facts, _ = load_arrays(folder)
    if facts["kind"] == "repair":
        return load_repair(folder, before)
    if facts["kind"] == "correct":
        notes = tuple(facts["notes"])
        return _made(before, np.load(folder / "after.npy"), tuple(facts["leads"]), "corrected", notes)
    return load_reconstruction(folder, before)


def _save_versions(folder: Path, after: NDArray[Any], *others: NDArray[Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ["after", "lower", "upper", *(f"sample_{number}" for number in range(len(others) - 2))]
    for name, values in zip(names, (after, *others), strict=False):
        save_signal(folder / f"{name}.npy", values)


def _made(
    before: Recording, signal: NDArray[Any], leads: tuple[str, ...], made: str, notes: tuple[str, ...]
) -> Recording:
    """Returns a recording of the same rate, patient and time as another."""
    values = np.asarray(signal, dtype=np.float64)
    facts = (before.name, before.other_channels, before.start_time, before.patient, Source(made), notes)
    return Recording(values, before.sampling_rate, leads, *facts)


def _told(leads: tuple[str, ...], notes: tuple[str, ...], stretches: list[dict[str, Any]], n: int) -> dict[str, Any]:
    return {
        "leads": list(leads),
        "versions": ["after", "lower", "upper", *(f"sample_{number}" for number in range(n))],
        "notes": list(notes),
        "n_stretches": len(stretches),
        # The earliest: after the last of them the page marks all as not known to be measured.
        "stretches": sorted(stretches, key=lambda each: each["start"])[:MOST_STRETCHES],
    }
