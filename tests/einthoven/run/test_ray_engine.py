"""Chunks on a small cluster: workers that die, chunks that kill them, work that fails."""

import signal
from types import SimpleNamespace

import pytest

from einthoven.run.chunks import Chunk, work_on_chunks
from einthoven.run.ray_engine import RayEngine
from tests.scripts import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")]
ENGINE = RayEngine(n_workers=2)


def make_chunks(folder, contents):
    return [Chunk(folder / f"{place}.txt", (str(place),), 1, content) for place, content in enumerate(contents)]


def test_workers_that_die_are_replaced_and_what_kills_them_is_given_up(ray_cluster, tmp_path):
    class Dying:  # local classes travel to the workers by value
        def __call__(self, chunk):
            import os
            import signal

            once = chunk.part.with_suffix(".once")
            if chunk.content == "always" or (chunk.content == "once" and not once.is_file()):
                once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            with open(chunk.part, "a") as file:
                file.write(f"{chunk.content}\n")
            return {}

    contents = ["fine", "once", "fine", "always", *["fine"] * 6]
    given_up, told = [], []
    chunks = make_chunks(tmp_path, contents)
    n_new = work_on_chunks(
        ENGINE, Dying, chunks, lambda chunk, reason: given_up.append((chunk.content, reason)), told.append
    )
    assert n_new == sum(told) == 10
    [(content, reason)] = given_up
    assert content == "always"
    assert "worker process died" in reason
    texts = [chunk.part.read_text() for chunk in chunks if chunk.content != "always"]
    assert texts == [f"{content}\n" for content in contents if content != "always"]  # each once
    assert not list(tmp_path.glob("*.tries"))


def test_work_that_fails_ends_the_run_and_leaves_no_worker(ray_cluster, tmp_path):
    class Failing:
        def __call__(self, chunk):
            raise OSError("no space left on device")

    with pytest.raises(RuntimeError, match="no space left on device"):
        work_on_chunks(ENGINE, Failing, make_chunks(tmp_path, range(4)), print)
    assert ray_cluster.is_initialized()  # this process's own cluster stays
    wait_for(lambda: ray_cluster.available_resources().get("CPU") == 2.0)
    with pytest.raises(ValueError, match="must stay free"):
        work_on_chunks(RayEngine(n_workers=2, cpus_per_worker=1), Failing, make_chunks(tmp_path, range(4)), print)


def test_the_handler_of_sigterm_stays():
    """Ray puts its own there, after which a script that is stopped would not say how to go on."""

    def ours(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, ours)
    try:
        fake = SimpleNamespace(is_initialized=lambda: False, shutdown=lambda: None)
        fake.init = lambda **settings: signal.signal(signal.SIGTERM, lambda number, frame: None)
        with ENGINE._cluster(fake):
            assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)
