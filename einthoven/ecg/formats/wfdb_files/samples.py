"""Samples of WFDB signal files, in every format of signal(5), a part of a file at a time.

Nothing larger than the file is made from a number in a header: what a file does not hold is not there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class SampleFormat:
    """A format of samples of fixed width.

    Attributes:
        missing: The value that says that nothing was measured; None: the format has none.
        n_bytes: Bytes of a group of samples.
        n_samples: Samples of a group.
        decode: Gives the samples of whole groups, in the smallest type that holds them.
    """

    missing: int | None
    n_bytes: int
    n_samples: int
    decode: Callable[[Bytes], NDArray[Any]]


def _decode_24(data: Bytes) -> NDArray[np.int32]:
    low, middle, high = data.reshape(-1, 3).astype(np.int32).T
    return ((high << 24) | (middle << 16) | (low << 8)) >> 8


def _decode_212(data: Bytes) -> NDArray[np.int16]:
    first, middle, second = data.reshape(-1, 3).astype(np.int16).T
    values = np.stack([first | ((middle & 0x0F) << 8), second | ((middle >> 4) << 8)], axis=1)
    return _signed(values, 12)


def _decode_310(data: Bytes) -> NDArray[np.int16]:
    first, second = data.view("<u2").reshape(-1, 2).T
    third = (first >> 11) | ((second >> 11) << 5)
    return _signed(np.stack([(first >> 1) & 0x3FF, (second >> 1) & 0x3FF, third], axis=1).astype(np.int16), 10)


def _decode_311(data: Bytes) -> NDArray[np.int16]:
    words = data.view("<u4")
    return _signed(np.stack([(words >> shift) & 0x3FF for shift in (0, 10, 20)], axis=1).astype(np.int16), 10)


def _signed(values: NDArray[np.int16], bits: int) -> NDArray[np.int16]:
    """Gives numbers of so many bits, (n, k), their sign, (n k)."""
    shift = 16 - bits
    return ((values << shift) >> shift).reshape(-1)


FORMATS: dict[str, SampleFormat] = {
    "8": SampleFormat(None, 1, 1, lambda data: data.view(np.int8)),
    "16": SampleFormat(-(1 << 15), 2, 1, lambda data: data.view("<i2")),
    "24": SampleFormat(-(1 << 23), 3, 1, _decode_24),
    "32": SampleFormat(-(1 << 31), 4, 1, lambda data: data.view("<i4")),
    "61": SampleFormat(-(1 << 15), 2, 1, lambda data: data.view(">i2")),
    "80": SampleFormat(-(1 << 7), 1, 1, lambda data: data.astype(np.int16) - 128),
    "160": SampleFormat(-(1 << 15), 2, 1, lambda data: data.view("<u2").astype(np.int32) - 32768),
    "212": SampleFormat(-(1 << 11), 3, 2, _decode_212),
    "310": SampleFormat(-(1 << 9), 4, 3, _decode_310),
    "311": SampleFormat(-(1 << 9), 4, 3, _decode_311),
}
"""Formats by name; those of FLAC files are in `FLAC_MISSING`."""
FLAC_MISSING: dict[str, int] = {"508": -(1 << 7), "516": -(1 << 15), "524": -(1 << 23)}


def missing_value(form: str) -> int | None:
    """Returns the value by which a known format says that nothing was measured."""
    return FLAC_MISSING[form] if form in FLAC_MISSING else FORMATS[form].missing


class SampleFile:
    """A signal file of `n_signals` signals.

    Args:
        path: The file; ValueError where it is missing or not of the format.
        form: Name of the format.
        offset: Bytes (of FLAC: samples) before the first sample.
        frame: Samples of all its signals in a frame.
        n_signals: Number of its signals.
    """

    def __init__(self, path: Path, form: str, offset: int, frame: int, n_signals: int) -> None:
        if form not in FORMATS and form not in FLAC_MISSING:
            known = ", ".join([*FORMATS, *FLAC_MISSING])
            raise ValueError(f"signal file {path}: format {form!r} is not known; known formats: {known}")
        if not path.is_file():
            raise ValueError(f"signal file {path} is missing")
        self.path, self.form, self.offset, self.frame, self.n_signals = path, form, offset, frame, n_signals
        if form in FLAC_MISSING:
            self.n_frames = max(0, self._flac().frames - offset) * n_signals // frame
        else:
            sizes = FORMATS[form]
            held = max(0, path.stat().st_size - offset)
            groups, rest = divmod(held, sizes.n_bytes)
            whole = rest * 8 // (sizes.n_bytes * 8 // sizes.n_samples) if rest else 0
            self.n_frames = (groups * sizes.n_samples + whole) // frame

    def read(self, first: int, last: int) -> NDArray[Any]:
        """Reads frames `first` to `last`, as far as the file holds them, shape (n_frames, frame)."""
        last = min(last, self.n_frames)
        first = min(first, last)
        if self.form in FLAC_MISSING:
            return self._read_flac(first, last)
        if self.form == "8":  # differences: all that came before counts
            return self._read_plain(0, last)
        return self._read_plain(first, last)

    def _read_plain(self, first: int, last: int) -> NDArray[Any]:
        sizes = FORMATS[self.form]
        begin, end = first * self.frame, last * self.frame
        group = begin // sizes.n_samples
        groups = -(-end // sizes.n_samples) - group
        place = self.offset + group * sizes.n_bytes
        data = np.fromfile(self.path, dtype=np.uint8, count=groups * sizes.n_bytes, offset=place)
        data = np.pad(data, (0, groups * sizes.n_bytes - len(data)))  # a last group may be cut where its samples end
        skipped = begin - group * sizes.n_samples
        return sizes.decode(data)[skipped : skipped + end - begin].reshape(-1, self.frame)

    def _flac(self) -> Any:  # noqa: ANN401 (soundfile is not typed)
        import soundfile

        try:
            file = soundfile.SoundFile(str(self.path))
        except (soundfile.LibsndfileError, OSError) as error:
            raise ValueError(f"signal file {self.path} is no FLAC file: {error}") from error
        if file.format != "FLAC" or file.channels != self.n_signals:
            raise ValueError(f"signal file {self.path} holds {file.channels} channels, its header has {self.n_signals}")
        return file

    def _read_flac(self, first: int, last: int) -> NDArray[Any]:
        """Reads FLAC, whose channels hold the samples of a frame one after the other."""
        each = self.frame // self.n_signals
        if each * self.n_signals != self.frame:
            raise ValueError(f"signal file {self.path}: FLAC cannot hold signals of different rates")
        with self._flac() as file:
            shift = 32 - {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}.get(file.subtype, 32)
            file.seek(first * each + self.offset)
            parts = []
            left = (last - first) * each
            while left > 0:
                part = file.read(min(left, 1 << 20), dtype="int32", always_2d=True)
                if not len(part):
                    break
                parts.append(part >> shift)
                left -= len(part)
        values = np.concatenate(parts) if parts else np.zeros((0, self.n_signals), dtype=np.int32)
        values = values[: len(values) // each * each].reshape(-1, each, self.n_signals)
        return values.transpose(0, 2, 1).reshape(len(values), self.frame)
