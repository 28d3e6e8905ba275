"""EDF, EDF+ and BDF (Kemp and Olivan, "European data format 'plus'", Clinical Neurophysiology 114, 2003)."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.formats.channels import Channel, choose_channels, part_of
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.patients import age_between, age_of, patient_of
from einthoven.ecg.long_signals import blank_signal, release
from einthoven.ecg.recording import Patient, Recording, Source

EDF_MARK = b"0       "
BDF_MARK = b"\xffBIOSEMI"
FIELDS: dict[str, int] = {
    "label": 16,
    "transducer": 80,
    "unit": 8,
    "physical_min": 8,
    "physical_max": 8,
    "digital_min": 8,
    "digital_max": 8,
    "prefiltering": 80,
    "samples": 8,
    "reserved": 32,
}
"""What the header says of each signal, and in how many characters."""
FIXED = 256
"""Length of the header's first part, and of its part for each signal, in bytes."""
LONGEST_PAUSE_S = 30 * 86400.0
"""A pause between two data records of more seconds is no pause but a damaged time stamp."""
LARGEST_GAP = 1 << 28
"""Samples beyond which a recording that is mostly pauses is read in parts only: pauses cost memory too."""
_CHUNK = 1 << 20
_ONSET = re.compile(rb"([+-]\d+(?:\.\d*)?)\x14")
_END = re.compile(rb"\+(\d+(?:\.\d*)?)(?:\x15[\d.]*)?\x14Recording ends\x14")
_AGE = re.compile(r"\bAge_([\d.]+)")


@dataclass(frozen=True)
class _Signal:
    """The header of one signal."""

    label: str
    unit: str
    gain: float
    offset: float
    lowest: int
    samples: int
    start: int


@dataclass(frozen=True)
class _Header:
    """The header of a file."""

    patient: str
    recording: str
    start: str
    plus: bool
    records: int
    duration: float
    signals: list[_Signal]
    length: int
    width: int
    notes: tuple[str, ...]

    @property
    def in_record(self) -> int:
        """Samples of all signals in a data record."""
        return sum(signal.samples for signal in self.signals)


@dataclass(frozen=True)
class _Timing:
    """What the time stamps of EDF+ say: when each data record begins and the signal ends, in s from the first one."""

    places: NDArray[np.float64]
    begun: float
    gaps: int
    end: float | None


def matches(head: bytes, path: Path) -> bool:
    """Says whether a file begins as EDF or BDF files do."""
    return head.startswith((EDF_MARK, BDF_MARK)) and head[184:192].strip(b" \0").isdigit()


def read_edf(path: Path, options: ReadOptions) -> Recording:
    """Reads an EDF, EDF+ or BDF file, or the part asked for; pauses between the records of EDF+D are missing samples.

    A sample of the smallest number of its width counts as missing where the header's range excludes it, which is how
    `einthoven.write` stores what was not measured.

    Raises:
        ValueError: If the header contradicts itself, the file is shorter than it says, no channel is a lead, or the
            part does not lie in the recording.
    """
    header = _read_header(path)
    rows = _read_records(path, header)
    timing = _timing(rows, header)
    signals = [signal for signal in header.signals if not _is_annotation(signal)]
    channels = [Channel(signal.label, signal.unit or None, signal.samples / header.duration) for signal in signals]
    choice = choose_channels(channels, options, str(path))
    taken = [signals[row] for row in choice.rows]
    n = taken[0].samples  # all have one rate
    places = np.round(timing.places * (n / header.duration)).astype(np.int64)
    length = places[-1] + n if timing.end is None else min(places[-1] + n, round(timing.end * n / header.duration))
    first, last = part_of(int(length), choice.sampling_rate, options, path.stem)
    if (last - first) * len(taken) > max(LARGEST_GAP, 100 * rows.size):
        raise ValueError(f"{path} is mostly pauses: read a part of it, with start= and duration=")
    signal = _samples(taken, rows, places, first, last, header)
    for row, factor in zip(signal, choice.factors, strict=True):
        row *= factor
        release(signal)
    notes = [*header.notes]
    notes += [f"{timing.gaps} pause(s) between data records are missing samples"] if timing.gaps else []
    begun = _start_time(header, timing.begun)
    return Recording(
        signal,
        choice.sampling_rate,
        choice.leads,
        path.stem,
        choice.other_channels,
        begun and begun + timedelta(seconds=first / choice.sampling_rate),
        _patient(header, begun),
        Source("BDF" if header.width == 3 else "EDF+" if header.plus else "EDF", path),
        (*notes, *choice.notes),
    )


def _samples(
    taken: list[_Signal], rows: NDArray[np.uint8], places: NDArray[np.int64], first: int, last: int, header: _Header
) -> NDArray[np.float64]:
    """Returns samples `first` to `last` of signals in their units, shape (n, last - first), NaN in pauses.

    Args:
        taken: The signals, of one rate.
        rows: The data records as bytes.
        places: The first sample of each data record.
        first: The first sample.
        last: The sample after the last.
        header: The header.
    """
    n = taken[0].samples
    begin, end = np.searchsorted(places, [first - n + 1, last])
    found = blank_signal(len(taken), last - first)
    step = max(_CHUNK // n, 1)  # records looked at together: a day is there once only
    for block in (slice(place, min(place + step, end)) for place in range(begin, end, step)):
        within = (places[block, None] + np.arange(n)).ravel() - first
        inside = (within >= 0) & (within < last - first)
        for row, signal in enumerate(taken):
            digital = _digital(rows[block], signal, header).ravel()[inside]
            missing = digital < min(signal.lowest, _smallest(header) + 1)
            found[row, within[inside]] = np.where(missing, np.nan, digital * signal.gain + signal.offset)
        release(found)
    return found


def _read_header(path: Path) -> _Header:
    """Reads and checks the header; nothing of the signals is read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        fixed = file.read(FIXED)
        n_signals = _whole(path, fixed[252:256], "number of signals")
        length = _whole(path, fixed[184:192], "length of the header")
        if n_signals < 1 or length != FIXED * (n_signals + 1) or length > size:
            raise ValueError(f"{path} is damaged: its header states {n_signals} signals in {length} of {size} bytes")
        block = file.read(FIXED * n_signals)
    width = 3 if fixed.startswith(BDF_MARK) else 2
    signals = _signals(path, block, n_signals)
    duration = _number(path, fixed[244:252], "duration of a data record")
    records = _whole(path, fixed[236:244], "number of data records")
    in_record = sum(signal.samples for signal in signals) * width
    if in_record <= 0 or duration <= 0:
        raise ValueError(f"{path} holds no signals: its data records are empty or last {duration:g} s")
    held = (size - length) // in_record
    notes: tuple[str, ...] = ()
    if records == -1:
        notes = (f"the header does not say how long the recording is: all {held} data records are read",)
        records = held
    elif held > records:
        notes = (f"{size - length - records * in_record} bytes after the last data record are passed over",)
    if not 0 < records <= held:
        raise ValueError(f"{path} is truncated: it holds {held} of {records} data records")
    text = fixed.decode("latin-1")
    return _Header(
        text[8:88].strip(),
        text[88:168].strip(),
        text[168:184],
        text[192:197] in ("EDF+C", "EDF+D", "BDF+C", "BDF+D"),
        records,
        duration,
        signals,
        length,
        width,
        notes,
    )


def _signals(path: Path, block: bytes, n_signals: int) -> list[_Signal]:
    """Reads the headers of the signals, which lie field by field."""
    columns: dict[str, list[bytes]] = {}
    at = 0
    for field, width in FIELDS.items():
        columns[field] = [block[at + k * width : at + (k + 1) * width] for k in range(n_signals)]
        at += n_signals * width
    signals, start = [], 0
    for k in range(n_signals):
        label = columns["label"][k].decode("latin-1").strip(" \0")
        low, high = (_number(path, columns[f"digital_{end}"][k], f"digital range of {label}") for end in ("min", "max"))
        bottom, top = (_number(path, columns[f"physical_{end}"][k], f"range of {label}") for end in ("min", "max"))
        samples = _whole(path, columns["samples"][k], f"number of samples of {label}")
        if samples < 0:
            raise ValueError(f"{path} is damaged: {samples} samples of {label} in a data record")
        is_scaled = high != low and top != bottom
        gain = (top - bottom) / (high - low) if is_scaled else 1.0
        unit = _text(columns["unit"][k])
        unit = unit if is_scaled or "Annotations" in label else "no range"
        signals.append(_Signal(label, unit, gain, bottom - gain * low if is_scaled else 0.0, int(low), samples, start))
        start += samples
    return signals


def _read_records(path: Path, header: _Header) -> NDArray[np.uint8]:
    """Returns the data records as bytes, shape (records, bytes), mapped rather than read."""
    shape = (header.records, header.in_record * header.width)
    return np.memmap(path, dtype=np.uint8, mode="r", offset=header.length, shape=shape)


def _digital(rows: NDArray[np.uint8], signal: _Signal, header: _Header) -> NDArray[np.int32]:
    """Returns the stored numbers of a signal, shape (records, samples)."""
    width = header.width
    part = np.ascontiguousarray(rows[:, signal.start * width : (signal.start + signal.samples) * width])
    if width == 2:
        return part.view("<i2").astype(np.int32)
    triples = part.reshape(len(rows), signal.samples, 3).astype(np.int32)
    return (triples[..., 0] | triples[..., 1] << 8 | triples[..., 2] << 16) - ((triples[..., 2] >> 7) << 24)


def _timing(rows: NDArray[np.uint8], header: _Header) -> _Timing:
    """Reads the time stamps of the data records, which EDF+ has."""
    even: NDArray[np.float64] = np.asarray(np.arange(header.records) * header.duration, dtype=np.float64)
    clock = next((signal for signal in header.signals if _is_annotation(signal)), None)
    if not header.plus or clock is None:
        return _Timing(even, 0.0, 0, None)
    width = header.width
    stamps = rows[:, clock.start * width : (clock.start + clock.samples) * width]
    onset = _onset(stamps[0])
    begun = onset if 0 <= onset < 1 else 0.0
    end = _END.search(stamps[-1].tobytes())
    ending = float(end[1]) - onset if end else None
    if abs(_onset(stamps[-1]) - onset - even[-1]) <= 0.01 * header.duration:  # the rest need not be looked at
        return _Timing(even, begun, 0, ending)
    onsets = np.array([_onset(stamp) for stamp in stamps])
    steps = np.diff(onsets)
    if not np.isfinite(onsets).all() or (steps < 0.99 * header.duration).any() or (steps > LONGEST_PAUSE_S).any():
        return _Timing(even, 0.0, 0, None)  # time stamps that run backwards say nothing
    return _Timing(onsets - onset, begun, int((steps > 1.01 * header.duration).sum()), ending)


def _onset(stamp: NDArray[np.uint8]) -> float:
    """Returns when a data record begins, in s, NaN where it does not say."""
    found = _ONSET.match(stamp.tobytes())
    return float(found[1]) if found else np.nan


def _is_annotation(signal: _Signal) -> bool:
    return signal.label in ("EDF Annotations", "BDF Annotations")


def _smallest(header: _Header) -> int:
    """Returns the smallest number that a sample can hold."""
    return -(2 ** (8 * header.width - 1))


def _start_time(header: _Header, begun: float) -> datetime | None:
    """Returns the start of the recording: the full year of EDF+, else the two digits that EDF has."""
    words = header.recording.split()
    full = words[1] if len(words) > 1 and words[0] == "Startdate" else ""
    try:
        clock = datetime.strptime(header.start[8:], "%H.%M.%S") + timedelta(seconds=begun)
        if full:
            return datetime.combine(datetime.strptime(full, "%d-%b-%Y"), clock.time())
        day = datetime.strptime(header.start[:8], "%d.%m.%y")
    except ValueError:
        return None
    year = 1900 + day.year % 100 if day.year % 100 >= 85 else 2000 + day.year % 100
    return datetime.combine(day.replace(year=year), clock.time())


def _patient(header: _Header, start: datetime | None) -> Patient | None:
    """Returns age and sex from EDF+'s "code sex birthdate name"."""
    words = header.patient.split()
    if len(words) < 3:
        return None
    try:
        born: datetime | None = datetime.strptime(words[2], "%d-%b-%Y")
    except ValueError:
        born = None
    stated = _AGE.search(header.patient)
    return patient_of(age_of(stated[1]) if stated else age_between(born, start), words[1])


def _text(raw: bytes) -> str:
    """Decodes a field; a micro sign may come in UTF-8 or in Latin-1."""
    try:
        return raw.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip(" \0")


def _number(path: Path, raw: bytes, what: str) -> float:
    """Reads a number of the header."""
    try:
        value = float(raw.decode("ascii").strip(" \0").replace(",", "."))
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ValueError(f"{path} is damaged: {raw.decode('latin-1').strip()!r} as {what} in its header")
    return value


def _whole(path: Path, raw: bytes, what: str) -> int:
    """Reads a whole number of the header."""
    return int(_number(path, raw, what))
