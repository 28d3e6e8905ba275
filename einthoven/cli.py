"""The command `einthoven`: every script by its name, their list, and their help.

A script is listed when a root file of `configs/` says on its first line what it does and how it is called,
`# What it does: python -m package.script example=1`. There is no other table.
"""

import os
import re
import runpy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from einthoven import __version__
from einthoven.command.command_line import report_mistake
from einthoven.command.completion import SCRIPTS, complete
from einthoven.command.help import CONFIGS
from einthoven.run.registry import check_choice

PACKAGES: Mapping[str, str] = {
    "einthoven": "See",
    "reconstruction": "Rebuild, clean and measure",
    "noise_quant": "Score noise",
    "diffusion_prior": "Generate, and train the prior",
    "preprocessing": "Prepare data sets",
    "evaluation": "Evaluate and reproduce",
}
"""Headings of the list, by the package that a script lies in."""
STATEMENTS = "statements"
"""The command that is no script."""
_HEAD = re.compile(r"# (?P<about>.+?):? python -m (?P<module>[\w.]+)")


@dataclass(frozen=True)
class Command:
    """A script that can be called by name.

    Attributes:
        name: Its name, which is that of its root file.
        module: The module that it is.
        about: What it does.
    """

    name: str
    module: str
    about: str


def find_commands(configs: Path = CONFIGS) -> dict[str, Command]:
    """Finds the scripts, by name, from the first lines of the root files.

    Args:
        configs: Folder of the root files.
    """
    commands = {}
    for file in sorted(configs.glob("*.yaml")):
        with open(file, encoding="utf-8") as lines:
            found = _HEAD.match(lines.readline())
        if found:
            commands[file.stem] = Command(file.stem, found["module"], found["about"].rstrip(": ."))
    return commands


def list_commands(commands: Mapping[str, Command]) -> str:
    """Lists the scripts in groups, a line each."""
    width = max(map(len, commands))
    lines = ["einthoven COMMAND [KEY=VALUE ...]; einthoven COMMAND --help lists the keys"]
    for package, heading in PACKAGES.items():
        own = [command for command in commands.values() if command.module.startswith(f"{package}.")]
        lines += ["", heading, *(f"  {command.name:<{width}}  {command.about}" for command in own)]
    lines += ["", "Look up", f"  {STATEMENTS:<{width}}  The 71 statements that ECGs can have, with their meaning"]
    lines += [
        f"  {'--version':<{width}}  The version",
        f"  {'--completion':<{width}}  bash, zsh or fish: completion of all this",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the script that the first word names, with the other words as its overrides.

    Args:
        arguments: Words of the command line; None: those of this process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = find_commands()
    name, *rest = words or ["--help"]
    try:
        told = _tell(name, rest, commands)
        if told is not None:
            print(told)  # noqa: T201 (it is what was asked for)
            return
        check_choice("command", name, [*commands, STATEMENTS])
    except ValueError as error:
        raise SystemExit(report_mistake(str(error))) from error
    except BrokenPipeError:  # of `| head`; Python's own last flush would fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    sys.argv = [f"einthoven {name}", *rest]
    runpy.run_module(commands[name].module, run_name="__main__", alter_sys=False)


def _tell(name: str, rest: Sequence[str], commands: Mapping[str, Command]) -> str | None:
    """Returns what a first word that is no script asks for; None for all others."""
    if name in ("--help", "-h", "help"):
        return list_commands(commands)
    if name == "--version":
        return f"einthoven {__version__}"
    if name == "--completion":
        shell = rest[0] if rest else ""
        check_choice("shell", shell, list(SCRIPTS))
        return SCRIPTS[shell].rstrip()
    if name == "--complete":
        return "\n".join(complete(CONFIGS, [*commands, STATEMENTS], rest))
    if name == STATEMENTS:
        from einthoven.ecg.statements import list_statements

        return list_statements()
    return None
