"""Formats of recorders that ecgdatakit decodes: SCP-ECG, MFER, and XML of Philips and Mortara.

What it returns is checked: rates are taken from the file where it rounds them, lengths are compared, and what it warns
of becomes a note.
"""

import re
import struct
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.formats.channels import Channel, recording_of
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.patients import patient_of
from einthoven.ecg.formats.xml_tree import MISSING, read_xml, root_of
from einthoven.ecg.recording import Recording, Source

MFER_TAGS = frozenset(range(0x01, 0x16)) | {0x16, 0x17, 0x1E, 0x3F, 0x40, 0x41, 0x85, 0x87}
"""Tags that an MFER file may begin with."""
MFER_SUFFIXES = (".mwf", ".mfer", ".mfr")
_SCP_SECTIONS = 64
_SCP_SAMPLES_PER_BYTE = 64
"""Samples are a bit each at the least, and one in eight is kept at the most."""
CALIBRATION_RATE, CALIBRATION_FROM, CALIBRATED_LENGTH = 500.0, 5000, 5500
"""Philips appends a calibration pulse to ten seconds at 500 Hz: samples from the second number to the third."""
CALIBRATION_SPREAD = 0.1
"""The pulse is the same in all leads up to this share of its height."""


def matches_scp(head: bytes, path: Path) -> bool:
    """Says whether a file begins with the pointers of an SCP-ECG record."""
    if len(head) < 32:
        return False
    section, length = struct.unpack_from("<HI", head, 8)
    pointed, _, place = struct.unpack_from("<HII", head, 22)
    return section == 0 and length >= 26 and (length - 16) % 10 == 0 and pointed == 0 and place == 7


def matches_mfer(head: bytes, path: Path) -> bool:
    """Says whether a file begins with MFER's preamble; without one its name has to say it."""
    if head[:1] == b"\x40" and head[2:6] == b"MFR ":
        return True
    return path.suffix.lower() in MFER_SUFFIXES and bool(head) and head[0] in MFER_TAGS


def matches_philips(head: bytes, path: Path) -> bool:
    """Says whether a file is XML of Philips."""
    return root_of(head) == "restingecgdata"


def matches_mortara(head: bytes, path: Path) -> bool:
    """Says whether a file is XML of Mortara."""
    return root_of(head) == "ecg" and re.search(rb"<CHANNEL|ACQUISITION_TIME|<TYPICAL_CYCLE|<SUBJECT", head) is not None


def read_scp(path: Path, options: ReadOptions) -> Recording:
    """Reads the rhythm of an SCP-ECG record (EN 1064), compressed or not.

    Raises:
        ValueError: If the file is damaged or of a kind that is not supported.
    """
    from ecgdatakit.parsing.parsers.scp_ecg import SCPECGParser

    _check_scp_lengths(path)
    record, notes = _parse(path, SCPECGParser, "SCP-ECG")
    interval = record.raw_metadata.get("rhythm_sample_interval_us")
    rate = 1e6 / interval if interval else None
    starts = [int(lead.annotations.get("start_sample", 1)) - 1 for lead in record.leads]
    first = min(starts, default=0)
    signals = []
    for lead, start in zip(record.leads, starts, strict=True):
        signals.append(np.concatenate([np.full(start - first, np.nan), _physical(lead)]))
    return _recording(path, "SCP-ECG", record, signals, options, notes, [rate] * len(signals))


def read_mfer(path: Path, options: ReadOptions) -> Recording:
    """Reads the waveforms of an MFER file (ISO 22077), not its dominant beat.

    Raises:
        ValueError: If the file is damaged or compressed.
    """
    from ecgdatakit.parsing.parsers.mfer import MFERParser

    record, notes = _parse(path, MFERParser, "MFER")
    if any("shorter than the frame" in note or "no waveform data" in note for note in notes):
        raise ValueError(f"{path} is truncated: it holds fewer samples than its frames state")
    rates = record.raw_metadata.get("sampling_rates") or [None] * len(record.leads)
    return _recording(path, "MFER", record, [_physical(lead) for lead in record.leads], options, notes, rates)


def read_philips(path: Path, options: ReadOptions) -> Recording:
    """Reads XML of Philips (Sierra), compressed or not; an appended calibration pulse is cut off.

    Raises:
        ValueError: If the file is damaged or of a version that is not supported.
    """
    from ecgdatakit.parsing.parsers.sierra_xml import SierraXMLParser

    read_xml(path)  # refuses entities
    record, notes = _parse(path, SierraXMLParser, "XML of Philips")
    signals = [_physical(lead) for lead in record.leads]
    rate = float(record.leads[0].sampling_rate) if record.leads else 0.0
    if _ends_with_pulse(signals, rate):
        signals = [signal[:CALIBRATION_FROM] for signal in signals]
        notes.append(f"{CALIBRATED_LENGTH - CALIBRATION_FROM} samples with a calibration pulse are cut off the end")
    return _recording(path, "Philips XML", record, signals, options, notes, [None] * len(signals))


def read_mortara(path: Path, options: ReadOptions) -> Recording:
    """Reads the channels of XML of Mortara (ELI), not its typical cycle.

    Raises:
        ValueError: If the file is damaged.
    """
    from ecgdatakit.parsing.parsers.mortara_el250 import MortaraEL250Parser

    read_xml(path)
    record, notes = _parse(path, MortaraEL250Parser, "XML of Mortara")
    for lead in record.leads:
        lead.samples = np.where(lead.samples == MISSING, np.nan, lead.samples)
    signals = [_physical(lead) for lead in record.leads]
    return _recording(path, "Mortara XML", record, signals, options, notes, [None] * len(signals))


def _check_scp_lengths(path: Path) -> None:
    """Compares the numbers of samples of a record with its size, before memory is taken for them."""
    content = path.read_bytes()
    for place in range(22, min(len(content) - 9, 22 + 10 * _SCP_SECTIONS), 10):
        section, _, begin = struct.unpack_from("<HII", content, place)
        if section != 3 or not 0 < begin <= len(content) - 18:
            continue
        n_leads, first = content[begin + 15], begin + 17  # the place counts from one; 16 bytes are the section's head
        for lead in range(min(n_leads, (len(content) - first) // 9)):
            start, end = struct.unpack_from("<II", content, first + 9 * lead)
            if end - start > _SCP_SAMPLES_PER_BYTE * len(content):
                raise ValueError(
                    f"{path} cannot be read as SCP-ECG: it states {end - start + 1} samples of a lead in "
                    f"{len(content)} bytes"
                )


def _parse(path: Path, parser: Callable[[], Any], what: str) -> tuple[Any, list[str]]:
    """Lets ecgdatakit read a file; what it warns of are notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            record = parser().parse(path)
        except Exception as error:  # it raises many kinds
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(f"{path} cannot be read as {what}: {reason}") from error
    return record, [str(warning.message) for warning in caught]


def _physical(lead: Any) -> NDArray[np.float64]:  # noqa: ANN401 (a lead of ecgdatakit)
    """Returns the samples of a lead in the unit that `_unit` says."""
    samples = np.asarray(lead.samples, dtype=np.float64)
    if lead.is_raw and lead.resolution_unit:
        return np.asarray(samples * lead.resolution + lead.offset, dtype=np.float64)
    return samples


def _recording(
    path: Path,
    name: str,
    record: Any,  # noqa: ANN401 (a record of ecgdatakit)
    signals: Sequence[NDArray[np.float64]],
    options: ReadOptions,
    notes: Sequence[str],
    rates: Sequence[float | None],
) -> Recording:
    """Makes a recording of what ecgdatakit read; a rate that is None is the one that it gives."""
    channels = []
    for lead, rate in zip(record.leads, rates, strict=True):
        stated = float(rate or lead.sampling_rate)
        if not 0 < stated < np.inf:
            raise ValueError(f"{path} is damaged: lead {lead.label} is sampled at {stated:g} Hz")
        channels.append(Channel(lead.label, lead.resolution_unit or lead.units or None, stated))
    if not any(len(signal) for signal in signals):
        raise ValueError(f"{path} holds no samples")
    start = record.recording.date
    age, sex = record.patient.age, record.patient.sex
    return recording_of(
        channels,
        signals,
        options,
        Source(name, path),
        start_time=start.replace(tzinfo=None) if start else None,
        patient=patient_of(None if age is None else float(age), sex),
        notes=[*notes],
    )


def _ends_with_pulse(signals: Sequence[NDArray[np.float64]], rate: float) -> bool:
    """Says whether all leads end with one and the same pulse, as after ten seconds of Philips."""
    if rate != CALIBRATION_RATE or not signals or {len(signal) for signal in signals} != {CALIBRATED_LENGTH}:
        return False
    tails = np.stack([signal[CALIBRATION_FROM:] for signal in signals])
    tails -= np.median(tails, axis=1, keepdims=True)
    pulse = np.median(tails, axis=0)
    alike = np.abs(tails - pulse).max(axis=1) <= CALIBRATION_SPREAD * np.ptp(pulse)
    return bool(np.ptp(pulse) > 0 and alike.mean() > 0.5)
