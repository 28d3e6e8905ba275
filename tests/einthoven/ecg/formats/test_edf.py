"""EDF, EDF+ and BDF: values as edfio reads them, units and rates that differ, pauses, damage."""

import datetime

import numpy as np
import pytest

from einthoven.ecg.reading import read
from preprocessing.cohorts.simulator import simulate_ecg
from tests.damaged_files import check_refused, check_truncated

edfio = pytest.importorskip("edfio")


@pytest.fixture(scope="module")
def ecg():
    return simulate_ecg(1, 250, 8.0)[0].astype(np.float64)


def write(path, ecg, bdf=False, unit="mV", factor=1.0, more=(), **options):
    signal = edfio.BdfSignal if bdf else edfio.EdfSignal
    signals = [
        signal(ecg[0], 250, label="ECG I", physical_dimension="mV"),
        signal(ecg[1] * factor, 250, label="II", physical_dimension=unit),
        *more,
    ]
    (edfio.Bdf if bdf else edfio.Edf)(signals, **options).write(path)
    return path


@pytest.mark.parametrize("bdf", [False, True])
def test_values_are_those_of_edfio(tmp_path, ecg, bdf):
    path = write(tmp_path / "rec.edf", ecg, bdf, "uV", 1000.0)
    recording = read(path)
    theirs = (edfio.read_bdf if bdf else edfio.read_edf)(path)
    np.testing.assert_allclose(recording.signal[0], theirs.signals[0].data, atol=1e-12)
    np.testing.assert_allclose(recording.signal[1], theirs.signals[1].data / 1000, atol=1e-12)
    assert (recording.leads, recording.sampling_rate, recording.source.format) == (
        ("I", "II"),
        250.0,
        "BDF" if bdf else "EDF",
    )


def test_other_channels_and_annotations_are_passed_over(tmp_path, ecg):
    breath = edfio.EdfSignal(np.sin(np.arange(200) / 9), 25, label="Resp", physical_dimension="Ohm")
    pressure = edfio.EdfSignal(np.sin(np.arange(2000) / 9), 250, label="ABP", physical_dimension="mmHg")
    notes = [edfio.EdfAnnotation(1.0, 2.0, "moved")]
    recording = read(write(tmp_path / "rec.edf", ecg, more=(breath, pressure), annotations=notes))
    assert recording.leads == ("I", "II") and set(recording.other_channels) == {"Resp", "ABP"}
    np.testing.assert_allclose(recording.signal, ecg[:2], atol=1e-3)


def test_start_and_patient_are_kept_but_no_name(tmp_path, ecg):
    recording = read(
        write(
            tmp_path / "rec.edf",
            ecg,
            patient=edfio.Patient(code="X1", sex="F", birthdate=datetime.date(1950, 3, 4), name="Somebody"),
            recording=edfio.Recording(startdate=datetime.date(1988, 3, 3)),
            starttime=datetime.time(3, 4, 5),
        )
    )
    assert recording.start_time == datetime.datetime(1988, 3, 3, 3, 4, 5)
    assert (recording.patient.age, recording.patient.sex) == (37.0, "female")
    assert "Somebody" not in repr(recording)


def test_pauses_are_missing_samples(tmp_path, ecg):
    path = write(tmp_path / "rec.edf", ecg, data_record_duration=1, annotations=[edfio.EdfAnnotation(0, None, "x")])
    raw = path.read_bytes()
    at = raw.index(b"+5\x14\x14")
    for second in (7, 6, 5):  # the last three of eight records begin two seconds later
        raw = raw.replace(b"+%d\x14\x14" % second, b"+%d\x14\x14" % (second + 2))
    path.write_bytes(raw[:192] + b"EDF+D" + raw[197:])
    assert at > 0
    recording = read(path)
    assert recording.signal.shape == (2, 2500)
    assert np.isnan(recording.signal[:, 1250:1750]).all() and np.isnan(recording.signal).sum() == 1000
    np.testing.assert_allclose(recording.signal[:, 1750:], ecg[:2, 1250:], atol=1e-3)
    assert any("pause" in note for note in recording.notes)


@pytest.mark.parametrize("paused", [False, True])
def test_parts_are_those_of_the_whole(tmp_path, ecg, paused):
    known = {"recording": edfio.Recording(startdate=datetime.date(2020, 1, 2)), "starttime": datetime.time(23, 59, 58)}
    notes = [edfio.EdfAnnotation(0, None, "x")]
    path = write(tmp_path / "rec.edf", ecg, data_record_duration=1, annotations=notes, **known)
    if paused:
        raw = path.read_bytes().replace(b"+7\x14\x14", b"+9\x14\x14")
        path.write_bytes(raw[:192] + b"EDF+D" + raw[197:])
    whole = read(path)
    for start, duration in ((0.0, 1.0), (0.998, 2.01), (3.3, None), (6.5, 1.5), (7.0, None)):
        part = read(path, start=start, duration=duration)
        first = round(start * 250)
        last = None if duration is None else first + round(duration * 250)
        np.testing.assert_array_equal(part.signal, whole.signal[:, first:last])
        assert part.start_time == whole.start_time + datetime.timedelta(seconds=first / 250)
    check_refused_part(path, start=20.0)


def check_refused_part(path, **options):
    with pytest.raises(ValueError, match="do not lie in it"):
        read(path, **options)


def test_length_that_the_header_does_not_know(tmp_path, ecg):
    path = write(tmp_path / "rec.edf", ecg)
    raw = path.read_bytes()
    path.write_bytes(raw[:236] + b"-1      " + raw[244:])
    recording = read(path)
    assert recording.signal.shape == (2, 2000) and "how long" in recording.notes[0]


def test_damage_is_told_in_a_line(tmp_path, ecg):
    path = write(tmp_path / "rec.edf", ecg)
    check_truncated(path)
    raw = path.read_bytes()
    for at, field in ((236, b"99999999"), (252, b"9999"), (184, b"7       "), (244, b"nonsense"), (252, b"0   ")):
        path.write_bytes(raw[:at] + field + raw[at + len(field) :])
        check_refused(path)
