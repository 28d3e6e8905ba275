"""The header of a WFDB record, read with care: it may come from anywhere.

Written after the description of header files in the WFDB Applications Guide (header(5)). The fields that a header
leaves out have the values that are stated there.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path

from einthoven.ecg.recording import Patient

DEFAULT_RATE_HZ = 250.0
DEFAULT_GAIN = 200.0
LARGEST_HEADER = 1 << 24
"""Bytes beyond which a file is no header; a Holter of a day in segments of ten seconds has half a million."""


@dataclass(frozen=True)
class SignalLine:
    """What a header says of a signal.

    Attributes:
        file: Name of its file, relative to the header's folder; "~": none.
        format: Name of its format, such as "16".
        frames: Samples in each frame.
        skew: Frames by which it lies later in its file.
        offset: Bytes before the first sample.
        gain: Counts in a unit; 0: not stated, or no number that a recorder has.
        baseline: Count that stands for zero.
        unit: Physical unit.
        initial: Value before the first difference.
        checksum: Sum of all samples, modulo 65536; None: not stated.
        name: Its description.
    """

    file: str
    format: str
    frames: int
    skew: int
    offset: int
    gain: float
    baseline: int
    unit: str
    initial: int
    checksum: int | None
    name: str


@dataclass(frozen=True)
class Header:
    """A header.

    Attributes:
        path: Its file.
        rate: Frames in a second, in Hz; None: not stated.
        length: Number of frames; None: not stated.
        signals: Its signals; none where it has segments.
        segments: Names of segments, "~" for a gap, and how many frames they hold; none of a plain record.
        start_time: When it begins, where both time and date are stated.
        patient: Age and sex, where they are stated.
    """

    path: Path
    rate: float | None
    length: int | None
    signals: tuple[SignalLine, ...] = ()
    segments: tuple[tuple[str, int], ...] = ()
    start_time: datetime | None = None
    patient: Patient | None = None


def find_header(path: Path) -> Path | None:
    """Finds the header that a path means: itself, that of the record so named, or the one that names this file."""
    if path.suffix == ".hea" and path.is_file():
        return path
    named = path.with_name(path.name + ".hea")
    if named.is_file():
        return named
    beside = path.with_suffix(".hea") if path.suffix else path
    if path.suffix and beside.is_file() and (not path.exists() or path.name in _first_words(beside)):
        return beside
    return None


def read_header(path: Path) -> Header:
    """Reads a header; ValueError where a line says nothing that can be understood."""
    lines, comments = _lines(path)
    if not lines:
        raise ValueError(f"header {path} is empty")
    try:
        segments, count, rate, length, start = _record_line(lines[0])
        rest = lines[1:]
        if segments:
            parsed = tuple(_segment(line) for line in rest[:segments])
            if len(parsed) < segments:
                raise ValueError(f"it states {segments} segments, but has lines for {len(parsed)}")
            return Header(path, rate, length, (), parsed, start, _patient(comments))
        if not count:
            raise ValueError("it states no signals")
        if len(rest) < count:
            raise ValueError(f"it states {count} signals, but has lines for {len(rest)}")
        signals = tuple(_signal_line(line, number) for number, line in enumerate(rest[:count], start=1))
    except ValueError as error:
        raise ValueError(f"header {path} cannot be read: {error}") from error
    return Header(path, rate, length, signals, (), start, _patient(comments))


def file_beside(header: Path, name: str) -> Path:
    """Returns the path of a file that a header names, in its folder or below; ValueError where it would leave it."""
    path = header.parent / name
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or any(part in ("..", "~") for part in parts) or re.search(r"[\\:]", name):
        raise ValueError(f"header {header} points outside its folder ({name!r}): not read")
    # A header that is a link itself says that its owner keeps the record elsewhere, as git-annex does.
    is_own = len(parts) == 1 and header.is_symlink()
    if not is_own and not path.resolve().is_relative_to(header.parent.resolve()):
        raise ValueError(
            f"header {header} points outside its folder, by a link ({name!r}): not read; copy the file, or link the "
            "header as well"
        )
    return path


def _lines(path: Path) -> tuple[list[str], list[str]]:
    """Returns the lines of a header that are no comments, and the comments."""
    if path.stat().st_size > LARGEST_HEADER:
        raise ValueError(f"{path} is too large for a WFDB header")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    lines = [line.strip() for line in text.splitlines()]
    comments = [line.lstrip("# ") for line in lines if line.startswith("#")]
    return [line for line in lines if line and not line.startswith("#")], comments


def _first_words(path: Path) -> list[str]:
    try:
        return [line.split()[0].rpartition("/")[2] for line in _lines(path)[0][1:]]
    except (OSError, ValueError):
        return []


def _record_line(line: str) -> tuple[int, int, float | None, int | None, datetime | None]:
    """Reads the first line: number of segments (0: a plain record), signals, rate, length, start."""
    words = line.split()
    match = re.fullmatch(r"([^/]+)(?:/(\d+))?", words[0])
    if match is None or len(words) < 2 or not words[1].isdigit():
        raise ValueError(f"its first line is {line[:80]!r}, not name, number of signals, rate and length")
    rate = None
    if len(words) > 2:
        number = re.match(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", words[2])
        rate = float(number[0]) if number else float("nan")
        if not 0 < rate < float("inf"):
            raise ValueError(f"the sampling rate {words[2]!r} is not positive; if it is known give sampling_rate=")
    length = int(words[3]) if len(words) > 3 and words[3].isdigit() else None
    return int(match[2] or 0), int(words[1]), rate, length or None, _start_time(words[4:])


def _start_time(words: list[str]) -> datetime | None:
    try:
        hour, minute, second = words[0].split(":")
        day, month, year = map(int, words[1].split("/"))
        whole, _, fraction = second.partition(".")
        clock = time(int(hour), int(minute), int(whole), int(f"{fraction:0<6.6}"))
        return datetime.combine(date(year, month, day), clock)
    except (ValueError, IndexError):
        return None


def _segment(line: str) -> tuple[str, int]:
    words = line.split()
    if len(words) < 2 or not words[1].isdigit():
        raise ValueError(f"a segment's line is {line[:80]!r}, not name and length")
    return words[0], int(words[1])


def _signal_line(line: str, number: int) -> SignalLine:
    words = line.split(maxsplit=8)
    form = re.fullmatch(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?", words[1]) if len(words) > 1 else None
    if form is None:
        raise ValueError(f"a signal's line is {line[:80]!r}, not file, format and gain")
    gain = re.fullmatch(r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)?(?:\(([-+]?\d+)\))?(?:/(\S+))?", (words[2:3] or ["0"])[0])
    if gain is None:
        raise ValueError(f"the gain {words[2]!r} of signal {number} is no number, with baseline and unit")
    numbers: list[int] = []  # resolution, zero, initial value, checksum, block size
    for word in words[3:8]:
        if not re.fullmatch(r"[-+]?\d+", word):
            break
        numbers.append(int(word))
    name = " ".join(words[3 + len(numbers) :]).strip()
    zero = numbers[1] if len(numbers) > 1 else 0
    size = float(gain[1] or 0)
    return SignalLine(
        words[0],
        form[1],
        max(1, int(form[2] or 1)),
        int(form[3] or 0),
        int(form[4] or 0),
        size if 1e-9 <= abs(size) <= 1e15 else 0.0,
        int(gain[2]) if gain[2] else zero,
        gain[3] or "mV",
        numbers[2] if len(numbers) > 2 else zero,
        numbers[3] if len(numbers) > 3 else None,
        name or f"channel {number}",
    )


def _patient(comments: list[str]) -> Patient | None:
    """Finds age and sex in comments such as "Age: 63", "<age>: 63 <sex>: F" or, in the first one, "69 M"."""
    text = "\n".join(comments)
    age = re.search(r"\bage\b\W{1,6}(\d{1,3}(?:\.\d+)?)", text, re.IGNORECASE)
    sex = re.search(r"\b(?:sex|gender)\b\W{1,6}(f|m|female|male)\b", text, re.IGNORECASE)
    plain = re.match(r"(\d{1,3})\s+([MF])\b", comments[0]) if comments else None
    years = float(age[1]) if age else (float(plain[1]) if plain else None)
    letter = sex[1] if sex else (plain[2] if plain else "")
    word = {"f": "female", "m": "male"}.get(letter[:1].lower())
    return Patient(years, word) if years is not None or word is not None else None
