"""`read`: formats by content, leads by name, code or mapping, units, parts, and what goes wrong."""

import io

import numpy as np
import pytest

from einthoven.ecg.folders import find_recordings
from einthoven.ecg.formats import registry
from einthoven.ecg.formats.registry import FORMATS, Format
from einthoven.ecg.leads import LEADS, parse_lead
from einthoven.ecg.reading import DEMO_ECG, read
from tests.wfdb_encoding import write_encoded


@pytest.fixture
def ecg():
    return np.round(read(None).signal, 3)


def write_channels(folder, name, ecg, names, gains=None):
    gains = gains or ["1000/mV"] * len(names)
    path = write_encoded(folder, name, np.rint(ecg * 1000).astype(int).T, "16", 500, leads=range(len(names)))
    lines = path.with_suffix(".hea").read_text().splitlines()
    for row, (channel, gain) in enumerate(zip(names, gains, strict=True), start=1):
        lines[row] = lines[row].replace("100/mV", gain).rpartition(" ")[0] + f" {channel}"
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


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
    for start, duration in ((8.0, 3.0), (11.0, None)):
        with pytest.raises(ValueError, match="lasts 10.0 s"):
            read(None, start=start, duration=duration)
    for start, duration in ((-1.0, None), (0.0, 0.0), (float("nan"), None)):
        with pytest.raises(ValueError, match="start must not be negative|start is nan"):
            read(None, start=start, duration=duration)


def test_leads_can_be_put_in_order(tmp_path, write_record, ecg):
    recording = read(write_record(tmp_path, "rec", ecg[::-1], 500, leads=LEADS[::-1]))
    assert recording.leads == LEADS[::-1]
    np.testing.assert_allclose(recording.ordered(LEADS), ecg, atol=1e-9)
    two = read(write_record(tmp_path, "two", ecg[:2], 500, leads=("I", "II")))
    with pytest.raises(ValueError, match=r"lacks lead\(s\) .*V6; it has I, II"):
        two.ordered(LEADS)
    with pytest.raises(ValueError, match=r"lacks lead\(s\) V6; it has I, II"):
        read(tmp_path / "two", leads=["I", "V6"])


def test_limb_leads_that_lack_are_derived(tmp_path, write_record, ecg):
    write_record(tmp_path, "two", ecg[[1, 0, 6]], 500, leads=("II", "I", "V1"))
    recording = read(tmp_path / "two", leads=["aVF", "I"])
    np.testing.assert_allclose(recording.signal, [ecg[1] - ecg[0] / 2, ecg[0]], atol=1e-9)
    assert recording.notes == ("aVF derived from the other limb leads",)


@pytest.mark.parametrize(
    ("name", "lead", "sign"),
    [
        ("MLII", "II", 1),
        ("ECG lead II", "II", 1),
        ("DI", "I", 1),
        ("DII", "II", 1),
        ("D3", "III", 1),
        ("Lead I", "I", 1),
        ("LEAD_V1", "V1", 1),
        ("lead-avf", "aVF", 1),
        ("I (Einthoven)", "I", 1),
        ("ECG V5", "V5", 1),
        ("EKG aVR-Ref", "aVR", 1),
        ("V2 [mV]", "V2", 1),
        ("-aVR", "aVR", -1),
        ("\u2212aVR", "aVR", -1),
        ("MDC_ECG_LEAD_V1", "V1", 1),
        ("MDC_ECG_LEAD_AVR", "aVR", 1),
        ("2:3", "V1", 1),
        ("5.6.3-9-64", "aVF", 1),
        ("5.6.3-9-65", "aVR", -1),
        ("i", "I", 1),
    ],
)
def test_known_names_of_leads(name, lead, sign):
    assert parse_lead(name) == (lead, sign)


@pytest.mark.parametrize("name", ["ECG1", "V", "MCL", "MCL1", "vx", "ABP", "ECG", "", "V7", "C3", "ii resp", "2:99"])
def test_other_names_are_no_leads(name):
    assert parse_lead(name) is None


def test_other_channels_are_passed_over_and_told(tmp_path, ecg):
    names = ["i", "vx", "ABP", "II", "V"]
    write_channels(tmp_path, "rec", ecg[:5], names, ["1000/mV", "1000/mV", "10/mmHg", "1/uV", "1000/mV"])
    recording = read(tmp_path / "rec")
    assert recording.leads == ("I", "II") and recording.other_channels == ("vx", "ABP", "V")
    np.testing.assert_allclose(recording.signal, ecg[[0, 3]], atol=1e-9)
    assert recording.notes == (
        "V: no name of one lead, passed over; to read it say which it is, such as leads={'V': 'II'}",
    )
    with pytest.raises(ValueError, match="'ABP'"):
        read(tmp_path / "rec", leads=["I", "ABP"])
    with pytest.raises(ValueError, match="channel ABP has the unit 'mmHg', which is no voltage"):
        read(tmp_path / "rec", leads={"ABP": "V1"})


def test_a_mapping_says_which_channel_is_which_lead(tmp_path, ecg):
    write_channels(tmp_path, "rec", ecg[:3], ["ECG1", "ECG2", "ECG3"])
    with pytest.raises(ValueError, match=r"ECG1, ECG2, ECG3 may be any: say which they are, as in leads="):
        read(tmp_path / "rec")
    recording = read(tmp_path / "rec", leads={"ecg2": "-aVR", "ECG1": "V1"})
    assert recording.leads == ("aVR", "V1") and recording.other_channels == ("ECG3",)
    np.testing.assert_allclose(recording.signal, [-ecg[1], ecg[0]], atol=1e-9)
    for mapping, message in (
        ({"ECG9": "I"}, "has no channel 'ECG9'; its channels are ECG1"),
        ({"ECG1": "V9"}, "'V9' .of channel ECG1. is no lead"),
        ({"ECG1": "I", "ECG2": "i"}, "two channels are named I"),
    ):
        with pytest.raises(ValueError, match=message):
            read(tmp_path / "rec", leads=mapping)


def test_signs_and_doubles_are_noted(tmp_path, ecg):
    write_channels(tmp_path, "rec", ecg[[4, 3, 1, 2]], ["aVL", "-aVR", "MLII", "II"])
    recording = read(tmp_path / "rec")
    assert recording.leads == ("aVL", "aVR", "II")
    np.testing.assert_allclose(recording.signal, [ecg[4], -ecg[3], ecg[2]], atol=1e-9)
    assert recording.notes == (
        "lead II is there more than once: II is read, MLII not",
        "channel -aVR is read as aVR, with its sign turned",
    )


def test_rate_and_unit_can_be_told(tmp_path, ecg):
    write_channels(tmp_path, "rec", ecg[:2], ["I", "II"], ["1/V", "1/V"])
    with pytest.raises(ValueError, match=r"rec(\.hea)?: the ECG .*microvolts"):
        read(tmp_path / "rec")
    recording = read(tmp_path / "rec", unit="uV", sampling_rate=250, duration=4.0)
    np.testing.assert_allclose(recording.signal, ecg[:2, :1000], atol=1e-9)
    assert recording.sampling_rate == 250
    assert recording.notes == ("sampling rate 250 Hz as told; the file says 500 Hz",)
    with pytest.raises(ValueError, match="'mmHg' is no voltage"):
        read(tmp_path / "rec", unit="mmHg")
    with pytest.raises(ValueError, match="an ECG has 1 to"):
        read(tmp_path / "rec", sampling_rate=0)
    write_channels(tmp_path, "volts", ecg[:2], ["I", "II"], ["1000000/mV"] * 2)
    with pytest.raises(ValueError, match=r"volts(\.hea)?: .*looks like volts.*unit='V'"):
        read(tmp_path / "volts")


def test_open_files_and_several_files_of_one_record(tmp_path, ecg):
    path = write_channels(tmp_path, "rec", ecg[:2], ["I", "II"])
    header, signals = path.with_suffix(".hea"), path.with_suffix(".dat")
    expected = read(path).signal
    np.testing.assert_array_equal(read([signals, header]).signal, expected)
    with signals.open("rb") as first, header.open("rb") as second:
        recording = read([first, second])
    np.testing.assert_array_equal(recording.signal, expected)
    assert recording.source.format == "WFDB" and recording.source.path is None
    with pytest.raises(ValueError, match="in no known format"):
        read(io.BytesIO(b"\x00nothing known" * 10))
    with pytest.raises(ValueError, match="binary mode"):
        read(io.StringIO("text"))


def test_mistakes_are_told(tmp_path):
    for path, message in (
        ("", "the path is empty"),
        ([], "the path is empty"),
        (tmp_path, "is a folder: give a file"),
        (tmp_path / "absent", "no file .*absent, and no header"),
    ):
        with pytest.raises(ValueError, match=message):
            read(path)
    (tmp_path / "empty.xyz").touch()
    with pytest.raises(ValueError, match="is empty; known formats: WFDB"):
        read(tmp_path / "empty.xyz")


def test_a_missing_package_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "strange.py").write_text(
        "def matches(head, path):\n    return head == b'strange'\n\n\n"
        "def read(path, options):\n    import nothing_like_it\n"
    )
    (tmp_path / "file").write_text("strange")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        registry, "FORMATS", [*FORMATS, Format("Strange", "strange.matches", "strange.read", "formats")]
    )
    with pytest.raises(ValueError, match=r"is Strange, .* needs nothing_like_it: pip install 'einthoven\[formats\]'"):
        read(tmp_path / "file")


def test_the_recordings_of_a_folder(tmp_path, ecg):
    write_channels(tmp_path / "a", "rec", ecg[:2], ["I", "II"])
    write_channels(tmp_path / "a", "other", ecg[:2], ["I", "II"])
    (tmp_path / "a" / "whole.hea").write_text("whole/2 2 500 10000\nrec 5000\nother 5000\n")
    write_channels(tmp_path / "b", "rec", ecg[:2], ["I", "II"])
    write_channels(tmp_path / ".hidden", "rec", ecg[:2], ["I", "II"])
    (tmp_path / "notes.bin").write_bytes(bytes(range(256)))
    assert find_recordings(tmp_path) == [tmp_path / "a" / "whole.hea", tmp_path / "b" / "rec.hea"]
    assert all(read(path).leads == ("I", "II") for path in find_recordings(tmp_path))
    (tmp_path / "none").mkdir()
    for folder, message in (
        (tmp_path / "none", "holds no recording"),
        ("", "give the path of a file or folder"),
        (tmp_path / "x", "no folder"),
    ):
        with pytest.raises(ValueError, match=message):
            find_recordings(folder)
