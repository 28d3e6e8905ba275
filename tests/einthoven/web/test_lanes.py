"""Jobs in a process that can crash, hang or be killed, and costs no other job."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from einthoven.web.child import ChildSettings
from einthoven.web.lanes import LONGEST_QUEUE, Busy, Job, Lane

PLACE = "tests.einthoven.web.test_lanes"


def double(report, number):
    report(1, 2, "half")
    return 2 * number


def refuse(report):
    raise ValueError("not\nlike this")


def fail(report):
    raise RuntimeError("Smith, John")


def crash(report):
    os._exit(9)


def swallow(report):
    return len(bytes(1 << 30))


def hang(report):
    (Path(tempfile.mkdtemp()) / "left").write_text("x")
    report(1, 100, "hanging")
    time.sleep(60)


def job(task, **options):
    arguments = options.pop("arguments", {})
    return Job(task, f"{PLACE}.{task}", arguments, **options)


@pytest.fixture(scope="module")
def lane(tmp_path_factory):
    lane = Lane("test", ChildSettings(tmp_path_factory.mktemp("lane") / "child"), early=False)
    yield lane
    lane.close()
    assert not lane.settings.folder.exists()


def do(lane, *jobs):
    for each in jobs:
        lane.submit(each)
    return [each.ended.result(60) for each in jobs]


def test_jobs_end_each_in_their_own_way(lane):
    kept = []
    jobs = [
        job("double", arguments={"number": 2}, then=kept.append),
        job("refuse"),
        job("fail"),
        job("crash"),
        job("hang", limit_s=0.2),
        job("double", arguments={"number": 4}, then=kept.append),
        job("double", arguments={"number": 4}, then=lambda told: 1 / 0),
    ]
    assert do(lane, *jobs) == ["done", "failed", "failed", "failed", "failed", "done", "failed"]
    assert kept == [4, 8]
    assert [jobs[0].done, jobs[0].total] == [2, 2]
    messages = [each.message for each in jobs]
    assert messages[1] == "not like this"
    assert "RuntimeError" in messages[2] and "Smith" not in messages[2]
    assert "has ended" in messages[3] and "more than 0.2 s" in messages[4]
    assert jobs[0].seconds > 0 and jobs[0].seconds_left is None


def test_a_cancelled_job_frees_the_lane_at_once(lane):
    running, waiting = job("hang"), job("hang", urgent=False)
    last = job("double", arguments={"number": 1}, urgent=False)
    for each in (running, waiting, last):
        lane.submit(each)
    while running.message != "hanging":
        time.sleep(0.01)
    urgent = job("double", arguments={"number": 1})
    lane.submit(urgent)
    assert lane.position(urgent) == 1
    lane.cancel(urgent)
    assert [lane.position(each) for each in (running, waiting, last)] == [0, 1, 2]
    assert running.seconds_left > 0
    lane.cancel(waiting)
    begin = time.monotonic()
    lane.cancel(running)
    assert time.monotonic() - begin < 1
    assert [running.state, waiting.state, last.ended.result(60)] == ["cancelled", "cancelled", "done"]
    assert not list(lane.settings.folder.rglob("left"))


def test_a_task_that_takes_too_much_memory_is_refused(tmp_path):
    lane = Lane("small", ChildSettings(tmp_path / "child", extra_memory=200 << 20), early=False)
    swallowing, after = job("swallow"), job("double", arguments={"number": 1})
    assert do(lane, swallowing, after) == ["failed", "done"]
    assert "more memory than the server allows" in swallowing.message
    lane.close()


def test_a_queue_has_an_end(tmp_path):
    lane = Lane("full", ChildSettings(tmp_path / "child"), early=False)
    jobs = []
    try:
        with pytest.raises(Busy):
            for _ in range(LONGEST_QUEUE + 2):
                jobs.append(job("hang"))
                lane.submit(jobs[-1])
    finally:
        lane.close()
    assert all(each.ended.result(10) != "done" for each in jobs[:-1])
    with pytest.raises(Busy):
        lane.submit(job("double"))
