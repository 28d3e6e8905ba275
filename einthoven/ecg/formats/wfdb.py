"""WFDB records, read with all checks."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.leads import canonical_leads
from einthoven.ecg.recording import Recording, Source

MILLIVOLTS: dict[str, float] = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6, "v": 1e3}
"""Known units of a signal, in lower case, in mV."""

BITS: dict[str, int] = {"16": 16, "61": 16, "80": 8, "160": 16, "212": 12, "24": 24, "32": 32}
"""Bits of a sample in the fixed-width WFDB formats, by which a truncated file is known before reading."""
INVALID: dict[str, int] = {name: -(2 ** (bits - 1)) for name, bits in BITS.items()}
"""The value that says that nothing was measured, by WFDB format."""


def matches(head: bytes, path: Path) -> bool:
    """Says whether a path names a WFDB record: its header, the record without extension, or one of its files."""
    return path.suffix == ".hea" or path.with_name(path.name + ".hea").is_file() or path.with_suffix(".hea").is_file()


def read_wfdb(path: str | Path, options: ReadOptions | None = None) -> Recording:
    """Reads a WFDB record of ECG leads, with or without `.hea` or `.dat`, leads in the file's order.

    Nothing is read before the header is known to name only files beside it. Lengths and, where the header states them,
    checksums are verified.

    Raises:
        ValueError: If the header or signal file is missing or truncated, the header cannot be read, points outside its
            folder, has several segments, signals of different rates, unknown units or lead names, or a checksum fails.
    """
    stem = Path(path)
    stem = stem.with_suffix("") if stem.suffix in (".hea", ".dat") else stem
    header = _read_header(stem)
    _check_files(stem, header)
    digital = _read_format_16(stem, header) if _is_plain_format_16(header) else _read_other(stem)
    if digital.shape != (header.sig_len, header.n_sig):
        raise ValueError(f"signal file of {stem} is truncated: {digital.shape[0]} of {header.sig_len} samples")
    _check_checksums(stem, digital, header)
    scale = np.array([_millivolts(stem, unit) for unit in header.units])
    physical = (digital - np.asarray(header.baseline, dtype=np.float64)) / np.asarray(header.adc_gain, dtype=np.float64)
    physical[digital == np.array([INVALID.get(str(fmt), np.iinfo(np.int64).min) for fmt in header.fmt])] = np.nan
    ecg = (physical * scale).T
    try:
        leads = canonical_leads(header.sig_name)
    except ValueError as error:
        raise ValueError(f"lead names in {stem}.hea: {error}") from error
    return Recording(np.ascontiguousarray(ecg), float(header.fs), leads, stem.name, source=Source("WFDB", stem))


def _read_header(stem: Path) -> Any:  # noqa: ANN401 (wfdb's untyped header)
    """Reads a WFDB header and checks what does not need the signals."""
    if not stem.with_name(stem.name + ".hea").is_file():
        raise ValueError(f"no header {stem}.hea; give the path of a WFDB record, without extension")
    _check_names(stem, _named_files(stem.with_name(stem.name + ".hea")))
    try:
        header = wfdb.rdheader(str(stem))
    except Exception as error:
        raise ValueError(f"header {stem}.hea cannot be read: {error}") from error
    if isinstance(header, wfdb.MultiRecord):
        raise ValueError(f"{stem} has several segments; convert it to a single-segment record first")
    if not header.n_sig or not header.sig_len or not header.fs or header.fs <= 0:
        raise ValueError(f"header {stem}.hea states no signals, no length or no sampling rate")
    if any(frames != 1 for frames in header.samps_per_frame):
        raise ValueError(f"{stem} has signals of different rates; resample them to one rate first")
    return header


def _check_files(stem: Path, header: Any) -> None:  # noqa: ANN401
    """Refuses missing files and files that are too short."""
    _check_names(stem, header.file_name)
    for name in dict.fromkeys(header.file_name):
        file = stem.parent / name
        if not file.is_file():
            raise ValueError(f"signal file {file} is missing")
        columns = [index for index, other in enumerate(header.file_name) if other == name]
        needed = header.sig_len * len(columns) * BITS.get(str(header.fmt[columns[0]]), 0) // 8
        needed += int(header.byte_offset[columns[0]] or 0)
        if file.stat().st_size < needed:
            raise ValueError(f"signal file {file} is truncated: {file.stat().st_size} of {needed} bytes")


def _named_files(header: Path) -> list[str]:
    """Returns the first word of each signal line of a header, which names a file."""
    lines = [line.split() for line in header.read_text(encoding="utf-8", errors="replace").splitlines()]
    words = [line[0] for line in lines if line and not line[0].startswith("#")]
    return words[1:]


def _check_names(stem: Path, names: Iterable[str]) -> None:
    """Refuses names of files that do not lie beside the header."""
    for name in names:
        if not name or name in (".", "..", "~") or Path(name).name != name or "\\" in name or ":" in name:
            raise ValueError(f"header {stem}.hea points outside its folder ({name!r}): not read")


def _is_plain_format_16(header: Any) -> bool:  # noqa: ANN401
    """Says whether all signals are interleaved in one file of format 16, as in PTB-XL."""
    return (
        set(header.fmt) == {"16"}
        and len(set(header.file_name)) == 1
        and not any(header.skew or ())
        and not any(header.byte_offset or ())
    )


def _read_format_16(stem: Path, header: Any) -> NDArray[np.int64]:  # noqa: ANN401
    """Reads interleaved 16-bit samples, shape (L, n_leads), without parsing the header a second time."""
    count = header.sig_len * header.n_sig
    data = np.fromfile(stem.with_name(header.file_name[0]), dtype="<i2", count=count)
    return data[: len(data) // header.n_sig * header.n_sig].reshape(-1, header.n_sig).astype(np.int64)


def _read_other(stem: Path) -> NDArray[np.int64]:
    """Reads samples of any other format, shape (L, n_leads), through wfdb."""
    try:
        record = wfdb.rdrecord(str(stem), physical=False)
    except Exception as error:
        raise ValueError(f"signal file of {stem} cannot be read: {error}") from error
    return np.asarray(record.d_signal, dtype=np.int64)


def _check_checksums(stem: Path, digital: NDArray[Any], header: Any) -> None:  # noqa: ANN401
    """Compares the 16-bit sums of the samples with those that the header states."""
    sums = digital.sum(axis=0, dtype=np.int64)
    for name, total, stated in zip(header.sig_name, sums, header.checksum, strict=True):
        if stated is not None and (int(total) - int(stated)) % 65536 != 0:
            raise ValueError(f"checksum of lead {name} of {stem} is wrong: the file is damaged")


def _millivolts(stem: Path, unit: str | None) -> float:
    """Returns the size of a unit in mV."""
    factor = MILLIVOLTS.get((unit or "mV").strip().lower())
    if factor is None:
        raise ValueError(f"unit {unit!r} in {stem}.hea is not known; known units: {', '.join(MILLIVOLTS)}")
    return factor
