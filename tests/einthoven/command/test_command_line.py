"""The command line: signals end a script as a shell expects it."""

import os
import signal
import time

import pytest

from einthoven.command.command_line import Stopped, stoppable


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_with_its_status(number, status):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stop, stoppable():
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert stop.value.status == status
    assert signal.getsignal(number) == before
