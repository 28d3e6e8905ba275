"""ECG files in XML."""

import base64
import zlib

import numpy as np

MUSE = """<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE RestingECG SYSTEM "restecg.dtd">
<RestingECG>
<MuseInfo><MuseVersion>8.0</MuseVersion></MuseInfo>
<PatientDemographics><PatientLastName>Müller</PatientLastName><PatientAge>61</PatientAge><AgeUnits>YEARS</AgeUnits>
<Gender>FEMALE</Gender></PatientDemographics>
<TestDemographics><AcquisitionTime>10:11:12</AcquisitionTime><AcquisitionDate>02-28-2019</AcquisitionDate>
</TestDemographics>
{waveforms}
</RestingECG>
"""


def muse(ecg, leads, rate, units_per_bit=4.88, with_median=True):
    """A MUSE file; ecg in mV, shape (n_leads, L)."""

    def waveform(kind, signal):
        data = ""
        for name, lead in zip(leads, signal, strict=True):
            raw = np.where(np.isnan(lead), -32768, np.rint(np.nan_to_num(lead) * 1000 / units_per_bit))
            raw = raw.astype("<i2").tobytes()
            text = base64.encodebytes(raw).decode()
            data += (
                f"<LeadData><LeadByteCountTotal>{len(raw)}</LeadByteCountTotal>"
                f"<LeadSampleCountTotal>{len(raw) // 2}</LeadSampleCountTotal>"
                f"<LeadAmplitudeUnitsPerBit>{units_per_bit}</LeadAmplitudeUnitsPerBit>"
                "<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadSampleSize>2</LeadSampleSize>"
                f"<LeadDataCRC32>{zlib.crc32(raw)}</LeadDataCRC32><LeadID>{name}</LeadID>"
                f"<WaveFormData>\n{text}</WaveFormData></LeadData>\n"
            )
        return (
            f"<Waveform><WaveformType>{kind}</WaveformType><SampleBase>{rate}</SampleBase>"
            f"<SampleExponent>0</SampleExponent>\n{data}</Waveform>\n"
        )

    median = waveform("Median", ecg[:, : int(1.2 * rate)]) if with_median else ""
    return MUSE.format(waveforms=median + waveform("Rhythm", ecg)).encode("latin-1")


def cardiosoft(ecg, leads, rate, microvolts_per_bit=5):
    """A CardioSoft file; ecg in mV, shape (n_leads, L)."""
    whole = np.rint(ecg * 1000 / microvolts_per_bit).astype(int)
    strip = "".join(
        f'<WaveformData lead="{name}">\t\t{",".join(map(str, lead))}</WaveformData>\n'
        for name, lead in zip(leads, whole, strict=True)
    )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<CardiologyXML><ObservationDateTime><Hour>14</Hour>'
        "<Minute>19</Minute><Second>39</Second><Day>19</Day><Month>7</Month><Year>2018</Year></ObservationDateTime>"
        '<PatientInfo><Age units="YEARS">53</Age><Gender>MALE</Gender></PatientInfo>'
        f'<StripData><NumberOfLeads>{len(leads)}</NumberOfLeads><SampleRate units="Hz">{rate}</SampleRate>'
        f"<ChannelSampleCountTotal>{whole.shape[1]}</ChannelSampleCountTotal>"
        f'<Resolution units="uVperLsb">{microvolts_per_bit}</Resolution>\n{strip}</StripData></CardiologyXML>'
    ).encode("latin-1")


def aecg(ecg, leads, rate, microvolts_per_digit=2.5, sets=1):
    """An HL7 annotated ECG, its leads in one set or dealt out to several that follow each other."""
    names = {lead: f"MDC_ECG_LEAD_{lead.upper() if lead[0] != 'a' else lead}" for lead in leads}
    length = ecg.shape[1] // sets
    text = ""
    for part in range(sets):
        shown = leads if sets == 1 else leads[part::sets]
        start = "20200506070809.000" if sets == 1 else f"202005060708{9 + part * length / rate:06.3f}"
        sequences = (
            '<component><sequence><code code="TIME_ABSOLUTE" codeSystem="2.16.840.1.113883.5.4"/>'
            f'<value xsi:type="GLIST_TS"><head value="{start}"/><increment value="{1 / rate}" unit="s"/></value>'
            "</sequence></component>\n"
        )
        for lead in shown:
            signal = ecg[list(leads).index(lead), part * length : (part + 1) * length] * 1000 / microvolts_per_digit
            digits = " ".join(map(str, np.rint(signal).astype(int)))
            sequences += (
                f'<component><sequence><code code="{names[lead]}" codeSystem="2.16.840.1.113883.6.24"/>'
                '<value xsi:type="SLIST_PQ"><origin value="0" unit="uV"/>'
                f'<scale value="{microvolts_per_digit}" unit="uV"/><digits>{digits}</digits></value></sequence>'
                "</component>\n"
            )
        text += f"<component><sequenceSet>{sequences}</sequenceSet></component>\n"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<AnnotatedECG xmlns="urn:hl7-org:v3" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
        "<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject>"
        '<subjectDemographicPerson><administrativeGenderCode code="M"/><birthTime value="19530508"/>'
        "</subjectDemographicPerson></trialSubject></subject></subjectAssignment></componentOf></timepointEvent>"
        "</componentOf>"
        '<component><series><code code="RHYTHM"/><effectiveTime><low value="20200506070809.000"/></effectiveTime>\n'
        f"{text}</series></component></AnnotatedECG>"
    ).encode()


def philips(ecg, rate, compressed=False, microvolts_per_bit=5):
    """A Philips file of twelve leads; ecg in mV, shape (12, L), at most 16 bits."""
    whole = np.rint(ecg * 1000 / microvolts_per_bit).astype(int)
    if compressed:
        one, two, three, avr, avl, avf = whole[:6]  # four limb leads are stored as what the others leave of them
        left = [two - one - three, -avr - (one + two) // 2, (one - three) // 2 - avl, (two + three) // 2 - avf]
        whole = np.stack([one, two, *left, *whole[6:]])
        raw = b"".join(_xli(lead) for lead in whole)
    else:
        raw = whole.astype("<i2").tobytes()
    text = base64.b64encode(raw).decode()
    compression = 'compression="XLI"' if compressed else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<restingecgdata xmlns="http://www3.medical.philips.com">'
        "<documentinfo><documenttype>PhilipsECG</documenttype><documentversion>1.04</documentversion></documentinfo>"
        "<patient><generalpatientdata><age><years>61</years></age><sex>Female</sex></generalpatientdata></patient>"
        '<dataacquisition date="2019-02-28" time="10:11:12"><signalcharacteristics>'
        f"<samplingrate>{rate}</samplingrate><resolution>{microvolts_per_bit}</resolution><signaloffset>0</signaloffset>"
        "<signalsigned>True</signalsigned><numberchannelsallocated>12</numberchannelsallocated>"
        "<numberchannelsvalid>12</numberchannelsvalid></signalcharacteristics></dataacquisition>"
        f'<waveforms><parsedwaveforms dataencoding="Base64" {compression} samplespersecond="{rate}" '
        f'durationperchannel="{round(whole.shape[1] * 1000 / rate)}" resolution="{microvolts_per_bit}" '
        'numberofleads="12" leadlabels="I II III aVR aVL aVF V1 V2 V3 V4 V5 V6">'
        f"{text}</parsedwaveforms></waveforms></restingecgdata>"
    ).encode()


def _xli(lead):
    """One chunk of XLI: second differences as bytes, high ones first, in LZW codes of ten bits that repeat nothing."""
    bends = [int(value) for value in 2 * lead[1:-1] - lead[:-2] - lead[2:]]
    first = bends[0]
    values = [int(lead[0]), int(lead[1]), *(bend + 64 for bend in bends[1:]), 64]
    words = np.array(values, dtype=np.int16).astype(">i2").tobytes()
    data = words[0::2] + words[1::2]
    bits = "".join(f"{byte:010b}" for byte in data) + "1" * 10
    bits += "0" * (-len(bits) % 8)
    body = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return len(body).to_bytes(4, "little") + b"\0\0" + int(first).to_bytes(2, "little", signed=True) + body


def mortara(ecg, leads, rate, units_per_mv=400):
    """A Mortara file; ecg in mV, shape (n_leads, L), NaN where missing."""
    channels = ""
    for name, lead in zip(leads, ecg, strict=True):
        raw = np.where(np.isnan(lead), -32768, np.rint(np.nan_to_num(lead) * units_per_mv)).astype("<i2").tobytes()
        channels += (
            f'<CHANNEL NAME="{name}" UNITS_PER_MV="{units_per_mv}" DURATION="{len(lead)}" SAMPLE_FREQ="{rate}" '
            f'OFFSET="0" FORMAT="SIGNED" BITS="16" ENCODING="BASE64" DATA="{base64.b64encode(raw).decode()}"/>\n'
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ECG ACQUISITION_TIME="20190228101112" AGE="61" AGE_UNITS="YEARS">'
        f'<SUBJECT LAST_NAME="Secret" GENDER="Female"/>{channels}</ECG>'
    ).encode()
