"""Cases are measured alone, in a process of their own."""

import os
import subprocess
import sys
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from einthoven.run.memory import peak_memory_mb
from evaluation.benchmarks import measuring
from evaluation.benchmarks.measuring import Case, list_cases, measure, measure_alone


def fill(megabytes: int):
    return {"fill": lambda: {"total": float(np.ones(megabytes * 125_000).sum()), "n_records": 2, "pid": os.getpid()}}


def fill_with_child(megabytes: int):
    command = [sys.executable, "-c", f"x = b'1' * {megabytes * 500_000}; import time; time.sleep(0.3)"]

    def call():
        found = fill(megabytes)["fill"]()
        for _ in range(2):  # one after another
            subprocess.run(command)
        return found | {"own_mb": peak_memory_mb()}

    return {"fill": call}


def sleep(seconds):
    return {str(one): partial(time.sleep, one) for one in seconds}


def refuse():
    raise ValueError("choose better")


def vanish():
    return {"vanish": lambda: os._exit(1)}


FUNCTIONS = {function.__name__: function for function in (fill, sleep, refuse, vanish)}


def test_a_case_has_its_own_process_and_memory():
    (found,) = measure_alone(Case("a", fill_with_child, {"megabytes": 200}))
    assert found["total"] == 200 * 125_000 and os.getpid() != found["pid"]
    assert found["working_memory_mb"] == pytest.approx(200, abs=40)
    if os.path.isdir("/proc/self"):
        assert 100 < found["peak_memory_mb"] - found["own_mb"] < 180  # one child's too


def test_a_process_that_dies_has_a_note():
    (found,) = measure_alone(Case("b", vanish))
    assert found == {"case": "vanish", "note": "its process died: perhaps memory ran out"}


def test_what_fails_has_a_note():
    sent = []
    measuring.run_case(SimpleNamespace(send=sent.append), Case("a", refuse))
    assert sent == [[{"case": "refuse", "note": "not measured: choose better"}]]


def test_calls_take_turns_and_are_compared_with_the_last():
    slow, quick = measuring.rows_of(Case("a", sleep, {"seconds": [0.1, 0.02]}, n_repeats=3))
    assert slow["seconds"] >= 0.1 and quick["seconds"] >= 0.02
    assert quick["times_as_fast"] == 1.0


def test_one_row_holds_time_and_memory(monkeypatch):
    monkeypatch.setattr(measuring, "measure_alone", measuring.rows_of)
    size = {"arguments": {"megabytes": 1}, "axis": "megabytes", "size": 1.0}
    table = measure([Case("a", fill, n_repeats=2, **size), Case("a", fill, n_repeats=0, **size)])
    (row,) = table.to_dict("records")
    assert row["records_per_minute"] == pytest.approx(120 / row["seconds"]) and row["peak_memory_mb"] > 0


def test_where_nothing_could_be_measured_it_says_why(monkeypatch):
    monkeypatch.setattr(measuring, "measure_alone", lambda case: [{"case": "a", "note": "not measured: no"}])
    with pytest.raises(ValueError, match="nothing could be measured: not measured: no"):
        measure([Case("a", refuse)])


def test_cases_are_listed_from_the_config():
    config = {
        "one": {"measure": "sleep", "each": {"seconds": [[1], [2]]}, "n_repeats": 3},
        "two": {"x": {"measure": "fill", "grow": {"megabytes": [1, 2, 4]}}, "y": {"measure": "refuse"}},
    }
    assert [case.arguments for case in list_cases(config, ["one"], FUNCTIONS)] == [{"seconds": [1]}, {"seconds": [2]}]
    grown = list_cases(config, ["two.x"], FUNCTIONS)
    assert [(case.part, case.axis, case.size, case.arguments) for case in grown] == [
        ("two", "megabytes", size, {"megabytes": size}) for size in (1, 2, 4)
    ]
    assert len(list_cases(config, ["one", "two"], FUNCTIONS)) == 6
    with pytest.raises(ValueError, match=r"unknown benchmark.parts ones: choose from one, two"):
        list_cases(config, ["ones"], FUNCTIONS)
