"""XML of GE: MUSE, and CardioSoft, which has a schema of its own."""

import base64
import zlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.formats.channels import Channel, recording_of
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.patients import age_between, age_of, patient_of
from einthoven.ecg.formats.xml_tree import MISSING, number_of, numbers_in, read_xml, root_of, text_of
from einthoven.ecg.leads import LEADS, lead_matrix
from einthoven.ecg.recording import Patient, Recording, Source

DATES = ("%m-%d-%Y", "%m/%d/%Y", "%Y-%m-%d", "%Y%m%d", "%d-%b-%Y")
"""How MUSE writes dates, the likeliest first."""
CLOCKS = ("%H:%M:%S", "%H:%M")


def matches_muse(head: bytes, path: Path) -> bool:
    """Says whether a file is XML of MUSE."""
    return root_of(head) == "restingecg"


def matches_cardiosoft(head: bytes, path: Path) -> bool:
    """Says whether a file is XML of CardioSoft."""
    return root_of(head) == "cardiologyxml"


def read_muse(path: Path, options: ReadOptions) -> Recording:
    """Reads the rhythm waveform of a MUSE file, not its median beat; the limb leads that are not stored are derived.

    Raises:
        ValueError: If the file is damaged, or holds fewer samples than it says.
    """
    root = read_xml(path)
    notes: list[str] = []
    try:
        waveform, further = _rhythm(root)
        rate = number_of(text_of(waveform, "SampleBase"), "SampleBase")
        rate *= 10.0 ** number_of(text_of(waveform, "SampleExponent") or "0", "SampleExponent")
        if not rate > 0:
            raise ValueError(f"its sampling rate is {rate:g} Hz")
        channels, signals = [], []
        for lead in waveform.iterfind("LeadData"):
            name = text_of(lead, "LeadID")
            scale = number_of(text_of(lead, "LeadAmplitudeUnitsPerBit") or "1", f"scale of {name}")
            channels.append(Channel(name, text_of(lead, "LeadAmplitudeUnits") or None, rate))
            signals.append(_muse_samples(lead, name, notes) * scale)
        if not channels:
            raise ValueError("it holds no leads")
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as XML of MUSE: {error}") from error
    notes += [f"{further} further waveform(s), such as a median beat, are not read"] if further else []
    test = root.find("TestDemographics")
    start = _muse_time(text_of(test, "AcquisitionDate"), text_of(test, "AcquisitionTime"))
    patient = _muse_patient(root.find("PatientDemographics"), start)
    source = Source("MUSE XML", path)
    recording = recording_of(channels, signals, options, source, start_time=start, patient=patient, notes=notes)
    return _with_all_limb_leads(recording) if options.leads is None else recording


def read_cardiosoft(path: Path, options: ReadOptions) -> Recording:
    """Reads the strip of a CardioSoft file, not its median beats or full disclosure.

    Raises:
        ValueError: If the file is damaged, or holds another number of samples than it says.
    """
    root = read_xml(path)
    strip = root.find(".//StripData")
    try:
        if strip is None:
            raise ValueError("it holds no StripData")
        rate = number_of(text_of(strip, "SampleRate"), "SampleRate")
        scale = number_of(text_of(strip, "Resolution") or "1", "Resolution")
        resolution = strip.find("Resolution")
        unit = (resolution.get("units", "") if resolution is not None else "").lower().removesuffix("perlsb")
        stated = text_of(strip, "ChannelSampleCountTotal")
        channels, signals = [], []
        for lead in strip.iterfind("WaveformData"):
            name = lead.get("lead", "")
            samples = numbers_in(lead.text or "", f"lead {name}")
            if stated and len(samples) != number_of(stated, "ChannelSampleCountTotal"):
                raise ValueError(f"lead {name} has {len(samples)} of {stated} samples")
            channels.append(Channel(name, unit or None, rate))
            signals.append(samples * scale)
        if not channels or not rate > 0:
            raise ValueError(f"it holds {len(channels)} leads at {rate:g} Hz")
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as XML of CardioSoft: {error}") from error
    start = _cardiosoft_time(root.find("ObservationDateTime"))
    info = root.find("PatientInfo")
    age = info.find("Age") if info is not None else None
    years = age_of(text_of(age), age.get("units", "") or "Y") if age is not None else None
    if years is None and info is not None:
        years = age_between(_cardiosoft_time(info.find("BirthDateTime")), start)
    patient = patient_of(years, text_of(info, "Gender"))
    source = Source("CardioSoft XML", path)
    return recording_of(channels, signals, options, source, start_time=start, patient=patient)


def _rhythm(root: Element) -> tuple[Element, int]:
    """Returns the first rhythm waveform, and how many further waveforms there are."""
    waveforms = root.findall("Waveform")
    rhythm = [wave for wave in waveforms if text_of(wave, "WaveformType").lower() in ("rhythm", "")]
    if not rhythm:
        raise ValueError("it holds no rhythm waveform")
    return rhythm[0], len(waveforms) - 1


def _muse_samples(lead: Element, name: str, notes: list[str]) -> NDArray[np.float64]:
    """Returns the stored numbers of a lead, shape (L,)."""
    try:
        raw = base64.b64decode("".join(text_of(lead, "WaveFormData").split()), validate=True)
    except ValueError as error:
        raise ValueError(f"lead {name} is no base64") from error
    width = int(number_of(text_of(lead, "LeadSampleSize") or "2", f"sample size of {name}"))
    if width not in (1, 2, 4) or len(raw) % width or not raw:
        raise ValueError(f"lead {name} has {len(raw)} bytes, no whole number of samples of {width}")
    samples = np.frombuffer(raw, dtype=f"<i{width}").astype(np.float64)
    stated = text_of(lead, "LeadSampleCountTotal")
    if stated and number_of(stated, f"number of samples of {name}") != len(samples):
        raise ValueError(f"lead {name} has {len(samples)} of {stated} samples")
    checksum = text_of(lead, "LeadDataCRC32")
    if checksum.isdigit() and int(checksum) not in (0, zlib.crc32(raw)):
        notes.append(f"checksum of lead {name} is wrong: the file may be damaged")
    samples[samples == MISSING] = np.nan
    return samples


def _with_all_limb_leads(recording: Recording) -> Recording:
    """Adds the limb leads that two others give; leads in the order of `LEADS`."""
    absent = tuple(lead for lead in LEADS[:6] if lead not in recording.leads)
    if not absent or sum(lead in LEADS[:6] for lead in recording.leads) < 2:
        return recording
    matrix = lead_matrix(absent, recording.leads)
    used = matrix.any(axis=0)
    derived = matrix[:, used] @ recording.signal[used]
    leads = (*recording.leads, *absent)
    order = sorted(range(len(leads)), key=lambda place: LEADS.index(leads[place]))
    return replace(
        recording,
        signal=np.concatenate([recording.signal, derived])[order],
        leads=tuple(leads[place] for place in order),
        notes=(*recording.notes, f"{', '.join(absent)} are not stored: derived from the other limb leads"),
    )


def _muse_time(day: str, clock: str) -> datetime | None:
    for form in (f"{date} {time}" for date in DATES for time in CLOCKS):
        try:
            return datetime.strptime(f"{day} {clock}", form)
        except ValueError:
            continue
    return None


def _muse_patient(demographics: Element | None, start: datetime | None) -> Patient | None:
    age = age_of(text_of(demographics, "PatientAge"), text_of(demographics, "AgeUnits") or "Y")
    if age is None:
        age = age_between(_muse_time(text_of(demographics, "DateofBirth"), "00:00"), start)
    return patient_of(age, text_of(demographics, "Gender"))


def _cardiosoft_time(element: Element | None) -> datetime | None:
    names = ("Year", "Month", "Day", "Hour", "Minute", "Second")
    words = [text_of(element, name) or "0" for name in names]
    try:
        return datetime(*(int(word) for word in words))  # type: ignore[arg-type]
    except ValueError:
        return None
