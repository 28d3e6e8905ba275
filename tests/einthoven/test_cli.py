"""The command `einthoven`: it lists, helps, runs and says what is wrong."""

import importlib.util
import subprocess
import sys

import pytest

import einthoven
from einthoven.cli import CONFIGS, find_commands, list_commands, main


def test_every_root_config_is_a_command():
    commands = find_commands()
    assert set(commands) == {path.stem for path in CONFIGS.glob("*.yaml")}
    for command in commands.values():
        assert importlib.util.find_spec(command.module) is not None
        assert command.module.rpartition(".")[2] == command.name
        assert command.about


def test_list_names_each_command_once():
    lines = list_commands(find_commands()).splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(listed) == sorted([*find_commands(), "statements", "--version", "--completion"])
    assert max(map(len, lines)) <= 100


def test_version(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"einthoven {einthoven.__version__}\n"


def test_statements_are_listed(capsys):
    main(["statements"])
    assert "  AFIB     atrial fibrillation" in capsys.readouterr().out.splitlines()


def test_completion_scripts(capsys):
    main(["--completion", "zsh"])
    assert "compdef _einthoven einthoven" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--completion", "csh"])
    assert "choose one of bash, zsh, fish" in capsys.readouterr().err


def test_unknown_command_names_the_nearest(capsys):
    with pytest.raises(SystemExit) as error:
        main(["inpiant"])
    assert error.value.code == 2
    assert "did you mean 'inpaint'" in capsys.readouterr().err


def test_help_list_and_mistakes_load_nothing_heavy():
    code = (
        "import sys; from einthoven.cli import main; main([]); main(['inpaint', '--help'])\n"
        "try: main(['inpaint', 'algo.n_sampels=3'])\n"
        "except SystemExit as end: assert end.code == 2\n"
        "assert not {'torch', 'numpy', 'pandas', 'matplotlib', 'tqdm', 'wfdb'} & set(sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def test_package_says_what_it_has_not():
    assert "reconstruct" in dir(einthoven)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = einthoven.nothing
