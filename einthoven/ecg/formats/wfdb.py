"""WFDB records: every sample format, several segments, skew, and what the headers of real archives leave out.

What is assumed or wrong is told in the recording's notes; with `strict` it is an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.formats.channels import Channel, Choice, choose_channels, part_of
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.wfdb_files.header import (
    DEFAULT_GAIN,
    DEFAULT_RATE_HZ,
    Header,
    SignalLine,
    file_beside,
    find_header,
    read_header,
)
from einthoven.ecg.formats.wfdb_files.samples import SampleFile, missing_value
from einthoven.ecg.long_signals import blank_signal, release
from einthoven.ecg.recording import Recording, Source

STRICT = ReadOptions(strict=True)
"""For data sets: nothing is assumed, and what is wrong with a record is an error."""
_CHUNK = 1 << 20
"""Samples of a file that are decoded together."""
_PADDING = 2
"""Frames beyond the last that the last group of samples may hold."""
LARGEST_GAP = 1 << 28
"""Samples beyond which a record whose files do not hold them is read in parts only: gaps cost memory too."""


@dataclass(frozen=True)
class _Segment:
    """A plain record, or a gap, within a record: frames `first` to `last` of the whole."""

    header: Header | None
    first: int
    last: int


def matches(head: bytes, path: Path) -> bool:
    """Says whether a path names a WFDB record: its header, the record without extension, or one of its files."""
    return find_header(path) is not None


def read_wfdb(path: str | Path, options: ReadOptions | None = None) -> Recording:
    """Reads a WFDB record, with or without `.hea` or `.dat`, leads in the file's order; of it, the part asked for.

    Nothing is read before the header is known to name only files in its folder or below. Channels that are no leads
    are not read. Checksums are verified where all of a record is read.

    Raises:
        ValueError: If the header or a signal file is missing, cannot be read or points outside its folder, no channel
            is a lead, or the part lies outside the record; with `options.strict` also where a file is truncated, a
            checksum or a channel's name is wrong, or something would have to be assumed.
    """
    options = options or ReadOptions()
    file = find_header(Path(path))
    if file is None:
        raise ValueError(f"no header {path}.hea; give the path of a WFDB record, without extension")
    stem = file.with_suffix("")
    notes: list[str] = []
    header = read_header(file)
    if header.rate is None:
        notes.append(f"the header states no sampling rate: {DEFAULT_RATE_HZ:g} Hz assumed")
    segments = _segments(header, options, notes)
    lines = _channels(header, segments)
    rate = header.rate or DEFAULT_RATE_HZ
    channels = [Channel(line.name, line.unit, rate * line.frames) for line in lines]
    choice = choose_channels(channels, options, str(stem))
    frames = lines[choice.rows[0]].frames
    length = segments[-1].last
    first, last = part_of(length, choice.sampling_rate / frames, options, stem.name)
    if (last - first) * frames * len(choice.rows) > max(LARGEST_GAP, 100 * _held_bytes(segments)):
        raise ValueError(f"{stem} is mostly gaps, {length / rate:.0f} s: read a part of it, with start= and duration=")
    signal = blank_signal(len(choice.rows), (last - first) * frames)
    names = [channels[row].name for row in choice.rows]
    for segment in segments:
        if segment.header is not None and segment.first < last and segment.last > first:
            rows = choice.rows if segment.header is header else _rows_by_name(segment.header, lines, choice)
            _read_segment(segment, rows, first, last, signal, notes)
    gains = {row: lines[row].gain for row in choice.rows}
    if header.signals and not all(gains.values()):
        listed = ", ".join(name for name, gain in zip(names, gains.values(), strict=True) if not gain)
        notes.append(
            f"the header states no gain of {listed}: {DEFAULT_GAIN:g} counts per mV assumed, amplitudes may be wrong"
        )
    if options.strict and notes:
        raise ValueError(f"{stem}: {notes[0]}")
    for row, factor in zip(signal, choice.factors, strict=True):
        row *= factor
        release(signal)
    start = header.start_time
    start = start and start + timedelta(seconds=first * frames / choice.sampling_rate)
    source = Source("WFDB", stem)
    all_notes = (*dict.fromkeys(notes), *choice.notes)
    return Recording(
        signal,
        choice.sampling_rate,
        choice.leads,
        stem.name,
        choice.other_channels,
        start,
        header.patient,
        source,
        all_notes,
    )


def _segments(header: Header, options: ReadOptions, notes: list[str]) -> list[_Segment]:
    """Lists what a record is made of, in time; a plain record is one segment."""
    if not header.segments:
        return [_Segment(header, 0, _length(header, notes))]
    segments: list[_Segment] = []
    place = 0
    for name, length in header.segments:
        if name == "~":
            segments.append(_Segment(None, place, place + length))
        else:
            inner = read_header(_existing_header(file_beside(header.path, name + ".hea")))
            if inner.segments:
                raise ValueError(f"segment {name} of {header.path} has segments itself: not read")
            segments.append(_Segment(inner, place, place + length))
        place += length
    if not place:
        raise ValueError(f"header {header.path} states segments without any sample")
    gaps = [segment for segment in segments if segment.header is None]
    if gaps:
        missing = sum(segment.last - segment.first for segment in gaps) / (header.rate or DEFAULT_RATE_HZ)
        notes.append(f"{len(gaps)} gap(s) between its segments, {missing:.1f} s in all, are missing")
    return segments


def _existing_header(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"header {path} of a segment is missing")
    return path


def _length(header: Header, notes: list[str]) -> int:
    """Returns how many frames a plain record has: as stated, but no more than its files hold."""
    held = max(file.n_frames for file, _ in _files(header))
    if not held:
        raise ValueError(f"signal file of {header.path} holds no samples")
    if header.length is None:
        notes.append(f"the header states no length: {held} samples are in the file")
        return held
    least = min(file.n_frames for file, _ in _files(header))
    if least < header.length:
        notes.append(f"signal file is truncated: it holds {least} of {header.length} samples, the rest is missing")
    spare = max(line.skew for line in header.signals) + _PADDING
    if held > header.length + spare:
        notes.append(
            f"signal file holds more than the header states: {held} samples, of which {header.length} are read"
        )
    return min(held, header.length)


def _channels(header: Header, segments: Sequence[_Segment]) -> tuple[SignalLine, ...]:
    """Returns the signals of the whole record: of a layout header, or all that segments have, by name."""
    if header.signals:
        return header.signals
    found: dict[str, SignalLine] = {}
    for segment in segments:
        if segment.header is not None:
            for line in segment.header.signals:
                found.setdefault(line.name, line)
    return tuple(found.values())


def _rows_by_name(segment: Header, lines: Sequence[SignalLine], choice: Choice) -> tuple[int | None, ...]:
    """Finds the chosen channels in a segment, None for those that it lacks or has at another rate."""
    places = {line.name: row for row, line in enumerate(segment.signals)}
    rows: list[int | None] = []
    for row in choice.rows:
        place = places.get(lines[row].name)
        fits = place is not None and segment.signals[place].frames == lines[row].frames
        rows.append(place if fits else None)
    return tuple(rows)


def _files(header: Header) -> list[tuple[SampleFile, list[int]]]:
    """Opens the signal files of a plain record, each with the places of its signals."""
    files = []
    for name, group in groupby(range(len(header.signals)), key=lambda row: header.signals[row].file):
        rows = list(group)
        if name == "~":
            continue
        lines = [header.signals[row] for row in rows]
        if len({line.format for line in lines}) > 1:
            raise ValueError(f"signals of {name} in {header.path} differ in format: not read")
        frame = sum(line.frames for line in lines)
        path = file_beside(header.path, name)
        files.append((SampleFile(path, lines[0].format, lines[0].offset, frame, len(rows)), rows))
    if not files:
        raise ValueError(f"header {header.path} names no signal file")
    return files


def _held_bytes(segments: Sequence[_Segment]) -> int:
    """Returns the size of all files of a record."""
    headers = [segment.header for segment in segments if segment.header is not None]
    return sum(
        file.path.stat().st_size
        for header in headers
        if any(line.file != "~" for line in header.signals)
        for file, _ in _files(header)
    )


def _read_segment(
    segment: _Segment,
    rows: Sequence[int | None],
    first: int,
    last: int,
    signal: NDArray[np.float64],
    notes: list[str],
) -> None:
    """Reads the part of a segment that lies in frames `first` to `last` into the signal, in its own unit."""
    header = segment.header
    assert header is not None
    if all(line.file == "~" for line in header.signals):
        return
    begin, end = max(first, segment.first) - segment.first, min(last, segment.last) - segment.first
    for file, places in _files(header):
        wanted = [(place, row) for place, row in enumerate(rows) if row in places]
        if not wanted:
            continue
        columns = np.cumsum([0, *(header.signals[row].frames for row in places)])
        skew = max(header.signals[row].skew for row in places)
        sums = dict.fromkeys(places, 0)
        step = end - begin if file.form == "8" else max(1, _CHUNK // file.frame)
        for start in range(begin, end, step):
            stop = min(start + step, end)
            digital = file.read(start, stop + skew)
            for place, row in wanted:
                assert row is not None
                line, column = header.signals[row], columns[places.index(row)]
                samples = digital[:, column : column + line.frames]
                if file.form == "8":
                    samples = (line.initial + np.cumsum(samples.reshape(-1), dtype=np.int64)).reshape(samples.shape)
                    samples = samples[begin:]
                sums[row] += int(samples[: None if stop == end else stop - start].sum(dtype=np.int64))
                samples = samples[line.skew : line.skew + stop - start]
                target = signal[place, (segment.first + start - first) * line.frames :][: samples.size]
                _to_physical(samples.reshape(-1), line, target)
            release(signal)
        if begin == 0 and file.n_frames <= end + skew or (not skew and (begin, end) == (0, header.length)):
            for _, row in wanted:
                assert row is not None
                _verify(header.signals[row], sums[row], header, notes)


def _to_physical(samples: NDArray[Any], line: SignalLine, target: NDArray[np.float64]) -> None:
    """Writes samples in a signal's unit, NaN where they say that nothing was measured."""
    np.subtract(samples, line.baseline, out=target, dtype=np.float64, casting="unsafe")
    target /= line.gain or DEFAULT_GAIN
    missing = missing_value(line.format)
    if missing is not None:
        target[samples == missing] = np.nan


def _verify(line: SignalLine, total: int, header: Header, notes: list[str]) -> None:
    """Compares the 16-bit sum of all samples with the one that the header states."""
    if line.checksum is None or (total - line.checksum) % 65536 == 0:
        return
    if line.checksum == 0:
        notes.append(f"checksum of {line.name} is 0, which says nothing")
    else:
        notes.append(f"checksum of lead {line.name} is wrong: {header.path.stem} may be damaged")
