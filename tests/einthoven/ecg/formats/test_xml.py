"""XML: MUSE, CardioSoft and HL7 annotated ECGs; nothing external is loaded."""

from pathlib import Path

import numpy as np
import pytest

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, lead_rows
from einthoven.ecg.reading import read
from preprocessing.cohorts.simulator import simulate_ecg
from tests.builders import xml_files as xml
from tests.damaged_files import check_refused, check_truncated

ECG = simulate_ecg(1, 500, 3.0)[0].astype(np.float64)
EIGHT = ECG[lead_rows(INDEPENDENT_LEADS)]


def write(tmp_path, content):
    path = tmp_path / "rec.xml"
    path.write_bytes(content)
    return path


def test_muse_stores_eight_leads_and_gives_twelve(tmp_path):
    with_gap = EIGHT.copy()
    with_gap[3, 50:60] = np.nan
    recording = read(write(tmp_path, xml.muse(with_gap, INDEPENDENT_LEADS, 500)))
    assert (recording.leads, recording.sampling_rate) == (LEADS, 500.0)
    row = LEADS.index("V2")
    assert np.isnan(recording.signal[row, 50:60]).all() and np.isnan(recording.signal).sum() == 10
    np.testing.assert_allclose(np.nan_to_num(recording.signal, nan=9)[:2], ECG[:2], atol=0.00244 + 1e-9)
    np.testing.assert_allclose(recording.signal[2], recording.signal[1] - recording.signal[0], atol=1e-12)
    assert any("derived" in note for note in recording.notes) and any("median" in note for note in recording.notes)
    assert (recording.patient.age, recording.patient.sex) == (61.0, "female")
    assert recording.start_time.isoformat() == "2019-02-28T10:11:12" and "Müller" not in repr(recording)
    assert read(write(tmp_path, xml.muse(EIGHT, INDEPENDENT_LEADS, 500)), leads=["V2", "aVF"]).leads == ("V2", "aVF")


def test_muse_with_a_wrong_checksum_or_count(tmp_path):
    content = xml.muse(EIGHT, INDEPENDENT_LEADS, 500, with_median=False)
    path = write(tmp_path, content.replace(b"<LeadDataCRC32>", b"<LeadDataCRC32>9", 1))
    assert any("checksum of lead I " in note for note in read(path).notes)
    check_refused(write(tmp_path, content.replace(b"Total>1500<", b"Total>1501<", 1)), "1501")
    check_refused(write(tmp_path, content.replace(b"<SampleBase>500", b"<SampleBase>0", 1)))
    check_truncated(write(tmp_path, content))


def test_cardiosoft(tmp_path):
    path = write(tmp_path, xml.cardiosoft(ECG, LEADS, 500))
    recording = read(path)
    assert (recording.leads, recording.sampling_rate, recording.source.format) == (LEADS, 500.0, "CardioSoft XML")
    np.testing.assert_allclose(recording.signal, ECG, atol=0.0025 + 1e-9)
    assert (recording.patient.age, recording.patient.sex) == (53.0, "male")
    assert recording.start_time.isoformat() == "2018-07-19T14:19:39"
    check_truncated(path)


def test_the_file_of_a_cardiosoft_cart():
    ecgprocess = pytest.importorskip("ecgprocess")
    path = Path(ecgprocess.__file__).parent / "example_data" / "example_datasets" / "example-XML1.xml"
    recording = read(path)
    assert (recording.leads, recording.signal.shape, recording.sampling_rate) == (LEADS, (12, 5000), 500.0)
    np.testing.assert_allclose(recording.signal[0, :6], np.array([-4, -2, -2, -4, -6, -7]) * 0.005, atol=1e-12)
    np.testing.assert_allclose(recording.signal[2], recording.signal[1] - recording.signal[0], atol=0.0101)
    assert (recording.patient.age, recording.patient.sex) == (53.0, "male")


def test_annotated_ecg(tmp_path):
    path = write(tmp_path, xml.aecg(ECG, LEADS, 500))
    recording = read(path)
    assert (recording.leads, recording.sampling_rate) == (LEADS, 500.0)
    np.testing.assert_allclose(recording.signal, ECG, atol=0.00125 + 1e-9)
    assert (recording.patient.age, recording.patient.sex) == (66.0, "male")
    assert recording.start_time.isoformat() == "2020-05-06T07:08:09"
    check_truncated(path)


def test_annotated_ecg_in_sets_that_follow_each_other(tmp_path):
    recording = read(write(tmp_path, xml.aecg(ECG, LEADS, 500, sets=3)))
    measured = ~np.isnan(recording.signal)
    for row, lead in enumerate(recording.leads):
        part = LEADS.index(lead) % 3
        assert measured[row, part * 500 : (part + 1) * 500].all() and measured[row].sum() == 500
        np.testing.assert_allclose(
            recording.signal[row, measured[row]], ECG[LEADS.index(lead), measured[row]], atol=0.00125 + 1e-9
        )


def test_utf_16_and_wrong_encodings(tmp_path):
    content = xml.muse(EIGHT, INDEPENDENT_LEADS, 500).decode("latin-1").replace("ISO-8859-1", "UTF-16")
    assert read(write(tmp_path, content.encode("utf-16"))).leads == LEADS
    assert read(write(tmp_path, content.replace("UTF-16", "UTF-8").encode("latin-1"))).leads == LEADS


def test_entities_are_refused_and_nothing_is_loaded(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("42")
    content = xml.muse(EIGHT, INDEPENDENT_LEADS, 500).decode("latin-1")
    for inside in (f'<!ENTITY x SYSTEM "{secret}">', '<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">', '<!ENTITY % p "x">'):
        text = content.replace('SYSTEM "restecg.dtd"', f"[{inside}]").replace(">61<", ">&x;<")
        check_refused(write(tmp_path, text.encode("latin-1")))
    deep = "<RestingECG>" + "<a>" * 100_000
    check_refused(write(tmp_path, deep.encode()), "deep")
