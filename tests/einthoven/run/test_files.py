"""Atomic files: the old content or the new one, and nothing left behind."""

import errno
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from einthoven.run.array_files import create_array, save_array
from einthoven.run.files import atomic_write, write_json, write_text
from tests.paths import ROOT


def test_file_appears_only_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "table.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_error_keeps_the_old_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="in the middle"), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("in the middle")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_file_keeps_the_suffix(tmp_path):
    """Writers such as numpy.save add a suffix of their own to a name without it."""
    path = tmp_path / "signals.npy"
    with atomic_write(path) as temporary:
        np.save(temporary, np.arange(3))
    assert np.load(path).tolist() == [0, 1, 2]


def test_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "table.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_permissions_are_those_of_a_plain_file(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "atomic", "")
    assert (tmp_path / "plain").stat().st_mode == (tmp_path / "atomic").stat().st_mode


def test_json_round_trip_keeps_order_and_letters(tmp_path):
    content = {"z": [1, 2.5, None], "a": {"größe": True}}
    write_json(tmp_path / "manifest.json", content)
    text = (tmp_path / "manifest.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == ["z", "a"]
    assert json.loads(text) == content
    assert "größe" in text
    assert text.endswith("}\n")


def test_json_of_something_else_keeps_the_old_file(tmp_path):
    write_json(tmp_path / "manifest.json", {"n": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "manifest.json", {"n": object()})
    assert json.loads((tmp_path / "manifest.json").read_text()) == {"n": 1}


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598"),
        OSError("200000 requested and 38384 written"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_a_full_disk_is_told_as_such(tmp_path, monkeypatch, error):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(OSError, match="No space left") as raised, atomic_write(tmp_path / "state.pt"):
        raise error
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(tmp_path / "state.pt")


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="unexpected pos"), atomic_write(tmp_path / "state.pt"):
        raise RuntimeError("inline_container: unexpected pos")
    with pytest.raises(PermissionError), atomic_write(tmp_path / "state.pt"):
        raise PermissionError(errno.EACCES, "no")


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit of a file's size")
def test_an_array_that_finds_no_room_is_an_error(tmp_path):
    code = """
import errno, resource, sys
from pathlib import Path
import numpy as np
from einthoven.run.array_files import create_array, save_array
from einthoven.run.files import atomic_write

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
writers = (save_array, lambda path, array: create_array(path, array.shape, array.dtype))
for n, write in [(n, write) for n in (200, 100_000) for write in writers]:
    try:
        with atomic_write(Path("array.npy")) as temporary:
            write(temporary, np.arange(n))
    except OSError as error:
        assert (error.errno, error.filename) == (errno.EFBIG, "array.npy"), error
    else:
        sys.exit("not noticed")
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_those_of_numpy(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    save_array(tmp_path / "saved", array)
    np.save(tmp_path / "array.npy", array)
    assert (tmp_path / "saved").read_bytes() == (tmp_path / "array.npy").read_bytes()
    create_array(tmp_path / "made.npy", array.shape, np.float32)[:] = array
    assert (tmp_path / "made.npy").read_bytes() == (tmp_path / "array.npy").read_bytes()
