"""What is uploaded is sorted into recordings, and nothing in it leads out of its folder."""

import numpy as np
import pytest

from einthoven.web.reading import read_upload
from einthoven.web.uploads import Upload, shown_name, sort_out, stored_suffix, unpack
from tests.einthoven.web.inline import ecg, npz_file, zip_file
from tests.wfdb_files import write_wfdb

MOST = 1_000_000
LINK = {"create_system": 3, "external_attr": 0o120777 << 16}


def stored(folder, files):
    """Stores files as the server does."""
    found = []
    for number, (name, content) in enumerate(files.items()):
        path = folder / f"uploaded{number}{stored_suffix(name)}"
        path.write_bytes(content)
        found.append((name, str(path)))
    return found


def read(folder, files, **options):
    def report(done, total, message=""):
        pass

    folder.mkdir(exist_ok=True)
    return read_upload(report, stored(folder, files), str(folder / "read"), MOST, **options)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The files of a WFDB record, by name."""
    folder = tmp_path_factory.mktemp("record")
    write_wfdb(folder, "smith_john", ecg(), 250, ["I", "II"])
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_record_of_two_files_is_one_recording(tmp_path, record):
    (found,) = read(tmp_path, record)["recordings"]
    assert found["facts"]["name"] == "smith_john"
    assert found["facts"]["leads"] == ["I", "II"]
    assert not (tmp_path / "read" / "unpacked").exists()


def test_zips_may_hold_records_of_one_name_in_several_folders(tmp_path, record):
    files = {f"{place}/{name}": content for place in ("a", "b") for name, content in record.items()}
    files |= {"__MACOSX/._x": b"x", "a/.DS_Store": b"x", "a/": b""}
    told = read(tmp_path, {"both.zip": zip_file(files)})
    assert len(told["recordings"]) == 2 and not told["problems"]


def test_a_part_alone_says_what_is_missing(tmp_path, record):
    data = {name: content for name, content in record.items() if name.endswith(".dat")}
    (problem,) = read(tmp_path / "data", data)["problems"]
    assert "drop its header (.hea) with it" in problem["message"]
    header = {name: content for name, content in record.items() if name.endswith(".hea")}
    with pytest.raises(ValueError, match=r"smith_john.hea names smith_john.dat, which was not uploaded"):
        read(tmp_path / "header", header)


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.dat", "C:\\secret.dat", "uploaded0.hea", "smith_john"])
def test_a_header_names_only_what_was_uploaded_with_it(tmp_path, record, name):
    (tmp_path / "secret.dat").write_bytes(b"\1\0" * 2000)
    header = next(content for file, content in record.items() if file.endswith(".hea"))
    hostile = header.replace(b"smith_john.dat", name.encode())
    with pytest.raises(ValueError, match="which was not uploaded"):
        read(tmp_path / "in", {**record, "smith_john.hea": hostile})


def test_one_broken_file_costs_no_other(tmp_path):
    good = npz_file(ecg())
    told = read(tmp_path, {"../../Smith.txt": b"no ecg", "good.npz": good})
    assert [each["facts"]["name"] for each in told["recordings"]] == ["good"]
    (problem,) = told["problems"]
    assert problem["file"] == "Smith.txt" and str(tmp_path) not in problem["message"]
    assert "uploaded" not in problem["message"]


def test_what_a_file_does_not_say_can_be_said(tmp_path):
    content = npz_file(1000 * ecg(), np.nan)
    (found,) = read(tmp_path, {"a.npz": content}, sampling_rate=500.0, unit="uV")["recordings"]
    assert found["facts"]["sampling_rate"] == 500.0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (zip_file({"../x.csv": b"1"}), "leaves its folder"),
        (zip_file({"/etc/x.csv": b"1"}), "leaves its folder"),
        (zip_file({"..\\x.csv": b"1"}), "leaves its folder"),
        (zip_file({"C:/x.csv": b"1"}), "leaves its folder"),
        (zip_file({"x.csv": b"/etc/passwd"}, **LINK), "holds a link"),
        (zip_file({"x.csv": bytes(2 * MOST)}), "more than the server unpacks"),
        (zip_file({f"{number}.csv": bytes(MOST // 3) for number in range(4)}), "more than the server unpacks"),
        (zip_file({f"{number}.csv": b"" for number in range(300)}), "holds 300 files"),
        (zip_file({"x.csv": b"1" * 5000})[:60], "damaged zip"),
        (b"PK\x03\x04" + bytes(100), "damaged zip"),
    ],
    ids=["parent", "absolute", "backslash", "drive", "link", "bomb", "bombs", "many", "cut", "no-zip"],
)
def test_hostile_zips_are_refused(tmp_path, content, reason):
    with pytest.raises(ValueError, match=reason):
        read(tmp_path / "in", {"x.zip": content})
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_zip_that_states_too_little_is_stopped(tmp_path):
    content = bytearray(zip_file({"x.csv": bytes(2 * MOST)}))
    for place in (22, content.index(b"PK\x01\x02") + 24):  # the stated size, in both headers
        content[place : place + 4] = (100).to_bytes(4, "little")
    with pytest.raises(ValueError, match="damaged zip|more than"):
        read(tmp_path, {"x.zip": bytes(content)})
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < MOST


def test_encrypted_zips_are_refused(tmp_path):
    content = bytearray(zip_file({"x.csv": b"1"}))
    for place in (6, content.index(b"PK\x01\x02") + 8):
        content[place] |= 1
    with pytest.raises(ValueError, match="encrypted"):
        read(tmp_path, {"x.zip": bytes(content)})


def test_a_recording_that_is_too_large_decoded_is_refused(tmp_path):
    (problem,) = read(tmp_path, {"x.npz": npz_file(np.tile(ecg(), 100))})["problems"]
    assert "once it is decoded" in problem["message"]


def test_too_many_recordings_at_a_time_are_refused(tmp_path):
    uploads = [Upload(f"{number}.csv", tmp_path / f"{number}") for number in range(21)]
    with pytest.raises(ValueError, match="21 recordings"):
        sort_out(uploads)


def test_names_are_shown_without_folders_and_signs_that_do_not_print():
    assert shown_name("C:\\a\\b/../rec\x00ord\u202e.dcm") == "record.dcm"
    assert len(shown_name("x" * 500)) == 100
    assert shown_name("/") == "file"
    assert stored_suffix("a.../../etc") == "" and stored_suffix("a.DCM") == ".dcm" and stored_suffix("a.b c") == ""


def test_zips_of_arrays_are_recordings(tmp_path):
    (name, path), *_ = stored(tmp_path, {"a.npz": npz_file(ecg())})
    upload = Upload(name, tmp_path / path)
    assert unpack([upload], tmp_path, MOST) == [upload]
