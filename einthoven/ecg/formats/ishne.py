"""ISHNE Holter files.

Badilini, F. (1998). The ISHNE Holter standard output file format. Annals of Noninvasive Electrocardiology 3, 263-266.
"""

import struct
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.formats.channels import Channel, choose_channels, part_of
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.patients import age_between, patient_of
from einthoven.ecg.leads import LEADS
from einthoven.ecg.long_signals import blank_signal, release
from einthoven.ecg.recording import Recording, Source

MARK = b"ISHNE1.0"
HEADER = 522
"""Length of the fixed header in bytes."""
MOST_LEADS = 12
CODES: dict[int, str] = {**dict(zip((2, 3, 4), "XYZ", strict=True)), **dict(enumerate(LEADS, start=5))}
"""Leads by their code."""
SEXES: dict[int, str] = {1: "male", 2: "female"}
MISSING = -32768
_CHUNK = 1 << 20


def matches(head: bytes, path: Path) -> bool:
    """Says whether a file is an ISHNE Holter ECG."""
    return head.startswith(MARK)


def read_ishne(path: Path, options: ReadOptions) -> Recording:
    """Reads an ISHNE Holter file, or the part asked for.

    Raises:
        ValueError: If the header contradicts itself or the file; `options.strict`: also if it is shorter than stated.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEADER)
    if len(head) < HEADER:
        raise ValueError(f"{path} is truncated: {len(head)} of {HEADER} bytes of its header")
    stated, _, offset = struct.unpack_from("<iii", head, 14)
    sex, _, *days = struct.unpack_from("<hh3h3h3h3h", head, 128)
    n_leads = struct.unpack_from("<h", head, 156)[0]
    codes = struct.unpack_from("<12h", head, 158)
    resolutions = struct.unpack_from("<12h", head, 206)
    rate = float(struct.unpack_from("<h", head, 272)[0])
    if not 0 < n_leads <= MOST_LEADS or not HEADER <= offset < size or rate <= 0 or stated < 0:
        raise ValueError(
            f"{path} is damaged: it states {n_leads} leads of {stated} samples at {rate:g} Hz from byte {offset}"
        )
    held = (size - offset) // (2 * n_leads)
    if held == 0:
        raise ValueError(f"{path} holds no samples")
    notes = []
    if stated not in (held, held * n_leads):
        reason = f"its header states {stated} samples of each lead, the file holds {held}"
        if options.strict:
            raise ValueError(f"{path} is damaged: {reason}")
        notes.append(f"{reason}: these are read")
    channels = [
        Channel(CODES.get(codes[k], f"channel {k + 1}"), "nV" if resolutions[k] > 0 else None, rate)
        for k in range(n_leads)
    ]
    choice = choose_channels(channels, options, str(path))
    first, last = part_of(held, choice.sampling_rate, options, path.stem)
    whole: NDArray[np.int16] = np.memmap(path, dtype="<i2", mode="r", offset=offset, shape=(held, n_leads))
    scale = [factor * max(resolutions[row], 1) for row, factor in zip(choice.rows, choice.factors, strict=True)]
    signal = blank_signal(len(scale), last - first)
    for place in range(first, last, _CHUNK):
        digital = whole[place : min(place + _CHUNK, last), list(choice.rows)].T
        values = np.where(digital == MISSING, np.nan, digital * np.array(scale)[:, None])
        signal[:, place - first :][:, : values.shape[1]] = values
        release(signal)
    day, start = _date(days[3:6]), _start(days[3:])
    patient = patient_of(age_between(_date(days[:3]), day), SEXES.get(sex))
    return Recording(
        signal,
        choice.sampling_rate,
        choice.leads,
        path.stem,
        choice.other_channels,
        start and start + timedelta(seconds=first / choice.sampling_rate),
        patient,
        Source("ISHNE", path),
        (*notes, *choice.notes),
    )


def _start(words: list[int]) -> datetime | None:
    """Returns when it starts, of day, month, year, three words of no use here, hour, minute and second."""
    day, clock = _date(words[:3]), words[6:9]
    if day is None or not all(0 <= part < limit for part, limit in zip(clock, (24, 60, 60), strict=True)):
        return None
    return datetime(day.year, day.month, day.day, clock[0], clock[1], clock[2])


def _date(parts: list[int]) -> date | None:
    """Returns the date of day, month and year."""
    try:
        return date(parts[2], parts[1], parts[0])
    except ValueError:
        return None
