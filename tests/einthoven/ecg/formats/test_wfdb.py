"""The WFDB reader: values of every format, what headers leave out, and refusal of what is damaged or dangerous."""

import os
from datetime import datetime

import numpy as np
import pytest
import wfdb

from einthoven.ecg.formats import wfdb as reader
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.wfdb import STRICT, read_wfdb
from einthoven.ecg.formats.wfdb_files.samples import FLAC_MISSING, FORMATS, missing_value
from einthoven.ecg.leads import LEADS, parse_lead
from einthoven.ecg.recording import Patient
from preprocessing.cohorts.simulator import simulate_ecg
from tests.wfdb_encoding import write_encoded

LIMITS = {"8": 60, "80": 120, "508": 120, "310": 500, "311": 500, "212": 2000}


@pytest.fixture
def ecg():
    return np.round(simulate_ecg(1, 500)[0].astype(np.float64), 3)


def edit_header(path, old, new):
    header = path.with_name(path.name + ".hea")
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))


def write_numbers(folder, name, digital, fmt):
    if fmt in FORMATS:
        return write_encoded(folder, name, digital, fmt)
    n = digital.shape[1]
    form = {"fmt": [fmt] * n, "adc_gain": [100.0] * n, "baseline": [0] * n}
    wfdb.wrsamp(name, 100, ["mV"] * n, ["I", "II", "V1"][:n], d_signal=digital, write_dir=str(folder), **form)
    return folder / name


@pytest.mark.parametrize("fmt", [*FORMATS, *FLAC_MISSING])
def test_values_of_every_format_and_of_any_part(tmp_path, fmt, monkeypatch):
    generator = np.random.default_rng(0)
    for length in (1000, 1001, 1002):
        for n in (2, 3):
            limit = LIMITS.get(fmt, 30000)
            digital = generator.integers(-limit, limit, (length, n))
            if fmt == "8":
                digital = np.cumsum(digital, axis=0)
            path = write_numbers(tmp_path, f"r{length}_{n}", digital, fmt)
            recording = read_wfdb(path, STRICT)
            np.testing.assert_array_equal(np.rint(recording.signal.T * 100), digital)
            np.testing.assert_array_equal(wfdb.rdrecord(str(path), physical=False).d_signal, digital)
            part = read_wfdb(path, ReadOptions(start=1.23, duration=4.56))
            np.testing.assert_array_equal(part.signal, recording.signal[:, 123:579])
            with monkeypatch.context() as context:
                context.setattr(reader, "_CHUNK", 200)
                np.testing.assert_array_equal(read_wfdb(path, STRICT).signal, recording.signal)


@pytest.mark.parametrize("fmt", [name for name in [*FORMATS, *FLAC_MISSING] if name != "8"])
def test_missing_samples_of_every_format(tmp_path, fmt):
    digital = np.tile(np.arange(-50, 50)[:, None], (3, 2))
    digital[10:20, 1] = missing_value(fmt)
    signal = read_wfdb(write_numbers(tmp_path, "rec", digital, fmt)).signal
    assert np.isnan(signal[1, 10:20]).all() and np.isnan(signal).sum() == 10


@pytest.mark.parametrize("fmt", ["16", "212", "32"])
def test_values_are_those_that_were_written(tmp_path, write_record, ecg, fmt):
    ecg = np.clip(ecg, -2, 2)
    path = write_record(tmp_path, "rec", ecg, 500, fmt=fmt)
    recording = read_wfdb(path)
    np.testing.assert_allclose(recording.signal, ecg, atol=1e-9)
    assert (recording.sampling_rate, recording.leads, recording.name) == (500.0, LEADS, "rec")
    assert recording.notes == recording.other_channels == ()
    for name in ("rec.hea", "rec.dat"):
        np.testing.assert_array_equal(read_wfdb(tmp_path / name).signal, recording.signal)


def test_gaps_become_nan(tmp_path, write_record, ecg):
    ecg[3, 10:20] = np.nan
    recording = read_wfdb(write_record(tmp_path, "rec", ecg, 500))
    np.testing.assert_array_equal(np.isnan(recording.signal), np.isnan(ecg))


@pytest.mark.parametrize("unit", ["uV", "µV", "μV", "microvolts"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_microvolts_however_they_are_spelt(tmp_path, unit, encoding):
    path = write_encoded(tmp_path, "rec", [[1000, 0], [-250, 0], [3, 1]], "16", gain="1/uV")
    header = tmp_path / "rec.hea"
    header.write_bytes(header.read_text().replace("uV", unit).encode(encoding, errors="replace"))
    if encoding == "latin-1" and unit == "μV":
        header.write_bytes(header.read_bytes().replace(b"?V", b"uV"))  # Latin-1 has no Greek letter
    np.testing.assert_allclose(read_wfdb(path).signal[0], [1.0, -0.25, 0.003])


@pytest.mark.parametrize("name", ["../rec.dat", "/etc/passwd", "..\\rec.dat", "sub/../../rec.dat", "http://x/rec.dat"])
def test_a_header_that_points_outside_its_folder_is_not_followed(tmp_path, write_record, ecg, name, monkeypatch):
    path = write_record(tmp_path / "inner", "rec", ecg, 500)
    (tmp_path / "rec.dat").write_bytes((tmp_path / "inner" / "rec.dat").read_bytes())
    edit_header(path, "rec.dat", name)

    def never(*arguments, **options):
        raise AssertionError("the signal file was read")

    monkeypatch.setattr(np, "fromfile", never)
    with pytest.raises(ValueError, match="outside its folder"):
        read_wfdb(path)


def test_signals_in_a_folder_below_are_read_but_links_out_of_it_are_not(tmp_path, write_record, ecg):
    path = write_record(tmp_path / "records", "rec", ecg, 500)
    signals = path.with_suffix(".dat")
    (path.parent / "data").mkdir()
    signals.rename(path.parent / "data" / "rec.dat")
    edit_header(path, "rec.dat", "data/rec.dat")
    np.testing.assert_allclose(read_wfdb(path).signal, ecg, atol=1e-9)
    (path.parent / "data").rename(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", path.parent / "data")
    with pytest.raises(ValueError, match="by a link"):
        read_wfdb(path)


@pytest.mark.parametrize("fmt", ["16", "212"])
def test_truncated_and_missing_signals(tmp_path, write_record, ecg, fmt):
    path = write_record(tmp_path, "rec", np.clip(ecg, -2, 2), 500, fmt=fmt)
    dat = path.with_suffix(".dat")
    dat.write_bytes(dat.read_bytes()[:60000])
    with pytest.raises(ValueError, match="truncated"):
        read_wfdb(path, STRICT)
    recording = read_wfdb(path)
    held = 2500 if fmt == "16" else 3333
    np.testing.assert_allclose(recording.signal, np.clip(ecg, -2, 2)[:, :held], atol=1e-9)
    assert any(f"holds {held} of 5000" in note for note in recording.notes)
    dat.unlink()
    with pytest.raises(ValueError, match="missing"):
        read_wfdb(path)


def test_what_a_header_claims_costs_no_memory(tmp_path, write_record, ecg):
    path = write_record(tmp_path, "rec", ecg, 500)
    edit_header(path, "rec 12 500 5000", "rec 12 500 5000000000000")
    assert read_wfdb(path).signal.shape == (12, 5000)
    edit_header(path, "rec 12 500 5000000000000", "rec 4000000000 500 5000")
    with pytest.raises(ValueError, match="states 4000000000 signals, but has lines for 12"):
        read_wfdb(path)
    (tmp_path / "gap.hea").write_text("gap/2 12 500 900000005000\nrec2 5000\n~ 900000000000\n")
    write_record(tmp_path, "rec2", ecg, 500)
    with pytest.raises(ValueError, match="mostly gaps"):
        read_wfdb(tmp_path / "gap")
    assert read_wfdb(tmp_path / "gap", ReadOptions(start=5.0, duration=10.0)).signal.shape == (12, 5000)


def test_checksums(tmp_path, write_record, ecg):
    path = write_record(tmp_path, "rec", ecg, 500)
    dat = path.with_suffix(".dat")
    data = bytearray(dat.read_bytes())
    data[1000] ^= 1
    dat.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="checksum"):
        read_wfdb(path, STRICT)
    assert [note for note in read_wfdb(path).notes if "checksum of lead" in note and "wrong" in note]
    assert read_wfdb(path, ReadOptions(start=1.0, duration=2.0)).notes == ()  # a sum is one of all samples


def test_what_the_header_leaves_out(tmp_path):
    digital = np.tile(np.arange(-50, 50)[:, None], (3, 2))
    write_encoded(tmp_path, "rec", digital, "16", length="", gain="0")
    recording = read_wfdb(tmp_path / "rec")
    np.testing.assert_allclose(recording.signal.T, digital / 200)
    assert "no length" in " ".join(recording.notes) and "no gain of I, II" in " ".join(recording.notes)
    for gain in ("1e-320", "1e400"):
        (tmp_path / "odd.hea").write_text(f"odd 1 100 300\nrec.dat 16 {gain}/mV 16 0 0 0 0 I\n")
        assert "no gain of I" in " ".join(read_wfdb(tmp_path / "odd").notes)
    (tmp_path / "least.hea").write_text("least 1\nrec.dat 16\n")
    least = read_wfdb(tmp_path / "least", ReadOptions(leads={"channel 1": "II"}))
    assert (least.sampling_rate, least.leads, least.signal.shape) == (250.0, ("II",), (1, 600))
    assert "no sampling rate: 250 Hz assumed" in least.notes[0]
    edit_header(tmp_path / "rec", "rec 2 100", "rec 2 -100")
    with pytest.raises(ValueError, match="rate '-100' is not positive"):
        read_wfdb(tmp_path / "rec")


def test_checksum_zero_says_nothing(tmp_path):
    path = write_encoded(tmp_path, "rec", np.tile(np.arange(100)[:, None], (3, 2)), "16")
    edit_header(path, " 14850 0 I", " 0 0 I")
    assert all("0, which says nothing" in note or "wrong" in note for note in read_wfdb(path).notes)


def test_skewed_channels_are_put_right(tmp_path, monkeypatch):
    digital = np.tile(np.arange(-50, 50)[:, None], (3, 2))
    path = write_encoded(tmp_path, "rec", digital, "16")
    edit_header(path, "16 100/mV 0 0 -50 65386 0 II", "16:3 100/mV 0 0 -50 65386 0 II")
    recording = read_wfdb(path, STRICT)
    np.testing.assert_allclose(recording.signal[1, :-3] * 100, digital[3:, 1])
    assert np.isnan(recording.signal[1, -3:]).all() and np.isfinite(recording.signal[0]).all()
    part = read_wfdb(path, ReadOptions(start=0.5, duration=1.0))
    np.testing.assert_array_equal(part.signal, recording.signal[:, 50:150])
    monkeypatch.setattr(reader, "_CHUNK", 100)
    np.testing.assert_array_equal(read_wfdb(path, STRICT).signal, recording.signal)


def test_channels_of_another_rate_are_passed_over(tmp_path):
    frames = np.column_stack(
        [np.arange(300) % 90, np.arange(300) % 80, np.zeros(300), np.ones(300), np.ones(300)]
    ).astype(int)
    write_encoded(tmp_path, "rec", frames, "16", leads=("I", "II", "III", "a", "b"))
    lines = (tmp_path / "rec.hea").read_text().splitlines()
    lines = ["rec 4 50 300", lines[1], lines[2].replace("16 ", "16x2 "), lines[4], lines[5]]
    (tmp_path / "rec.hea").write_text("\n".join([*lines[:3], lines[3].replace(" a", " Resp"), lines[4]]))
    recording = read_wfdb(tmp_path / "rec")  # I at 50 Hz, II at 100 Hz
    assert recording.leads == ("II",) and recording.sampling_rate == 100 and recording.signal.shape == (1, 600)
    np.testing.assert_allclose(recording.signal[0, ::2] * 100, frames[:, 1])
    assert recording.other_channels == ("I", "Resp", "b")
    assert "I (50 Hz): passed over" in " ".join(recording.notes)
    one = read_wfdb(tmp_path / "rec", ReadOptions(leads=("I",)))
    assert one.sampling_rate == 50 and one.signal.shape == (1, 300)
    with pytest.raises(ValueError, match="differ from the other leads' rate"):
        read_wfdb(tmp_path / "rec", ReadOptions(leads=("I", "II")))


def test_several_segments_with_gaps(tmp_path):
    first = np.tile(np.arange(-50, 50)[:, None], (2, 2))
    write_encoded(tmp_path, "m_0001", first, "16", leads=("II", "V1"))
    write_encoded(tmp_path, "m_0002", first[:, :1], "212", gain="50/mV", leads=("V1",))
    (tmp_path / "m_layout.hea").write_text("m_layout 2 100 0\n~ 0 100/mV 16 0 0 0 0 II\n~ 0 100/mV 16 0 0 0 0 V1\n")
    (tmp_path / "m.hea").write_text("m/4 2 100 500\nm_layout 0\nm_0001 200\n~ 100\nm_0002 200\n")
    recording = read_wfdb(tmp_path / "m")
    assert recording.leads == ("II", "V1") and recording.signal.shape == (2, 500)
    expected = np.full((2, 500), np.nan)
    expected[:, :200], expected[1, 300:] = first.T / 100, first[:, 0] / 50
    np.testing.assert_allclose(recording.signal, expected)
    assert recording.notes == ("1 gap(s) between its segments, 1.0 s in all, are missing",)
    part = read_wfdb(tmp_path / "m", ReadOptions(start=1.5, duration=2.0))
    np.testing.assert_array_equal(part.signal, recording.signal[:, 150:350])
    (tmp_path / "fixed.hea").write_text("fixed/2 2 100 400\nm_0001 200\nm_0001 200\n")
    np.testing.assert_allclose(read_wfdb(tmp_path / "fixed").signal, np.tile(first.T / 100, 2))
    (tmp_path / "nested.hea").write_text("nested/1 2 100 400\nfixed 400\n")
    with pytest.raises(ValueError, match="has segments itself"):
        read_wfdb(tmp_path / "nested")
    (tmp_path / "far.hea").write_text("far/1 2 100 400\n../m_0001 400\n")
    with pytest.raises(ValueError, match="outside its folder"):
        read_wfdb(tmp_path / "far")


def test_mat_files_of_the_challenges(tmp_path, ecg):
    values = np.rint(ecg[:2] * 1000).astype("<i2")
    head = np.array([30, 2, values.shape[1], 0, 4], dtype="<i4").tobytes() + b"val\x00"
    (tmp_path / "A1.mat").write_bytes(head + values.T.tobytes())
    sums = [int(row.sum()) % 65536 for row in values.astype(int)]
    lines = [
        f"A1.mat 16+24 1000/mV 16 0 {row[0]} {total} 0 {lead}"
        for row, total, lead in zip(values, sums, ["I", "II"], strict=True)
    ]
    (tmp_path / "A1.hea").write_text(
        "\n".join(["A1 2 500 5000 12-Oct-2020 10:11:12", *lines, "#Age: 74", "#Sex: Male"])
    )
    recording = read_wfdb(tmp_path / "A1.mat", STRICT)
    np.testing.assert_allclose(recording.signal, ecg[:2], atol=1e-9)
    assert recording.patient == Patient(74.0, "male") and recording.start_time is None


def test_when_and_who(tmp_path):
    path = write_encoded(
        tmp_path, "rec", np.tile(np.arange(100)[:, None], (3, 2)), "16", length="300 10:11:12.5 3/2/1990"
    )
    with path.with_suffix(".hea").open("a") as header:
        header.write("# <age>: 63 <sex>: F <diagnoses> x\n")
    recording = read_wfdb(path, ReadOptions(start=1.0, duration=1.0))
    assert recording.start_time == datetime(1990, 2, 3, 10, 11, 13, 500000)
    assert recording.patient == Patient(63.0, "female")
    assert recording.source.format == "WFDB"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("/mV", "/mmHg", "unit"),
        (" AVR", " X7", "lead names"),
        ("rec 12", "rec/2 12", "of a segment is missing"),
        ("1000.0(0)/mV", "ten", "gain 'ten'"),
        ("rec.dat 16 ", "rec.dat 7 ", "format '7' is not known"),
        ("rec.dat 16 ", "rec.dat ", "format|cannot be read|not known"),
    ],
)
def test_what_the_header_says_is_checked(tmp_path, write_record, ecg, old, new, message):
    path = write_record(tmp_path, "rec", ecg, 500)
    edit_header(path, old, new)
    with pytest.raises(ValueError, match=message):
        read_wfdb(path, STRICT)


def test_files_that_are_no_records(tmp_path):
    with pytest.raises(ValueError, match="no header"):
        read_wfdb(tmp_path / "absent")
    (tmp_path / "empty.hea").write_text("# nothing\n")
    with pytest.raises(ValueError, match="is empty"):
        read_wfdb(tmp_path / "empty")
    (tmp_path / "other.dat").write_bytes(b"not of the record")
    (tmp_path / "other.hea").write_text("other 1 100 10\nrec.dat 16 100 16 0 0 0 0 I\n")
    assert not reader.matches(b"", tmp_path / "other.dat")
    assert reader.matches(b"", tmp_path / "other")
    write_encoded(tmp_path, "flac", np.tile(np.arange(100)[:, None], (3, 2)), "16")
    edit_header(tmp_path / "flac", ".dat 16", ".dat 516")
    with pytest.raises(ValueError, match="no FLAC file"):
        read_wfdb(tmp_path / "flac")


@pytest.mark.data
def test_values_equal_those_of_wfdb(ecg_data):
    folders = ("ptb-xl", "cinc2011", "ludb", "more")
    headers = [header for folder in folders for header in sorted((ecg_data / folder).rglob("*.hea"))]
    for header in headers[::40]:
        recording, expected = read_wfdb(header), wfdb.rdrecord(str(header.with_suffix("")))
        known = [parse_lead(name) for name in expected.sig_name]
        rows = [[found and found[0] for found in known].index(lead) for lead in recording.leads]
        np.testing.assert_allclose(recording.signal, expected.p_signal.T[rows], atol=1e-9)


@pytest.mark.data
@pytest.mark.slow
def test_every_record_there_is_read(ecg_data):
    for folder in ("ptb-xl", "cinc2011", "ludb", "more"):
        for header in sorted((ecg_data / folder).rglob("*.hea")):
            assert read_wfdb(header).notes == ()
