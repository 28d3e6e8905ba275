import os
from pathlib import Path

import pytest

from einthoven.run.run_folder import RunFolder
from evaluation.reproduction.plan import chosen_tables
from evaluation.reproduction.stages import Stage, clear, is_finished, note, with_needed


def stage(root: Path, name: str = "a", overrides=("n=1",), reads=(), is_derived=False) -> Stage:
    folder = root / name
    return Stage(name, "package.script", tuple(overrides), folder, "results_path", reads, (folder / "out",), is_derived)


def finish(one: Stage, at: float | None = None, exit_status: int = 0) -> None:
    one.folder.mkdir(parents=True, exist_ok=True)
    one.done[0].write_text("")
    if at is not None:
        os.utime(one.done[0], (at, at))
    note(one, exit_status, 1.5, "a machine")


def test_command_is_one_that_may_be_typed(tmp_path):
    one = stage(tmp_path, overrides=["leads=[I, II]"])
    assert one.command == f"python -m package.script 'leads=[I, II]' results_path={tmp_path / 'a'}"


def test_stage_is_finished_with_its_files_and_the_same_command(tmp_path):
    one = stage(tmp_path)
    assert not is_finished(one, {})
    finish(one)
    assert is_finished(one, {})
    assert not is_finished(stage(tmp_path, overrides=["n=2"]), {})
    one.done[0].unlink()
    assert not is_finished(one, {})


def test_stage_that_failed_is_not_finished(tmp_path):
    one = stage(tmp_path)
    finish(one, exit_status=2)
    assert not is_finished(one, {})


def test_run_folder_from_elsewhere_is_taken_unless_it_is_derived(tmp_path):
    for is_derived in (False, True):
        one = stage(tmp_path, is_derived=is_derived)
        one.folder.mkdir(exist_ok=True)
        one.done[0].write_text("")
        assert is_finished(one, {}) is not is_derived


def test_derived_stage_is_done_anew_when_what_it_reads_is_newer(tmp_path):
    source, derived = stage(tmp_path, "source"), stage(tmp_path, "derived", reads=("source",), is_derived=True)
    stages = {one.name: one for one in (source, derived)}
    finish(source, at=1000.0)
    finish(derived, at=2000.0)
    assert is_finished(derived, stages)
    finish(source, at=3000.0)
    assert not is_finished(derived, stages)
    assert is_finished(source, stages)


def test_only_derived_run_folders_are_emptied(tmp_path):
    for is_derived in (False, True):
        one = stage(tmp_path, is_derived=is_derived)
        RunFolder.create(one.folder, {}, seed=0, device="cpu")
        clear(one)
        assert one.folder.exists() is not is_derived
    other = stage(tmp_path, "no_run_folder", is_derived=True)
    other.folder.mkdir()
    clear(other)
    assert other.folder.exists()


def test_seconds_of_calls_that_went_on_are_added(tmp_path):
    one = stage(tmp_path)
    finish(one, exit_status=1)
    finish(one)
    record = one.record()
    assert record is not None and record["seconds"] == 3.0 and record["exit_status"] == 0


def test_stages_come_after_what_they_read(tmp_path):
    a, b, c = (stage(tmp_path, name, reads=reads) for name, reads in (("a", ()), ("b", ("a",)), ("c", ("a", "b"))))
    everything = {one.name: one for one in (c, b, a)}
    assert with_needed([c], everything) == [a, b, c]
    with pytest.raises(ValueError, match="no stage makes"):
        with_needed([c], {"c": c})
    with pytest.raises(ValueError, match="read each other"):
        with_needed([b], {"a": stage(tmp_path, "a", reads=("b",)), "b": b})


def test_tables_are_chosen_by_name():
    assert chosen_tables("noise") == ["noise"]
    assert chosen_tables(["noise", "lead_i"]) == ["lead_i", "noise"]
    assert len(chosen_tables("all")) == 5
    with pytest.raises(ValueError, match="no table lead_1.*lead_i"):
        chosen_tables("lead_1")
