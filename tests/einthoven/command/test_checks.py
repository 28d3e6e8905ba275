"""What is checked before a script starts."""

import math

import pytest

from einthoven.command.checks import check_device, check_folder, check_type, needing_keys


@pytest.mark.parametrize(
    ("key", "value", "default"),
    [
        ("algo.n_samples", 3, 10),
        ("algo.n_samples", None, 10),
        ("dataset.n_records", 3, None),
        ("dataset.n_records", None, None),
        ("algo.missingness", "50%", 1),
        ("algo.missingness", 0.5, 1),
        ("algo.sigma_y", 1, 0.01),
        ("engine.gpus_per_worker", 0.25, 0),
        ("dataset.source_rate", 500, "auto"),
        ("compile", True, False),
        ("objective.patterns", {"lead_i": 1.0}, {"lead_i": 0.7}),
        ("dataset.segment_length", 256, [256, 512]),
        ("record", 100, None),
    ],
)
def test_values_that_a_key_takes(key, value, default):
    check_type(key, value, default)


@pytest.mark.parametrize(
    ("key", "value", "default", "message"),
    [
        ("algo.n_samples", "ten", 10, r"algo.n_samples=ten: give a whole number \(default: 10\)"),
        ("algo.n_samples", 2.5, 10, "whole number"),
        ("n_threads", "x" * 5000, None, "^n_threads=x{60}[.]{3}: give a whole number$"),
        ("algo.n_samples", [1, 2], 10, "whole number"),
        ("dataset.n_records", "many", None, "dataset.n_records=many: give a whole number$"),
        ("seed", True, 0, "whole number"),
        ("algo.sigma_y", "low", 0.01, r"give a number \(default: 0.01\)"),
        ("compile", "maybe", False, r"give true or false \(default: false\)"),
        ("compile", 1, False, "true or false"),
        ("runs", math.inf, [], r"^runs=inf: give a list, runs=\[<one>,<two>\]$"),
        ("runs", "runs/inpaint/a", [], "give a list"),
        ("objective.patterns", 3, {"lead_i": 0.7}, "its keys, objective.patterns.<name>=<value>"),
    ],
)
def test_values_of_another_type_are_refused(key, value, default, message):
    with pytest.raises(ValueError, match=message):
        check_type(key, value, default)


def test_a_missing_device_is_refused():
    check_device({})
    check_device({"device": "cpu"})
    check_device({"device": "cuda:99", "engine": {"name": "ray"}})
    with pytest.raises(ValueError, match="device=cuda:99: torch finds"):
        check_device({"device": "cuda:99"})
    with pytest.raises(ValueError, match="device=cuad: no such device; give cpu, cuda"):
        check_device({"device": "cuad"})


def test_a_folder_is_tried_and_nothing_is_left(tmp_path):
    check_folder(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is a file, not a folder"):
        check_folder(tmp_path / "file" / "run")
    with pytest.raises(ValueError, match="results cannot be written there"):
        check_folder(tmp_path / ("n" * 300))


@pytest.mark.parametrize("word", ["~engine", "~engine=local", "~run/engine", "~run.engine", "~engine@run"])
def test_key_that_the_command_line_takes_away_and_the_script_needs(monkeypatch, word):
    monkeypatch.setattr("sys.argv", ["inpaint", "seed=1", "~other", word])
    with pytest.raises(
        ValueError, match=rf"^{word}: the script needs what this takes away \('engine'\); leave it out$"
    ):
        needing_keys(lambda config: config["engine"])({})
    with pytest.raises(ValueError, match=rf"^~other {word}: the script needs .*'seed'"):
        needing_keys(lambda config: config["seed"])({})
    with pytest.raises(TypeError, match="seed"):
        needing_keys(lambda *, seed: seed)()
    assert needing_keys(lambda config: config["seed"])({"seed": 3}) == 3
    monkeypatch.setattr("sys.argv", ["inpaint", "seed=1"])
    with pytest.raises(KeyError, match="engine"):
        needing_keys(lambda config: config["engine"])({})
