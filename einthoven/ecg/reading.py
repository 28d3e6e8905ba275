"""`read`: a recording from a file of any format."""

import io
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np

from einthoven.arguments import check_number, check_path
from einthoven.ecg.adapters import with_rate_noted
from einthoven.ecg.checks import check_rate, check_units
from einthoven.ecg.formats.channels import part_of
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.registry import find_format
from einthoven.ecg.leads import LEADS, canonical_leads, lead_matrix
from einthoven.ecg.long_signals import lies_in_file
from einthoven.ecg.lost import describe_lost, erase, lost_stretches
from einthoven.ecg.recording import Recording, Source

DEMO_ECG = Path(__file__).parent / "demo" / "demo_ecg.npz"
"""The bundled ECG: simulated, never recorded."""

File: TypeAlias = str | Path | IO[bytes]


def read(
    path: File | Sequence[File] | None = None,
    *,
    leads: str | Sequence[str] | Mapping[str, str] | None = None,
    sampling_rate: float | None = None,
    unit: str | None = None,
    start: float = 0.0,
    duration: float | None = None,
    strict: bool = False,
) -> Recording:
    """Reads a recording, or a part of it, from a file of any format in `einthoven.ecg.formats.registry.FORMATS`.

    The format is known by the file's content. Channels that are no leads are passed over; what was assumed or changed
    is told in the recording's notes.

    Args:
        path: The file, or a WFDB record without extension; an open binary file; all files of one record; or None for
            the bundled ECG.
        leads: Leads to take, a name or several, derived from others where the file lacks them; or, by the name of a
            channel, the lead that it is, such as {"ECG1": "II"}; None: all.
        sampling_rate: Sampling rate in Hz; None: the file's.
        unit: Unit of the samples, such as "uV"; None: the file's.
        start: Where to begin, in s.
        duration: How much to take, in s; None: all that follows.
        strict: Whether what is wrong in the file, such as a checksum, is an error and not a note.

    Raises:
        ValueError: If the file cannot be read, lacks a lead or is not in mV, or the part lies outside it.
    """
    if sampling_rate is not None:
        sampling_rate = check_rate(check_number("sampling_rate", sampling_rate))
    start = check_number("start", start)
    duration = None if duration is None else check_number("duration", duration)
    if unit is not None and not isinstance(unit, str):
        raise ValueError(f"unit is {str(unit)[:40]!r}: give 'mV', 'uV' or 'V'")
    if not start >= 0 or (duration is not None and not duration > 0):
        raise ValueError(f"start={start:g} and duration={duration}: start must not be negative, duration be positive")
    asked = leads if leads is None or isinstance(leads, Mapping) else canonical_leads(leads)
    options = ReadOptions(asked, sampling_rate, unit, start, duration, strict)
    if path is None:
        recording = _cut(_read_demo(), options)
    else:
        files: list[File] = list(path) if isinstance(path, Sequence) and not isinstance(path, str) else [path]
        with _on_disk(files) as file:
            fmt = find_format(file)
            recording = fmt.read(file, options)
            recording = recording if fmt.cuts else _cut(recording, options)
            if not all(isinstance(each, str | Path) for each in files):  # the copies are gone soon
                recording = replace(recording, source=Source(fmt.name))
    return with_rate_noted(_without_lost(_take(recording, asked)))


def _without_lost(recording: Recording) -> Recording:
    """Checks the unit and makes missing what shows no heart; cut waves stay, as they may be restored."""
    signal, rate, leads = recording.signal, recording.sampling_rate, recording.leads
    try:
        check_units(signal, rate)
    except ValueError as error:
        named = recording.source and recording.source.path or recording.name or "the recording"
        raise ValueError(f"{named}: {error}") from error
    lost = lost_stretches(signal, rate, leads, saturated=False)
    if not lost:
        return recording
    signal = signal if signal.flags.owndata or lies_in_file(signal) else signal.copy()  # a long one is there once only
    erase(signal, leads, lost)
    notes = (*recording.notes, *describe_lost(lost, rate, signal.shape[-1]))
    return replace(recording, signal=signal, notes=notes, lost=lost)


def _read_demo() -> Recording:
    with np.load(DEMO_ECG, allow_pickle=False) as file:
        signal, rate = file["ecg"].astype(np.float64), float(file["sampling_rate"])
    return Recording(signal, rate, LEADS, "demo", source=Source("bundled"))


def _cut(whole: Recording, options: ReadOptions) -> Recording:
    """Takes the part of a recording that was asked for."""
    first, last = part_of(whole.signal.shape[-1], whole.sampling_rate, options, whole.name)
    later = whole.start_time and whole.start_time + timedelta(seconds=first / whole.sampling_rate)
    return replace(whole, signal=whole.signal[:, first:last], start_time=later)


def _take(recording: Recording, asked: Sequence[str] | Mapping[str, str] | None) -> Recording:
    """Puts the leads that were asked for in their order, and derives those that follow from others."""
    if asked is None or isinstance(asked, Mapping) or tuple(asked) == recording.leads:
        return recording
    absent = [lead for lead in asked if lead not in recording.leads]
    if not absent:
        return replace(recording, signal=recording.ordered(tuple(asked)), leads=tuple(asked))
    rows = [lead_matrix([lead], recording.leads)[0] for lead in asked]
    signal = np.stack([row[row != 0] @ recording.signal[row != 0] for row in rows])
    notes = (*recording.notes, f"{', '.join(absent)} derived from the other limb leads")
    return replace(recording, signal=signal, leads=tuple(asked), notes=notes)


@contextmanager
def _on_disk(files: Sequence[File]) -> Iterator[Path]:
    """Gives the path of the file that names a record; open files are copied to a folder that is removed afterwards."""
    if not files or any(isinstance(file, str) and not file.strip() for file in files):
        raise ValueError("the path is empty: give the path of a recording")
    for file in files:
        if not isinstance(file, str | Path) and not hasattr(file, "read"):
            raise ValueError(f"path is {str(file)[:60]!r}: give the path of a file, or an open file")
        if isinstance(file, str | Path):
            check_path("path", file)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(file) for file in files if isinstance(file, str | Path)]
        if len(paths) < len(files):
            paths = [_copy(file, Path(folder), f"recording{place}") for place, file in enumerate(files)]
        headers = [file for file in paths if file.suffix.lower() == ".hea"]
        yield (headers or paths)[0]


def _copy(file: File, folder: Path, name: str) -> Path:
    """Copies a file, open or not, into a folder, under its own name where it has one."""
    if isinstance(file, str | Path):
        return Path(shutil.copy(file, folder))
    if isinstance(file, io.TextIOBase):  # a wrong type in a typed program, a common slip elsewhere
        raise ValueError("the open file gives text: open it in binary mode, 'rb'")
    copy = folder / (Path(str(getattr(file, "name", ""))).name or name)
    with copy.open("wb") as target:
        shutil.copyfileobj(file, target)
    return copy
