"""WFDB records of one signal file, in format 16, or 32 where a lead spans more than 65 mV."""

import re
from pathlib import Path

import numpy as np

from einthoven.ecg.recording import Recording
from einthoven.ecg.writers.quantise import quantise

COARSEST_UV = 1.0
"""Coarser steps, in µV, are not taken in 16 bits: 32 are written."""


def write_wfdb(recording: Recording, path: Path) -> None:
    """Writes a header, at `path`, and the signal file that it names, beside it.

    Raises:
        ValueError: If the name is not one that WFDB allows.
    """
    name = path.stem
    if not re.fullmatch(r"[\w-]+", name, re.ASCII):
        raise ValueError(f"the name of a record has letters, digits, - and _ only, not {name!r}")
    fmt, dtype = 16, "<i2"
    leads = [quantise(lead, 16) for lead in recording.signal]
    if any(lead.step > COARSEST_UV for lead in leads):
        fmt, dtype = 32, "<i4"
        leads = [quantise(lead, 32) for lead in recording.signal]
    start = recording.start_time
    clock = f" {start:%H:%M:%S}.{start.microsecond // 1000:03d} {start:%d/%m/%Y}" if start else ""
    lines = [f"{name} {len(leads)} {_plain(recording.sampling_rate)} {recording.signal.shape[1]}{clock}"]
    for lead, label in zip(leads, recording.leads, strict=True):
        first, checksum = lead.numbers[0], int(lead.numbers.sum()) & 0xFFFF
        checksum -= 0x10000 if checksum & 0x8000 else 0
        gain = f"{_plain(1000 / lead.step)}({round(-lead.centre / lead.step)})/mV"
        lines.append(f"{name}.dat {fmt} {gain} {fmt} 0 {first} {checksum} 0 {label}")
    patient = recording.patient
    if patient and patient.age is not None:
        lines.append(f"# Age: {_plain(patient.age)}")
    if patient and patient.sex is not None:
        lines.append(f"# Sex: {patient.sex}")
    lines += [f"# {' '.join(note.split())}" for note in recording.notes]
    numbers = np.stack([lead.numbers for lead in leads], axis=1).astype(dtype)
    path.with_suffix(".dat").write_bytes(numbers.tobytes())  # `tofile` does not notice all that a full disk does
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _plain(number: float) -> str:
    """Returns a number without exponent."""
    return np.format_float_positional(number, precision=12, trim="-", fractional=False)
