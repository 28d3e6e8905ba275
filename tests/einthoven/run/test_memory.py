import subprocess

import pytest

from einthoven.run.memory import peak_memory_mb, resident_memory_mb


def test_memory_of_this_process_and_of_others():
    assert peak_memory_mb() >= resident_memory_mb() - 1
    done = subprocess.Popen(["true"])
    done.wait()
    assert peak_memory_mb(done.pid) == pytest.approx(0.0)
