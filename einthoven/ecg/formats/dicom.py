"""DICOM waveforms: the ECGs of DICOM PS3.3, A.34."""

import io
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.formats.channels import Channel, recording_of
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.patients import age_between, age_of, patient_of
from einthoven.ecg.leads import parse_lead
from einthoven.ecg.recording import Patient, Recording, Source

LARGEST_DEFLATED = 256 << 20
"""Bytes beyond which a data set that is compressed as a whole is not read."""
DEFLATED = b"1.2.840.10008.1.2.1.99"
"""Says so in the meta information."""
_META_BEGIN, _META_LENGTH = 144, 4096
"""Where the meta information begins behind its length; in so many bytes the transfer syntax stands."""
TYPES: dict[tuple[int, str], str] = {
    (8, "SB"): "<i1",
    (8, "UB"): "<u1",
    (16, "SS"): "<i2",
    (16, "US"): "<u2",
    (32, "SL"): "<i4",
    (32, "UL"): "<u4",
}
"""Types of samples by the bits allocated and the interpretation."""


def matches(head: bytes, path: Path) -> bool:
    """Says whether a file begins as DICOM files do."""
    return head[128:132] == b"DICM"


def read_dicom(path: Path, options: ReadOptions) -> Recording:
    """Reads the original waveform of a DICOM file, not the median beat.

    A sample is value x sensitivity x correction factor + baseline, in the channel's unit; the padding value is a
    missing one. Leads are known by their code, MDC or SCP-ECG, then by their label.

    Raises:
        ValueError: If the file holds no waveform, fewer samples than it says, or no lead.
    """
    import pydicom

    try:
        data = pydicom.dcmread(_content(path))
        group, further = _original(data)
        digital = _samples(group, data)
        rate = float(group.SamplingFrequency)
        if not 0 < rate < float("inf"):
            raise ValueError(f"its sampling rate is {rate:g} Hz")
        described = list(group.ChannelDefinitionSequence)
        if len(described) != digital.shape[1]:
            raise ValueError(f"{len(described)} of {digital.shape[1]} channels are described")
        padding = _padding(group, digital.dtype)
        channels = [Channel(_lead(channel, k), _unit(channel), rate) for k, channel in enumerate(described, 1)]
        signals = [_physical(channel, digital[:, k], rate, padding) for k, channel in enumerate(described)]
        start = _start_time(data)
        patient = _patient(data, start)
    except Exception as error:  # pydicom decodes when asked, and raises many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} cannot be read as a DICOM waveform: {reason}") from error
    notes = [f"{further} further waveform group(s), such as a median beat, are not read"] if further else []
    source = Source("DICOM", path)
    return recording_of(channels, signals, options, source, start_time=start, patient=patient, notes=notes)


def _content(path: Path) -> io.BytesIO:
    """Returns a file's bytes, from which pydicom takes no more memory than there are, whatever its lengths state.

    Raises:
        ValueError: If it is compressed as a whole, to less than any ECG can be.
    """
    raw = path.read_bytes()
    if DEFLATED in raw[:_META_LENGTH]:
        begin = _META_BEGIN + int.from_bytes(
            raw[_META_BEGIN - 4 : _META_BEGIN], "little"
        )  # the group states its length
        decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        decoder.decompress(raw[begin:], LARGEST_DEFLATED)
        if decoder.unconsumed_tail:
            raise ValueError(f"it is deflated from more than {LARGEST_DEFLATED >> 20} MB, which no ECG is")
    return io.BytesIO(raw)


def _original(data: Any) -> tuple[Any, int]:  # noqa: ANN401 (pydicom's untyped data set)
    """Returns the longest group that was recorded rather than derived, and how many others there are."""
    groups = list(data.get("WaveformSequence") or [])
    if not groups:
        raise ValueError("it holds no waveform")
    recorded = [
        group
        for group in groups
        if str(group.get("WaveformOriginality") or "ORIGINAL").upper() == "ORIGINAL"
        and "MEDIAN" not in str(group.get("MultiplexGroupLabel") or "").upper()
    ]
    longest = max(recorded or groups, key=lambda group: int(group.get("NumberOfWaveformSamples") or 0))
    return longest, len(groups) - 1


def _samples(group: Any, data: Any) -> NDArray[Any]:  # noqa: ANN401
    """Returns the stored numbers of a group, shape (L, channels)."""
    bits, kind = int(group.WaveformBitsAllocated), str(group.WaveformSampleInterpretation)
    if (bits, kind) not in TYPES:
        raise ValueError(f"samples of {bits} bits, {kind}, are not supported")
    dtype = np.dtype(TYPES[bits, kind])
    if not data.original_encoding[1]:
        dtype = dtype.newbyteorder(">")
    n_channels, length = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    held = len(group.WaveformData)
    if n_channels < 1 or length < 1 or held < n_channels * length * dtype.itemsize:
        raise ValueError(f"the file is truncated: {length} samples of {n_channels} channels in {held} bytes")
    return np.frombuffer(group.WaveformData, dtype, n_channels * length).reshape(length, n_channels)


def _physical(definition: Any, digital: NDArray[Any], rate: float, padding: int | None) -> NDArray[np.float64]:  # noqa: ANN401
    """Returns the samples of a channel in its unit, shape (L,)."""
    bits = 8 * digital.dtype.itemsize
    stored = int(definition.get("WaveformBitsStored") or bits)
    value = digital.astype(np.int64)
    if stored < bits:  # what lies above the stored bits says nothing
        value &= (1 << stored) - 1
        if digital.dtype.kind == "i":
            value -= (value >> (stored - 1)) << stored
    scale = _number(definition, "ChannelSensitivity", 1.0)
    scale *= _number(definition, "ChannelSensitivityCorrectionFactor", 1.0)
    samples = np.asarray(value * scale + _number(definition, "ChannelBaseline", 0.0), dtype=np.float64)
    samples[digital == padding] = np.nan
    skew = round(_number(definition, "ChannelSampleSkew", 0.0) + _number(definition, "ChannelTimeSkew", 0.0) * rate)
    if not 0 < abs(skew) < len(samples):
        return samples
    moved = np.full(len(samples), np.nan)
    moved[max(skew, 0) : len(samples) + min(skew, 0)] = samples[max(-skew, 0) : len(samples) - max(skew, 0)]
    return moved


def _padding(group: Any, dtype: np.dtype[Any]) -> int | None:  # noqa: ANN401
    """Returns the number that stands for no measurement."""
    value = group.get("WaveformPaddingValue")
    if value is None or value == b"":
        return None
    if isinstance(value, bytes):
        return int(np.frombuffer(value, dtype, 1)[0])
    return int(np.array(int(value)).astype(dtype))


def _unit(definition: Any) -> str | None:  # noqa: ANN401
    units = definition.get("ChannelSensitivityUnitsSequence")
    return str(units[0].get("CodeValue") or "") or None if units else None


def _lead(definition: Any, number: int) -> str:  # noqa: ANN401
    """Returns the name of a channel: by its code, then its label, then the code's meaning."""
    source = definition.get("ChannelSourceSequence")
    code, meaning = (str(source[0].get(key) or "") if source else "" for key in ("CodeValue", "CodeMeaning"))
    if parse_lead(code):
        return code
    return str(definition.get("ChannelLabel") or meaning or code or f"channel {number}").strip()


def _number(definition: Any, name: str, otherwise: float) -> float:  # noqa: ANN401
    value = definition.get(name)
    return otherwise if value is None or value == "" else float(value)


def _start_time(data: Any) -> datetime | None:  # noqa: ANN401
    """Returns when the recording began, without time zone."""
    for text in (
        str(data.get("AcquisitionDateTime") or ""),
        *(
            str(data.get(f"{kind}Date") or "") + str(data.get(f"{kind}Time") or "")
            for kind in ("Acquisition", "Content", "Study")
        ),
    ):
        whole, _, fraction = text.split("+")[0].split("-")[0].partition(".")
        if len(whole) >= 12 and whole[:4] > "1900":
            try:
                start = datetime.strptime(whole.ljust(14, "0"), "%Y%m%d%H%M%S")
            except ValueError:
                continue
            return start.replace(microsecond=int(fraction[:6].ljust(6, "0")) if fraction[:6].isdigit() else 0)
    return None


def _patient(data: Any, start: datetime | None) -> Patient | None:  # noqa: ANN401
    text = str(data.get("PatientAge") or "")
    age = age_of(text[:-1], text[-1:])
    if age is None:
        try:
            age = age_between(datetime.strptime(str(data.get("PatientBirthDate") or ""), "%Y%m%d"), start)
        except ValueError:
            pass
    return patient_of(age, str(data.get("PatientSex") or ""))
