"""The command `einthoven`: every script by its name, their list, and their help.

A script is listed when a root file of `configs/` says on its first line what it does and how it is called,
`# What it does: python -m package.script example=1`. There is no other table.
"""

import re
import runpy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from einthoven import __version__
from einthoven.command.command_line import report_mistake
from einthoven.command.help import CONFIGS
from einthoven.run.registry import check_choice

PACKAGES: Mapping[str, str] = {
    "reconstruction": "Rebuild and clean",
    "noise_quant": "Score noise",
    "diffusion_prior": "Generate, and train the prior",
    "preprocessing": "Prepare data sets",
    "evaluation": "Evaluate and reproduce",
}
"""Headings of the list, by the package that a script lies in."""
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
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the script that the first word names, with the other words as its overrides.

    Args:
        arguments: Words of the command line; None: those of this process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = find_commands()
    if not words or words[0] in ("--help", "-h", "help"):
        print(list_commands(commands))  # noqa: T201 (it is what was asked for)
        return
    name, *rest = words
    if name == "--version":
        print(f"einthoven {__version__}")  # noqa: T201
        return
    try:
        check_choice("command", name, list(commands))
    except ValueError as error:
        raise SystemExit(report_mistake(str(error))) from error
    sys.argv = [f"einthoven {name}", *rest]
    runpy.run_module(commands[name].module, run_name="__main__", alter_sys=False)
