"""Help is made from the comments of the YAML files."""

import pytest

from einthoven.cli import CONFIGS, find_commands
from einthoven.command.help import WIDTH, read_page, write_help

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
"""


@pytest.fixture
def configs(tmp_path):
    files = {
        "do.yaml": ROOT_FILE,
        "algo/fast.yaml": "# Quick.\nname: fast\nsteps: 4 # network calls\n",
        "algo/slow.yaml": "name: slow\n",
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
    ]


def test_help_shows_own_groups_experiments_and_keys(configs):
    text = write_help(configs, "do", "einthoven do")
    assert text.startswith("Does it.\n\n  einthoven do it=1\n")
    assert "fast (default), slow" in text
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
