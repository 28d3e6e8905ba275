"""Recordings are kept for a while, and nothing of them is left afterwards."""

import os
import time

import pytest
from filelock import FileLock

from einthoven.web.lanes import Job
from einthoven.web.shelf import PREFIX, Shelf, sweep


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def held(shelf, age=0.0, size=0):
    each = shelf.add(shelf.new_folder(), {})
    (each.folder / "before.npy").write_bytes(bytes(size))
    each.used = time.monotonic() - age
    return each


def test_what_nobody_has_used_for_an_hour_goes():
    shelf = Shelf(3600.0)
    old, new = held(shelf, 3601), held(shelf, 3599)
    assert shelf.outdated() == [old]
    shelf.remove(old)
    assert shelf.get(old.id) is None and not old.folder.exists()
    assert shelf.get(new.id) is new and time.monotonic() - new.used < 60
    shelf.close()


def test_the_oldest_go_where_there_are_too_many_or_they_are_too_large():
    shelf = Shelf(most=3, most_bytes=1000)
    first, second, third, fourth = (held(shelf, age) for age in (40, 30, 20, 10))
    assert shelf.outdated() == [first]
    first.jobs["x"] = Job("repair", "", {})
    assert shelf.outdated() == [second]
    (third.folder / "large").write_bytes(bytes(1500))
    assert shelf.outdated() == [second, third]
    shelf.close()
    assert fourth.folder.parent == shelf.folder and not shelf.folder.exists()


def test_a_job_is_found_and_keeps_its_recording():
    shelf = Shelf()
    each, job = held(shelf, 3000), Job("repair", "", {})
    each.jobs[job.id] = job
    assert shelf.find_job(job.id) == (each, job) and shelf.find_job("x") is None
    assert time.monotonic() - each.used < 60
    shelf.close()


def test_what_killed_servers_have_left_is_swept(temporary):
    dead, alive, fresh, other, target = (
        temporary / name for name in (f"{PREFIX}a", f"{PREFIX}b", f"{PREFIX}c", "d", "e")
    )
    for folder in (dead, alive, fresh, other, target):
        folder.mkdir()
        (folder / "before.npy").write_bytes(b"x")
    (dead / ".lock").touch()
    os.symlink(target, temporary / f"{PREFIX}link")
    with FileLock(alive / ".lock"):
        sweep()
    assert not dead.exists()
    assert all((folder / "before.npy").exists() for folder in (alive, fresh, other, target))


def test_folders_are_for_their_owner_alone():
    shelf = Shelf()
    assert shelf.folder.stat().st_mode & 0o077 == 0
    shelf.close()
