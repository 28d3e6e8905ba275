"""HL7 annotated ECG (ANSI/HL7 V3 ECG, R1), the form that the FDA takes."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.formats.channels import Channel, recording_of
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.patients import age_between, patient_of
from einthoven.ecg.formats.xml_tree import number_of, numbers_in, read_xml, root_of, text_of
from einthoven.ecg.recording import Recording, Source

SECONDS: dict[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
"""Units of the time between samples, in s."""
LONGEST = 100
"""Sets that would make a recording so many times longer than their samples are damaged."""


@dataclass(frozen=True)
class _Sequence:
    """The samples of a lead in one set."""

    name: str
    unit: str
    samples: NDArray[np.float64]
    start: float
    rate: float


def matches(head: bytes, path: Path) -> bool:
    """Says whether a file is an HL7 annotated ECG."""
    return root_of(head) == "annotatedecg"


def read_aecg(path: Path, options: ReadOptions) -> Recording:
    """Reads the rhythm of an HL7 annotated ECG; its sets of sequences lie where their times say.

    Raises:
        ValueError: If the file is damaged or holds no rhythm.
    """
    root = read_xml(path)
    try:
        series = _rhythm(root)
        sequences: list[_Sequence] = []
        for sequence_set in series.iterfind("component/sequenceSet"):
            sequences += _sequences(sequence_set)
        if not sequences:
            raise ValueError("it holds no leads")
        channels, signals = _join(sequences)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as an HL7 annotated ECG: {error}") from error
    start = _time(_value(series.find("effectiveTime/low")) or _value(root.find("effectiveTime/low")))
    subject = root.find(".//trialSubject/subjectDemographicPerson")
    sex = subject.find("administrativeGenderCode") if subject is not None else None
    born = _time(_value(subject.find("birthTime")) if subject is not None else "")
    patient = patient_of(age_between(born, start), sex.get("code") if sex is not None else None)
    source = Source("HL7 aECG", path)
    return recording_of(channels, signals, options, source, start_time=start, patient=patient)


def _rhythm(root: Element) -> Element:
    """Returns the first series of a rhythm, else the first one."""
    series = root.findall("component/series")
    rhythm = [one for one in series if "RHYTHM" in _code(one).upper()] or series
    if not rhythm:
        raise ValueError("it holds no series")
    return rhythm[0]


def _sequences(sequence_set: Element) -> list[_Sequence]:
    """Reads the leads of a set, and when and how fast they were sampled."""
    start, step = 0.0, 0.0
    leads = []
    for sequence in sequence_set.iterfind("component/sequence"):
        code, value = _code(sequence), sequence.find("value")
        if code.upper() in ("TIME_ABSOLUTE", "TIME_RELATIVE"):
            start, step = _clock(value)
        elif value is not None:
            leads.append((code, value))
    if not step > 0:
        raise ValueError("a set of sequences has no time")
    found = []
    for code, value in leads:
        scale, origin = value.find("scale"), value.find("origin")
        unit = scale.get("unit", "") if scale is not None else ""
        factor = number_of(_value(scale) or "1", f"scale of {code}")
        zero = number_of(_value(origin) or "0", f"origin of {code}")
        if zero and origin is not None and origin.get("unit", unit) != unit:
            raise ValueError(f"{code} has an origin in {origin.get('unit')} and a scale in {unit}")
        digits = numbers_in(text_of(value, "digits"), code)
        found.append(_Sequence(code, unit, digits * factor + zero, start, 1 / step))
    return found


def _clock(value: Element | None) -> tuple[float, float]:
    """Returns when a set begins and the time between its samples, both in s."""
    increment = value.find("increment") if value is not None else None
    if value is None or increment is None:
        raise ValueError("a set of sequences has no time between samples")
    step = number_of(_value(increment), "time between samples") * SECONDS.get(increment.get("unit", "s"), np.nan)
    head = value.find("head")
    absolute = _time(_value(head))
    if absolute is not None:
        return (absolute - datetime(1970, 1, 1)).total_seconds(), step
    relative = number_of(_value(head) or "0", "start of a set")
    return relative * SECONDS.get(head.get("unit", "s") if head is not None else "s", 1.0), step


def _join(sequences: list[_Sequence]) -> tuple[list[Channel], list[NDArray[np.float64]]]:
    """Lays the sequences of each lead out in time, NaN between them."""
    first = min(sequence.start for sequence in sequences)
    channels, signals = [], []
    for name in dict.fromkeys(sequence.name for sequence in sequences):
        parts = [sequence for sequence in sequences if sequence.name == name]
        rate, unit = parts[0].rate, parts[0].unit
        if any(part.rate != rate or part.unit != unit for part in parts):
            raise ValueError(f"{name} changes its rate or unit from set to set")
        places = [round((part.start - first) * rate) for part in parts]
        length = max(place + len(part.samples) for place, part in zip(places, parts, strict=True))
        if length > LONGEST * sum(len(part.samples) for part in sequences):
            raise ValueError(f"its times leave {length} samples out")
        signal = np.full(length, np.nan)
        for place, part in zip(places, parts, strict=True):
            signal[place : place + len(part.samples)] = part.samples
        channels.append(Channel(name, unit or None, rate))
        signals.append(signal)
    return channels, signals


def _code(element: Element) -> str:
    code = element.find("code")
    return code.get("code", "") if code is not None else ""


def _value(element: Element | None) -> str:
    return element.get("value", "") if element is not None else ""


def _time(text: str) -> datetime | None:
    """Reads a time such as 20021122091000.000-0500, without its zone."""
    whole, _, fraction = text.split("+")[0].split("-")[0].partition(".")
    try:
        time = datetime.strptime(whole.ljust(14, "0")[:14], "%Y%m%d%H%M%S") if len(whole) >= 8 else None
    except ValueError:
        return None
    digits = fraction[:6].ljust(6, "0")
    return time.replace(microsecond=int(digits)) if time and digits.isdigit() else time
