"""Recordings and results as files of a folder, written by one process and read by others: arrays and plain JSON."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from einthoven.ecg.recording import Patient, Recording, Source
from einthoven.run.files import write_json
from einthoven.web.traces import save_signal

BEFORE, RECORDING = "before.npy", "recording.json"


def save_recording(recording: Recording, folder: Path) -> dict[str, Any]:
    """Writes a recording; returns what is told of it, as plain values."""
    folder.mkdir(parents=True, exist_ok=True)
    save_signal(folder / BEFORE, recording.signal)
    missing = np.isnan(recording.signal)
    facts = {
        "name": recording.name,
        "format": recording.source.format if recording.source else "",
        "leads": list(recording.leads),
        "sampling_rate": recording.sampling_rate,
        "n_samples": recording.signal.shape[-1],
        "duration": recording.signal.shape[-1] / recording.sampling_rate,
        "start_time": recording.start_time.isoformat() if recording.start_time else None,
        "age": recording.patient.age if recording.patient else None,
        "sex": recording.patient.sex if recording.patient else None,
        "notes": list(recording.notes),
        "other_channels": list(recording.other_channels),
        "missing": float(missing.mean()),
    }
    write_json(folder / RECORDING, facts)
    return facts


def load_recording(folder: str | Path, *, anonymous: bool = False) -> Recording:
    """Reads a recording that `save_recording` wrote.

    Args:
        folder: Its folder.
        anonymous: Whether name, age, sex and start time are left out.
    """
    folder = Path(folder)
    facts = json.loads((folder / RECORDING).read_text(encoding="utf-8"))
    recording = Recording(
        np.load(folder / BEFORE, allow_pickle=False),
        facts["sampling_rate"],
        tuple(facts["leads"]),
        facts["name"],
        other_channels=tuple(facts["other_channels"]),
        start_time=datetime.fromisoformat(facts["start_time"]) if facts["start_time"] else None,
        patient=Patient(facts["age"], facts["sex"]) if facts["age"] is not None or facts["sex"] else None,
        source=Source(facts["format"]),
        notes=tuple(facts["notes"]),
    )
    return without_patient(recording) if anonymous else recording


def without_patient(recording: Recording) -> Recording:
    """Returns a recording without name, age, sex and start time."""
    return replace(recording, name="", start_time=None, patient=None)


def save_arrays(folder: Path, facts: Mapping[str, Any], **arrays: Any) -> None:  # noqa: ANN401 (arrays)
    """Writes arrays and plain facts."""
    np.savez(folder / "arrays.npz", **arrays)
    write_json(folder / "facts.json", facts)


def load_arrays(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads facts and arrays that `save_arrays` wrote."""
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as file:
        return facts, {name: file[name] for name in file.files}
