"""EDF+ with 16 bits a sample, and BDF+ with 24; both say "Recording ends" where the last data record is not full."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.recording import Recording
from einthoven.ecg.writers.quantise import Quantised, quantise

LONGEST_RECORD_S = 1000
"""A data record lasts the fewest whole seconds, up to so many, that hold a whole number of samples."""
MOST_ANNOTATIONS = 20
"""So many lost stretches of a data record are told in words too."""


def write_edf(recording: Recording, path: Path) -> None:
    """Writes EDF+; a missing sample is -32768, which the range of its lead leaves out."""
    _write(recording, path, 2)


def write_bdf(recording: Recording, path: Path) -> None:
    """Writes BDF+; a missing sample is -8388608, which the range of its lead leaves out."""
    _write(recording, path, 3)


def _write(recording: Recording, path: Path, width: int) -> None:
    leads = [quantise(lead, 8 * width) for lead in recording.signal]
    length = recording.signal.shape[1]
    n, duration = _record(recording.sampling_rate)
    records = -(-length // n)
    stamps = _stamps(recording, records, n)
    stamp_samples = -(-max(map(len, stamps)) // width)
    with path.open("wb") as file:
        file.write(_header(recording, leads, width, records, n, duration, stamp_samples))
        for k in range(records):
            for lead in leads:
                part = np.full(n, lead.missing, dtype=np.int64)
                held = lead.numbers[k * n : (k + 1) * n]
                part[: len(held)] = held
                file.write(_bytes(part, width))
            file.write(stamps[k].ljust(stamp_samples * width, b"\0"))


def _record(rate: float) -> tuple[int, str]:
    """Returns the samples of a data record and its duration in s, in at most eight characters."""
    for seconds in range(1, LONGEST_RECORD_S + 1):
        n = round(rate * seconds)
        if n > 0 and abs(n - rate * seconds) <= 1e-9 * n:
            return n, str(seconds)
    n = max(round(10 * rate), 1)
    return n, _fit(n / rate)


def _header(
    recording: Recording,
    leads: Sequence[Quantised],
    width: int,
    records: int,
    n: int,
    duration: str,
    stamp_samples: int,
) -> bytes:
    kind = "EDF" if width == 2 else "BDF"
    start, patient = recording.start_time, recording.patient
    sex = {"female": "F", "male": "M"}.get(str(patient.sex) if patient else "", "X")
    age = f" Age_{patient.age:g}" if patient and patient.age is not None else ""
    day = f"{start:%d-}{start.strftime('%b').upper()}{start:-%Y}" if start else "X"
    year = f"{start.year % 100:02d}" if start and 1985 <= start.year <= 2084 else "yy"
    clock = f"{start:%d.%m.}{year}{start:%H.%M.%S}" if start else "01.01.8500.00.00"
    signals = [
        (
            lead_name,
            "",
            "uV",
            _fit(lead.centre - lead.largest * lead.step),
            _fit(lead.centre + lead.largest * lead.step),
            str(-lead.largest),
            str(lead.largest),
            "",
            str(n),
            "",
        )
        for lead_name, lead in zip((f"ECG {lead}" for lead in recording.leads), leads, strict=True)
    ]
    low, high = str(leads[0].missing), str(-leads[0].missing - 1)
    signals.append((f"{kind} Annotations", "", "", "-1", "1", low, high, "", str(stamp_samples), ""))
    widths = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
    fixed = (
        _field(f"X {sex} X X{age}", 80)
        + _field(f"Startdate {day} X X X", 80)
        + _field(clock, 16)
        + _field(str(256 * (len(signals) + 1)), 8)
        + _field(f"{kind}+C", 44)
        + _field(str(records), 8)
        + _field(duration, 8)
        + _field(str(len(signals)), 4)
    )
    fields = [_field(signal[k], size) for k, size in enumerate(widths) for signal in signals]
    return (b"0       " if width == 2 else b"\xffBIOSEMI") + fixed + b"".join(fields)


def _stamps(recording: Recording, records: int, n: int) -> list[bytes]:
    """Returns the annotations of each data record: when it begins, and what is missing in it."""
    rate, length = recording.sampling_rate, recording.signal.shape[1]
    begun = recording.start_time.microsecond / 1e6 if recording.start_time else 0.0
    stamps = [b"+" + _seconds(begun + k * n / rate) + b"\x14\x14\0" for k in range(records)]
    told = [0] * records
    for name, lead in zip(recording.leads, recording.signal, strict=True):
        for first, last in _runs(~np.isfinite(lead)):
            k = first // n
            told[k] += 1
            if told[k] <= MOST_ANNOTATIONS:
                onset, duration = _seconds(begun + first / rate), _seconds((last - first) / rate)
                stamps[k] += b"+" + onset + b"\x15" + duration + b"\x14not measured: " + name.encode() + b"\x14\0"
    if records * n != length:
        stamps[-1] += b"+" + _seconds(begun + length / rate) + b"\x14Recording ends\x14\0"
    return stamps


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Returns the first place of each run of True and the place after it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _bytes(numbers: NDArray[np.int64], width: int) -> bytes:
    if width == 2:
        return numbers.astype("<i2").tobytes()
    return np.ascontiguousarray(numbers.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3]).tobytes()


def _seconds(value: float) -> bytes:
    return np.format_float_positional(value, precision=6, trim="-").encode()


def _fit(value: float) -> str:
    """Returns a number in at most eight characters."""
    for digits in range(8, -1, -1):
        text = np.format_float_positional(value, precision=digits, trim="-")
        if len(text) <= 8:
            return text
    raise ValueError(f"{value:g} is too large for its header")


def _field(text: str, size: int) -> bytes:
    return text.encode("ascii", errors="replace")[:size].ljust(size)
