"""The command line: signals end a script as a shell expects it."""

import os
import signal
import sys
import time

import pytest

from einthoven.command.command_line import Stopped, report_mistake, stoppable


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_with_its_status(number, status):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stop, stoppable():
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert stop.value.status == status
    assert signal.getsignal(number) == before


def test_an_error_is_one_line_and_shows_no_more_than_the_ends_of_what_is_long(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["inpaint.py"])
    assert report_mistake(f"cannot read 'seed={'[' * 5000}': write\nkey=value") == 2
    line = capsys.readouterr().err
    assert line == f"inpaint: error: cannot read 'seed={'[' * 54}...{'[' * 58}': write key=value\n"
