"""Written and read again a recording is the same to half a step, in every format."""

import datetime
import os

import numpy as np
import pytest
import wfdb

from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.registry import find_format
from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from einthoven.ecg.recording import Patient, Recording
from einthoven.ecg.writing import WRITERS, write
from preprocessing.cohorts.simulator import simulate_ecg

START = datetime.datetime(2019, 2, 28, 23, 59, 58, 250000)
HALF_A_STEP = {"hea": 2.5e-5, "edf": 2.5e-5, "bdf": 2.5e-5, "dcm": 2.5e-5, "csv": 5e-7, "parquet": 0.0, "npz": 0.0}
"""For leads that span less than 3 mV, in mV."""


def recording(rate=500.0, duration=3.0, leads=LEADS, gaps=True, **known):
    signal = simulate_ecg(1, 500, duration)[0].astype(np.float64)[[LEADS.index(lead) for lead in leads]]
    signal = np.clip(signal, -1.5, 1.5)
    if gaps:
        signal[0, 100:140] = np.nan
        signal[-1] = np.nan
    return Recording(signal, rate, leads, "rec", **known)


@pytest.fixture(params=[suffix[1:] for suffix in WRITERS])
def suffix(request):
    if request.param == "dcm":
        pytest.importorskip("pydicom")
    return request.param


def test_read_again_it_is_the_same(tmp_path, suffix):
    known = {"start_time": START, "patient": Patient(61.0, "female"), "notes": ("a note of somebody",)}
    written = recording(**known)
    again = read(write(written, tmp_path / f"rec.{suffix}"))
    assert (again.leads, again.sampling_rate) == (LEADS, 500.0)
    np.testing.assert_array_equal(np.isnan(again.signal), np.isnan(written.signal))
    np.testing.assert_allclose(again.signal, written.signal, atol=HALF_A_STEP[suffix] + 1e-12, rtol=0)
    if suffix != "csv":
        assert again.start_time == START and again.patient == written.patient


@pytest.mark.parametrize("rate", [62.4725, 99.9, 257.0, 1000 / 3, 1000.0])
def test_rates_and_lengths_that_are_not_round(tmp_path, suffix, rate):
    written = recording(rate, 2.998, ("II", "V1"), gaps=False)
    again = read(write(written, tmp_path / f"rec.{suffix}"))
    assert again.sampling_rate == pytest.approx(rate, rel=1e-7)
    assert again.signal.shape == (2, 1499) and again.start_time is None and again.patient is None
    np.testing.assert_allclose(again.signal, written.signal, atol=HALF_A_STEP[suffix] + 1e-12, rtol=0)


def test_offsets_and_wide_leads(tmp_path, suffix):
    signal = recording(gaps=False).signal
    signal[1] -= 4.5
    signal[2, 500:600] += 40.0
    signal[3] += 300.0
    signal[4, 10] = np.inf
    path = write(Recording(signal, 500.0, LEADS), tmp_path / f"rec.{suffix}")
    again = find_format(path).read(path, ReadOptions())  # `read` would call the third lead lost
    assert np.isnan(again.signal[4, 10]) and np.isnan(again.signal).sum() == 1
    error = np.abs(again.signal - signal)
    assert np.nanmax(error[[0, 1, 3]]) <= max(HALF_A_STEP[suffix], 2.5e-5) + 1e-9
    assert np.nanmax(error[2]) <= 5e-4 + 1e-9


def test_what_other_programs_read(tmp_path):
    written = recording()
    write(written, tmp_path / "rec")
    theirs = wfdb.rdrecord(tmp_path / "rec")
    np.testing.assert_allclose(theirs.p_signal.T, written.signal, atol=2.5e-5 + 1e-9)
    edfio = pytest.importorskip("edfio")
    for suffix, load in (("edf", edfio.read_edf), ("bdf", edfio.read_bdf)):
        write(written, tmp_path / f"rec.{suffix}")
        theirs = load(tmp_path / f"rec.{suffix}")
        assert theirs.num_signals == 12 and theirs.get_signal("ECG II").sampling_frequency == 500
        np.testing.assert_allclose(theirs.get_signal("ECG II").data / 1000, written.signal[1], atol=2.5e-5 + 1e-9)
        assert {note.text for note in theirs.annotations} == {"not measured: I", "not measured: V6"}
    pydicom = pytest.importorskip("pydicom")
    theirs = pydicom.dcmread(write(written, tmp_path / "rec.dcm"))
    assert theirs.SOPClassUID.name == "12-lead ECG Waveform Storage" and not theirs.PatientName
    np.testing.assert_allclose(theirs.waveform_array(0)[:, 1] / 1000, written.signal[1], atol=2.5e-5 + 1e-9)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, "12-lead"),
        ({"leads": ("I", "II")}, "General"),
        ({"duration": 40.0}, "General"),
        ({"rate": 125.0}, "Ambulatory"),
    ],
)
def test_the_kind_of_dicom_keeps_the_limits_of_the_standard(tmp_path, change, kind):
    pydicom = pytest.importorskip("pydicom")
    data = pydicom.dcmread(write(recording(**change), tmp_path / "rec.dcm"))
    assert data.SOPClassUID.name.startswith(kind)
    with pytest.raises(ValueError, match="2000 Hz"):
        write(recording(2000.0), tmp_path / "fast.dcm")


def test_mistakes_leave_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"\.edf"):
        write(recording(), tmp_path / "rec.docx")
    with pytest.raises(ValueError, match="letters"):
        write(recording(), tmp_path / "my record.hea")
    with pytest.raises(ValueError, match="empty"):
        write(Recording(np.zeros((0, 0)), 500.0, ()), tmp_path / "rec.npz")
    assert os.listdir(tmp_path) == []


@pytest.mark.data
def test_real_recordings_read_again_are_the_same(tmp_path, ecg_data, suffix):
    headers = [header for name in ("cinc2011", "ludb") for header in sorted((ecg_data / name).rglob("*.hea"))[:2]]
    assert headers
    for header in headers:
        written = read(header)
        again = read(write(written, tmp_path / f"{suffix}.{suffix}"))
        assert again.leads == written.leads and again.sampling_rate == written.sampling_rate
        np.testing.assert_allclose(again.signal, written.signal, atol=5e-4 + 1e-9, rtol=0)
