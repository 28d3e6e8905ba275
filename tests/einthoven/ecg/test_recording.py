"""The WFDB reader: values, and refusal of what is damaged or dangerous."""

import numpy as np
import pytest
import wfdb

from einthoven.ecg.formats.wfdb import read_wfdb
from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import DEMO_ECG, read
from preprocessing.cohorts.simulator import simulate_ecg


@pytest.fixture
def ecg():
    return np.round(simulate_ecg(1, 500)[0].astype(np.float64), 3)


@pytest.mark.parametrize("fmt", ["16", "212", "32"])
def test_values_are_those_that_were_written(tmp_path, write_record, ecg, fmt):
    ecg = np.clip(ecg, -2, 2)
    path = write_record(tmp_path, "rec", ecg, 500, fmt=fmt)
    recording = read_wfdb(path)
    np.testing.assert_allclose(recording.signal, ecg, atol=1e-9)
    assert (recording.sampling_rate, recording.leads, recording.name) == (500.0, LEADS, "rec")
    np.testing.assert_array_equal(read_wfdb(path.with_suffix(".hea")).signal, recording.signal)


def test_gaps_become_nan(tmp_path, write_record, ecg):
    ecg[3, 10:20] = np.nan
    recording = read_wfdb(write_record(tmp_path, "rec", ecg, 500))
    np.testing.assert_array_equal(np.isnan(recording.signal), np.isnan(ecg))


def test_leads_can_be_put_in_order(tmp_path, write_record, ecg):
    recording = read_wfdb(write_record(tmp_path, "rec", ecg[::-1], 500, leads=LEADS[::-1]))
    assert recording.leads == LEADS[::-1]
    np.testing.assert_allclose(recording.ordered(LEADS), ecg, atol=1e-9)
    with pytest.raises(ValueError, match="V6"):
        read_wfdb(write_record(tmp_path, "two", ecg[:2], 500, leads=("I", "II"))).ordered(LEADS)


def test_microvolts_are_converted(tmp_path):
    signal = np.array([[1000.0], [-250.0], [3.0]])
    wfdb.wrsamp("rec", 100, ["uV"], ["II"], signal, fmt=["16"], adc_gain=[10.0], baseline=[0], write_dir=str(tmp_path))
    np.testing.assert_allclose(read_wfdb(tmp_path / "rec").signal, [[1.0, -0.25, 0.003]])


def edit_header(path, old, new):
    header = path.with_name(path.name + ".hea")
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", ["../rec.dat", "/etc/passwd", "sub/rec.dat", "..\\rec.dat"])
def test_a_header_that_points_outside_its_folder_is_not_followed(tmp_path, write_record, ecg, name, monkeypatch):
    path = write_record(tmp_path / "inner", "rec", ecg, 500)
    (tmp_path / "rec.dat").write_bytes((tmp_path / "inner" / "rec.dat").read_bytes())
    edit_header(path, "rec.dat", name)

    def never(*arguments, **options):
        raise AssertionError("the signal file was read")

    monkeypatch.setattr(np, "fromfile", never)
    monkeypatch.setattr(wfdb, "rdrecord", never)
    with pytest.raises(ValueError, match="outside its folder"):
        read_wfdb(path)


@pytest.mark.parametrize("fmt", ["16", "212"])
def test_truncated_and_missing_signals(tmp_path, write_record, ecg, fmt):
    path = write_record(tmp_path, "rec", np.clip(ecg, -2, 2), 500, fmt=fmt)
    dat = path.with_suffix(".dat")
    dat.write_bytes(dat.read_bytes()[:-100])
    with pytest.raises(ValueError, match="truncated"):
        read_wfdb(path)
    dat.unlink()
    with pytest.raises(ValueError, match="missing"):
        read_wfdb(path)


def test_a_damaged_sample_is_found_by_its_checksum(tmp_path, write_record, ecg):
    path = write_record(tmp_path, "rec", ecg, 500)
    dat = path.with_suffix(".dat")
    data = bytearray(dat.read_bytes())
    data[1000] ^= 1
    dat.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="checksum"):
        read_wfdb(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("/mV", "/mmHg", "unit"), (" AVR", " X7", "lead names"), ("rec 12", "rec/2 12", "segments|cannot be read")],
)
def test_what_the_header_says_is_checked(tmp_path, write_record, ecg, old, new, message):
    path = write_record(tmp_path, "rec", ecg, 500)
    edit_header(path, old, new)
    with pytest.raises(ValueError, match=message):
        read_wfdb(path)


def test_no_header_is_told(tmp_path):
    with pytest.raises(ValueError, match="no header"):
        read_wfdb(tmp_path / "absent")


@pytest.mark.data
def test_values_equal_those_of_wfdb(ecg_data):
    headers = sorted((ecg_data / "ptb-xl").rglob("*_hr.hea"))[:5] + sorted((ecg_data / "cinc2011").rglob("*.hea"))[:5]
    for header in headers:
        expected = wfdb.rdrecord(str(header.with_suffix(""))).p_signal.T
        np.testing.assert_allclose(read_wfdb(header).signal, expected, atol=1e-12)


def test_the_bundled_ecg_is_whole_and_small():
    recording = read(None)
    assert recording.signal.shape == (12, 5000)
    assert recording.leads == LEADS
    assert DEMO_ECG.stat().st_size < 500_000


def test_leads_and_a_part_of_a_recording_are_taken():
    part = read(None, leads=["v2", "I"], start=1.0, duration=3.0)
    assert part.leads == ("V2", "I")
    np.testing.assert_array_equal(part.signal, read(None).signal[[7, 0], 500:2000])
    with pytest.raises(ValueError, match="unknown"):
        read(None, leads="V9")
    with pytest.raises(ValueError, match="lasts 10.0 s"):
        read(None, start=8.0, duration=3.0)
