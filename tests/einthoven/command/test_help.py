"""Help is made from the comments of the YAML files."""

import shlex

import hydra
import pytest

from einthoven.cli import CONFIGS, find_commands
from einthoven.command.command_line import spell_out
from einthoven.command.help import WIDTH, describe, find_block, find_options, read_page, sections, write_help

WORDS = {
    "benchmark": "benchmark.parts",
    **dict.fromkeys(("check_electrodes", "measure", "name_lead", "repair"), "recordings"),
}
"""Keys that bare words stand for."""
ROOT_FILE = """\
# Does it: python -m package.do it=1
#
# Beside it:
#   a  the first
defaults:
  - settings: default
  - algo: fast # or slow
  - _self_
  - optional experiment: null

# where from
data: "a # b" # with a quote
part:
  n: 3 # samples
  items:
    - x
  bare: null
  many: # all of them
    first: 1
    second: 2 # but this one
    third: {fourth: 4}
"""


@pytest.fixture
def configs(tmp_path):
    files = {
        "do.yaml": ROOT_FILE,
        "algo/fast.yaml": "# Quick.\nname: fast\nsteps: 4 # network calls\n",
        "algo/slow.yaml": "name: slow\n",
        "settings/default.yaml": "# @package _global_\nseed: 0 # random\n",
        "experiment/do_first.yaml": "# @package _global_\n",
        "experiment/undo_first.yaml": "# @package _global_\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_page_holds_keys_with_values_and_comments(configs):
    page = read_page(configs / "do.yaml")
    assert page.summary == "Does it: python -m package.do it=1"
    assert page.notes == ["", "Beside it:", "  a  the first"]
    assert page.defaults == {"settings": "default", "algo": "fast", "experiment": "null"}
    assert [(key.path, key.default, key.comment) for key in page.keys] == [
        ("data", '"a # b"', "with a quote"),
        ("part.n", "3", "samples"),
        ("part.bare", "null", ""),
        ("part.many.first", "1", ""),
        ("part.many.second", "2", "but this one"),
        ("part.many.third", "{fourth: 4}", ""),
    ]
    assert page.blocks == {"part.many": "all of them"}


def test_help_shows_own_groups_experiments_and_keys(configs):
    text = write_help(configs, "do", "einthoven do", {"algo": ["added"]})
    assert text.startswith("Does it.\n\n  einthoven do it=1\n")
    assert "added, fast (default), slow" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "part.many.* all of them [first: 1, third: {fourth: 4}]" in lines
    assert "part.many.second but this one [2]" in lines
    assert "  seed  random [0]" in text and "algo.name" not in text
    assert "do_first" in text
    assert "undo_first" not in text
    assert "part.n" in text
    assert "samples [3]" in text
    assert "algo.steps" in text
    assert "network calls [4]" in text


@pytest.mark.parametrize("name", sorted(find_commands()))
def test_help_of_every_script_fits_a_terminal(name):
    lines = write_help(CONFIGS, name, f"einthoven {name}").splitlines()
    notes = read_page(CONFIGS / f"{name}.yaml").notes
    assert [line for line in lines if len(line) > WIDTH and line not in notes and "einthoven" not in line] == []


@pytest.mark.parametrize("name", sorted(find_commands()))
def test_every_key_has_a_comment(name):
    page = read_page(CONFIGS / f"{name}.yaml")
    for group, chosen in list(page.defaults.items()):
        for option in find_options(CONFIGS, name, group) if group != "experiment" else [chosen]:
            page = read_page(CONFIGS / f"{name}.yaml")
            page.defaults = {group: option}
            keys = [key for _, part in sections(CONFIGS, page) for key in part]
            assert [key.path for key in keys if not key.comment and not find_block(key.path, page.blocks)] == []


@pytest.mark.parametrize("name", sorted(find_commands()))
def test_examples_fit_their_config(name):
    _, examples, _ = describe(read_page(CONFIGS / f"{name}.yaml"), "einthoven")
    assert len(examples) >= 2
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        for example in examples:
            hydra.compose(name, spell_out(shlex.split(example)[1:], WORDS.get(name)))
