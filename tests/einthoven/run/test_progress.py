"""Progress: a bar in a terminal, lines elsewhere."""

import io
import time

from einthoven.run import progress
from einthoven.run.progress import show_progress, track


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_come_at_intervals_with_a_rate(monkeypatch):
    errors = io.StringIO()
    monkeypatch.setattr("sys.stderr", errors)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.05)
    with show_progress(30, "record", "prepare", done=10) as bar:
        for _ in range(10):
            time.sleep(0.02)
            bar.update(2)
    lines = errors.getvalue().splitlines()
    assert 2 <= len(lines) <= 6
    for line in lines:
        assert line.startswith("prepare: ") and " of 30 records, " in line and " record/s, " in line and " left" in line
    assert lines[-1].startswith("prepare: 30 of 30 records")


def test_short_work_and_other_processes_say_nothing(monkeypatch):
    errors = io.StringIO()
    monkeypatch.setattr("sys.stderr", errors)
    assert list(track([1, 2, 3], "case")) == [1, 2, 3]
    with show_progress(3, "case", shown=False) as bar:
        bar.update()
    assert errors.getvalue() == ""


def test_a_terminal_gets_a_bar(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    assert list(track([1, 2], "case", "benchmark")) == [1, 2]
    assert "\r" in stream.getvalue() and "2/2" in stream.getvalue()
