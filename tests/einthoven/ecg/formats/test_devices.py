"""Formats of recorders: SCP-ECG, MFER, Philips, Mortara, ISHNE and Kardia, from files that the tests build."""

import struct

import numpy as np
import pytest

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, lead_rows
from einthoven.ecg.reading import read
from preprocessing.cohorts.simulator import simulate_ecg
from tests.builders import binary, xml_files
from tests.damaged_files import check_refused, check_truncated

ECG = simulate_ecg(1, 500, 10.0)[0].astype(np.float64)
EIGHT = ECG[lead_rows(INDEPENDENT_LEADS), :1500]
GAP = np.s_[3, 100:150]


@pytest.fixture
def decoder():
    """For the formats that ecgdatakit decodes."""
    pytest.importorskip("ecgdatakit")


def write(folder, content, name="rec.bin"):
    path = folder / name
    path.write_bytes(content)
    return path


def check(recording, signal, leads, rate, half_a_step, name):
    assert (recording.leads, recording.sampling_rate, recording.source.format) == (tuple(leads), rate, name)
    np.testing.assert_array_equal(np.isnan(recording.signal), np.isnan(signal))
    np.testing.assert_allclose(recording.signal, signal, atol=half_a_step + 1e-9, rtol=0)


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("huffman", [False, True])
def test_scp(tmp_path, huffman):
    path = write(tmp_path, binary.scp(EIGHT, INDEPENDENT_LEADS, 500, huffman=huffman))
    recording = read(path)
    check(recording, EIGHT, INDEPENDENT_LEADS, 500.0, 0.00125, "SCP-ECG")
    assert (recording.patient.age, recording.patient.sex) == (61.0, "female")
    assert recording.start_time.isoformat() == "2019-02-28T10:11:12"
    check_truncated(path)


@pytest.mark.usefixtures("decoder")
def test_scp_keeps_a_rate_that_is_not_whole(tmp_path):
    recording = read(write(tmp_path, binary.scp(EIGHT, INDEPENDENT_LEADS, 1e6 / 3900)))
    assert recording.sampling_rate == pytest.approx(1e6 / 3900, rel=1e-12)


@pytest.mark.usefixtures("decoder")
def test_scp_with_absurd_counts(tmp_path):
    content = bytearray(binary.scp(EIGHT, INDEPENDENT_LEADS, 500, huffman=True))
    at = content.index(struct.pack("<II", 1, 1500))
    content[at + 4 : at + 8] = struct.pack("<I", 2**32 - 1)
    check_refused(write(tmp_path, bytes(content)))


@pytest.mark.usefixtures("decoder")
def test_mfer(tmp_path):
    path = write(tmp_path, binary.mfer(EIGHT, INDEPENDENT_LEADS, interval_us=2500, gap=GAP))
    signal = EIGHT.copy()
    signal[GAP] = np.nan
    recording = read(path)
    check(recording, signal, INDEPENDENT_LEADS, 400.0, 0.00125, "MFER")
    assert (recording.patient.age, recording.patient.sex) == (61.0, "female")
    assert read(
        write(tmp_path, binary.mfer(EIGHT, INDEPENDENT_LEADS, interval_us=3900))
    ).sampling_rate == pytest.approx(1e6 / 3900, rel=1e-12)
    check_truncated(path)


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("compressed", [False, True])
def test_philips(tmp_path, compressed):
    path = write(tmp_path, xml_files.philips(ECG[:, :1500], 500, compressed))
    recording = read(path)
    check(recording, ECG[:, :1500], LEADS, 500.0, 0.0025, "Philips XML")
    assert (recording.patient.age, recording.patient.sex) == (61.0, "female")
    assert recording.start_time.isoformat() == "2019-02-28T10:11:12"
    check_truncated(path)


@pytest.mark.usefixtures("decoder")
def test_the_calibration_of_philips_is_cut_off(tmp_path):
    pulse = np.zeros(500)
    pulse[150:350] = 1.0
    with_pulse = np.concatenate([ECG, np.tile(pulse, (12, 1))], axis=1)
    recording = read(write(tmp_path, xml_files.philips(with_pulse, 500)))
    assert recording.signal.shape == (12, 5000) and any("calibration" in note for note in recording.notes)
    np.testing.assert_allclose(recording.signal, ECG, atol=0.0025 + 1e-9)
    eleven = simulate_ecg(1, 500, 11.0)[0].astype(np.float64)
    assert read(write(tmp_path, xml_files.philips(eleven, 500))).signal.shape == (12, 5500)


@pytest.mark.usefixtures("decoder")
def test_philips_with_entities_is_refused(tmp_path):
    content = xml_files.philips(ECG[:, :1500], 500)
    content = content.replace(b"<restingecgdata ", b'<!DOCTYPE x [<!ENTITY a "b">]><restingecgdata ', 1)
    check_refused(write(tmp_path, content))


@pytest.mark.usefixtures("decoder")
def test_mortara(tmp_path):
    signal = EIGHT.copy()
    signal[GAP] = np.nan
    path = write(tmp_path, xml_files.mortara(signal, INDEPENDENT_LEADS, 1000))
    recording = read(path)
    check(recording, signal, INDEPENDENT_LEADS, 1000.0, 0.00125, "Mortara XML")
    assert (recording.patient.age, recording.patient.sex) == (61.0, "female") and "Secret" not in repr(recording)
    check_truncated(path)


@pytest.mark.parametrize("extra", [0, 40])
def test_ishne(tmp_path, extra):
    signal = EIGHT[:3].copy()
    signal[2, 100:150] = np.nan
    path = write(tmp_path, binary.ishne(signal, ("I", "II", "V1"), 200, extra=extra), "rec.ecg")
    recording = read(path)
    check(recording, signal, ("I", "II", "V1"), 200.0, 0.00125, "ISHNE")
    assert (recording.patient.age, recording.patient.sex) == (68.0, "female") and "Some" not in repr(recording)
    assert recording.start_time.isoformat() == "2019-02-28T10:11:12"


def test_part_of_ishne(tmp_path):
    path = write(tmp_path, binary.ishne(EIGHT[:3], ("I", "II", "V1"), 200), "rec.ecg")
    part = read(path, start=1.5, duration=2.0, leads=("V1", "I"))
    np.testing.assert_array_equal(part.signal, read(path).signal[[2, 0], 300:700])
    assert part.start_time.isoformat() == "2019-02-28T10:11:13.500000"


def test_ishne_that_is_shorter_than_it_says(tmp_path):
    content = binary.ishne(EIGHT[:3], ("I", "II", "V1"), 200)
    path = write(tmp_path, content[: len(content) * 3 // 4])
    recording = read(path)
    assert recording.signal.shape[1] < 1500 and any("states 1500" in note for note in recording.notes)
    check_refused(path, strict=True)
    check_truncated(path, shares=(0.005, 0.04))
    for at, value in ((156, 300), (156, 0), (272, 0), (22, 0)):
        check_refused(write(tmp_path, content[:at] + struct.pack("<h", value) + content[at + 2 :]))


def test_kardia(tmp_path):
    signal = ECG[:6, :1500].copy()
    signal[GAP] = np.nan
    path = write(tmp_path, binary.kardia(signal, LEADS[:6], 300), "rec.json")
    recording = read(path)
    check(recording, signal, LEADS[:6], 300.0, 0.00025, "Kardia")
    assert recording.start_time.isoformat() == "2019-02-28T10:11:12" and "secret" not in repr(recording)
    check_truncated(path)
    check_refused(write(tmp_path, b'{"recordedAt": "2019", "data12L": {}}'), "12L")
    check_refused(write(tmp_path, b'{"recordedAt": "2019", "data": {"raw": {"frequency": 300, "samples": {}}}}'))
