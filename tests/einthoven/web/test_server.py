"""The server as a process: where it listens, and that nothing of it is left, however it ends."""

import multiprocessing
import os
import signal
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from einthoven.command.command_line import Stopped, stoppable
from einthoven.web import app, server
from einthoven.web.app import Limits
from einthoven.web.lanes import Lane
from einthoven.web.server import Listening
from einthoven.web.shelf import PREFIX, sweep


def lazy(name, settings, *, early=False):
    """A lane whose process, with its networks, starts with its first job, of which there is none."""
    return Lane(name, settings, early=False)


def serve(folder, listening):
    tempfile.tempdir = str(folder)
    app.Lane = lazy
    with open(folder / "said", "w", encoding="utf-8") as said, stoppable(), suppress(Stopped):  # as a script does
        server.sys.stdout = said
        server.run_server(listening, Limits())


@pytest.fixture
def start(tmp_path):
    """Starts a server and returns its process, the line that it printed, and its folder."""
    processes = []

    def begin(**listening):
        process = multiprocessing.get_context("forkserver").Process(
            target=serve, args=(tmp_path, Listening(port=0, **listening))
        )
        process.start()
        processes.append(process)
        said, end = tmp_path / "said", time.monotonic() + 60
        while not (said.is_file() and said.read_text(encoding="utf-8").count("\n") == 2):
            assert process.is_alive() and time.monotonic() < end
            time.sleep(0.05)
        line = said.read_text(encoding="utf-8").splitlines()[0]
        said.unlink()
        (folder,) = tmp_path.glob(f"{PREFIX}*")
        return process, line, folder

    yield begin
    for process in processes:
        process.kill()
        process.join()


def test_a_server_that_is_asked_to_end_leaves_nothing(start):
    process, line, folder = start()
    assert line.startswith("Einthoven is at http://127.0.0.1:")
    (folder / "000001").mkdir()
    os.kill(process.pid, signal.SIGTERM)
    process.join(30)
    assert not folder.exists()


def test_what_a_killed_server_leaves_the_next_one_sweeps(start, monkeypatch):
    process, line, folder = start(host="0.0.0.0")
    assert "?token=" in line and len(line.partition("?token=")[2]) >= 32
    monkeypatch.setattr("tempfile.tempdir", str(folder.parent))
    sweep()
    assert folder.exists()  # it is alive
    process.kill()
    process.join(30)
    assert folder.exists()
    sweep()
    assert not folder.exists()


def test_an_address_that_is_taken_is_told_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port={port}: cannot listen there"):
            server.run_server(Listening(port=port), Limits())
    with pytest.raises(ValueError, match="port=99999"):
        server.run_server(Listening(port=99999), Limits())
    with pytest.raises(ValueError, match="token"):
        server.run_server(Listening(token="1234"), Limits())


def test_the_address_names_what_can_be_called():
    assert server._address("::1", 80, None) == "http://[::1]:80/"
    assert server._address("0.0.0.0", 80, "t") == f"http://{socket.gethostname()}:80/?token=t"
    assert "*" in server._names(Listening(host="::")) and "*" not in server._names(Listening())


def test_the_package_has_its_files():
    assert (Path(server.__file__).parent / "templates" / "index.html").is_file()
