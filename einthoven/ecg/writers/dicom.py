"""DICOM waveforms (PS3.3, A.34): 12-lead ECG where its limits hold, else general or ambulatory ECG."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from einthoven.ecg.leads import LEADS
from einthoven.ecg.recording import Recording
from einthoven.ecg.writers.quantise import Quantised, quantise

MOST_SAMPLES_12_LEAD = 16384
"""A 12-lead ECG has at most so many samples."""
RATES: tuple[float, float] = (200.0, 1000.0)
"""Sampling rates of 12-lead and general ECGs in Hz."""
LOWEST_AMBULATORY_RATE = 50.0
"""Lowest sampling rate of ambulatory ECGs in Hz."""
UNKNOWN_TIME = "19000101000000"
"""Stands for a start that is not known, where the standard wants one."""
MDC_CODES: dict[str, str] = dict(
    zip(LEADS, ("2:1", "2:2", "2:61", "2:62", "2:63", "2:64", *(f"2:{code}" for code in range(3, 9))), strict=True)
)
"""Leads in the coding scheme MDC (PS3.16, CID 3001)."""


def write_dicom(recording: Recording, path: Path) -> None:
    """Writes a DICOM file without a patient's name or number; a missing sample is the padding value.

    Raises:
        ValueError: If the sampling rate is none that DICOM's ECGs may have.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    leads = [quantise(lead) for lead in recording.signal]
    content = hashlib.sha256(repr((recording.sampling_rate, recording.leads, recording.start_time)).encode())
    for lead in leads:
        content.update(lead.numbers.tobytes())
    study, series, instance = (generate_uid(entropy_srcs=[content.hexdigest(), part]) for part in "abc")
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = _sop_class(recording)
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = instance
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    start = recording.start_time
    stamp = f"{start:%Y%m%d%H%M%S}.{start.microsecond:06d}" if start else UNKNOWN_TIME
    data.SpecificCharacterSet = "ISO_IR 192"
    data.StudyDate, data.StudyTime = (stamp[:8], stamp[8:]) if start else ("", "")
    data.ContentDate, data.ContentTime, data.AcquisitionDateTime = stamp[:8], stamp[8:], stamp
    data.PatientName = data.PatientID = data.PatientBirthDate = ""
    data.StudyID = data.AccessionNumber = data.ReferringPhysicianName = data.Manufacturer = ""
    data.Modality, data.SeriesNumber, data.InstanceNumber = "ECG", 1, 1
    data.AcquisitionContextSequence = []
    patient = recording.patient
    data.PatientSex = {"female": "F", "male": "M"}.get(str(patient.sex) if patient else "", "")
    if patient and patient.age is not None:
        data.PatientAge = f"{int(patient.age):03d}Y" if patient.age >= 1 else f"{round(patient.age * 12):03d}M"
    data.WaveformSequence = [_group(recording, leads)]
    if recording.notes:
        data.WaveformAnnotationSequence = [_note(note) for note in recording.notes]
    data.save_as(path, enforce_file_format=True)


def _sop_class(recording: Recording) -> str:
    """Returns the kind of ECG whose limits a recording keeps."""
    from pydicom import uid

    rate, length = recording.sampling_rate, recording.signal.shape[1]
    if RATES[0] <= rate <= RATES[1]:
        is_twelve = set(recording.leads) == set(LEADS) and length <= MOST_SAMPLES_12_LEAD
        return str(uid.TwelveLeadECGWaveformStorage if is_twelve else uid.GeneralECGWaveformStorage)
    if LOWEST_AMBULATORY_RATE <= rate < RATES[0]:
        return str(uid.AmbulatoryECGWaveformStorage)
    raise ValueError(
        f"DICOM has ECGs of {LOWEST_AMBULATORY_RATE:g} to {RATES[1]:g} Hz, not of {rate:g} Hz; take another format"
    )


def _group(recording: Recording, leads: list[Quantised]) -> Any:  # noqa: ANN401 (pydicom's untyped data set)
    """Returns the recorded waveform."""
    from pydicom.dataset import Dataset

    group = Dataset()
    group.WaveformOriginality, group.MultiplexGroupLabel = "ORIGINAL", "RHYTHM"
    group.MultiplexGroupTimeOffset = 0
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = recording.signal.shape
    group.SamplingFrequency = _decimal(recording.sampling_rate)
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.add_new("WaveformPaddingValue", "OW", np.array([leads[0].missing], dtype="<i2").tobytes())
    group.ChannelDefinitionSequence = [_channel(name, lead) for name, lead in zip(recording.leads, leads, strict=True)]
    samples = np.stack([lead.numbers for lead in leads], axis=1).astype("<i2")
    group.add_new("WaveformData", "OW", samples.tobytes())
    return group


def _channel(name: str, lead: Quantised) -> Any:  # noqa: ANN401
    from pydicom.dataset import Dataset

    channel = Dataset()
    channel.ChannelLabel = name
    channel.ChannelSourceSequence = [_code(MDC_CODES[name], "MDC", f"Lead {name}")]
    channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = _decimal(lead.step), "1"
    channel.ChannelSensitivityUnitsSequence = [_code("uV", "UCUM", "microvolt")]
    channel.ChannelBaseline, channel.ChannelSampleSkew = _decimal(lead.centre), "0"
    channel.WaveformBitsStored = 16
    return channel


def _note(text: str) -> Any:  # noqa: ANN401
    from pydicom.dataset import Dataset

    note = Dataset()
    note.ReferencedWaveformChannels, note.UnformattedTextValue = [1, 0], text[:1024]
    return note


def _code(value: str, scheme: str, meaning: str) -> Any:  # noqa: ANN401
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _decimal(number: float) -> str:
    """Returns a decimal string of at most 16 characters."""
    return np.format_float_positional(number, precision=10, trim="-", fractional=False)[:16]
