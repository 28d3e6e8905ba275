"""The command line of a script: its bare words, its process's settings, and what is told on the standard error."""

import argparse
import difflib
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import yaml

_USER_MISTAKE = 2
_WORD = re.compile(r"[^\W\d][\w.-]*")
_OPTIONS_WITH_VALUE = re.compile(r"--(config-(path|name|dir)|cfg|package|info|experimental-rerun)|-(c[pnd]?|p|i)")
"""Options of Hydra after which a bare word is their value."""

_CALLING = {"callbacks", "job_logging", "hydra_logging", "searchpath"}
"""Parts of Hydra's own config that call what they name, or say where other configs are."""
_LOGS = ("default", "disabled", "none", "stdout")
"""Ways to log that Hydra has itself."""
_LONG, _KEPT = re.compile(r"\S{256,}"), 60
"""A word of a message that is longer than the name of a file can be, and how many letters of each end are shown."""


def spell_out(arguments: Sequence[str], key: str | None) -> list[str]:
    """Writes the bare words of a command line as the override that they stand for, which Hydra reads and runs note.

    `["scoring", "seed=1", "superlet"]` with the key `benchmark.parts` is `["benchmark.parts=[scoring,superlet]",
    "seed=1"]`; the names of files that are there are words too. Without a key the arguments, the command line without
    the program, are returned as they are.

    Raises:
        ValueError: If the key has a value of its own beside the words.
    """
    if key is None:
        return list(arguments)
    before = ["", *arguments]
    places = [
        place
        for place, argument in enumerate(arguments)
        if (_WORD.fullmatch(argument) or _is_file(argument)) and not _OPTIONS_WITH_VALUE.fullmatch(before[place])
    ]
    if not places:
        return list(arguments)
    found = [arguments[place] for place in places]
    if any(argument.lstrip("+").partition("=")[0] == key for argument in arguments):
        raise ValueError(f"give {key}=... or the bare words {' '.join(found)}, not both")
    others = [argument for place, argument in enumerate(arguments) if place not in places]
    words = ",".join(word if _WORD.fullmatch(word) else _quoted(word) for word in found)
    return [*others[: places[0]], f"{key}=[{words}]", *others[places[0] :]]


def _is_file(argument: str) -> bool:
    """Tells whether an argument names a file, a folder or a WFDB record that is there."""
    is_other = not argument or argument[0] in "-+~" or "=" in argument
    return not is_other and (Path(argument).exists() or Path(f"{argument}.hea").exists())


def _quoted(word: str) -> str:
    """Writes any text as a value of Hydra's command line."""
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"


def check_config_path(arguments: Sequence[str]) -> None:
    """Refuses a folder of configs, such as someone else's run folder, that sets up Hydra itself.

    What Hydra's own settings name (callbacks, launchers, handlers of its log) is called, whatever it is.

    Raises:
        ValueError: If a config in the folder of `--config-path` or `--config-dir` does so, or cannot be read.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=True)
    parser.add_argument("--config-path", "-cp")
    parser.add_argument("--config-dir", "-cd")
    given = parser.parse_known_args([word for word in arguments if word != "-m"])[0]
    folders = [folder for folder in (given.config_path, given.config_dir) if folder]
    for file, folder in [(file, place) for place in folders for file in sorted(Path(place).rglob("*.y*ml"))]:
        try:
            text = file.read_text(encoding="utf-8")
            content = yaml.safe_load(text)
        except (OSError, UnicodeError, yaml.YAMLError) as error:
            raise ValueError(f"{file} is no config that can be read: {error}") from error
        keys = [*content, content.get("defaults")] if isinstance(content, dict) else []
        if "hydra" in f"{keys} {file.relative_to(folder)}" or re.search("@package.*hydra", text):
            raise ValueError(f"{file} sets up hydra itself, which could run any program: take that out of it first")


def check_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Refuses options that a parser does not know, by a ValueError of one line in the place of its usage."""

    def refuse(message: str) -> NoReturn:
        raise ValueError(f"{message}: write key=value, all options before them; --help lists the keys")

    parser.error = refuse  # type: ignore[method-assign]
    parser.parse_args(list(words))


def check_hydra_words(arguments: Sequence[str]) -> None:
    """Refuses words of a command line that make Hydra call something, by a ValueError.

    A line that someone else has written could run any program so: callbacks, handlers of its log, or `_target_`.
    """
    for word in arguments:
        key, _, value = word.lstrip("+~").partition("=")
        parts = re.split(r"[./]", key.strip("'\" "))
        if parts[0] != "hydra":
            continue
        is_known_log = len(parts) == 2 and "/" in key and value in _LOGS
        if len(parts) == 1 or "_target_" in word or "()" in word or (_CALLING & set(parts) and not is_known_log):
            raise ValueError(f"'{word[:100]}' sets up hydra itself, which could run any program: leave it out")


@contextmanager
def command_line(words: Sequence[str]) -> Iterator[None]:
    """Sets the command line that a run folder notes, for the time of the block."""
    before, sys.argv = sys.argv, list(words)
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def environment(name: str, value: str | None) -> Iterator[None]:
    """Sets an environment variable, or unsets it (None), for the time of the block."""
    before = os.environ.get(name)
    _set_variable(name, value)
    try:
        yield
    finally:
        _set_variable(name, before)


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


class Stopped(KeyboardInterrupt):
    """A signal has asked the script to stop.

    Args:
        number: The signal.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(f"stopped by {'Ctrl-C' if number == signal.SIGINT else signal.Signals(number).name}")
        self.status = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Turns Ctrl-C and SIGTERM into `Stopped` for the time of the block; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    own = os.getpid()

    def stop(number: int, frame: object) -> None:
        if os.getpid() == own:
            raise Stopped(number)
        signal.signal(number, signal.SIG_DFL)  # a process that was forked ends as it would without us
        os.kill(os.getpid(), number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def report_mistake(message: str, status: int = _USER_MISTAKE) -> int:
    """Writes an error as one line and returns the exit status that goes with it."""
    words = _LONG.sub(lambda found: f"{found[0][:_KEPT]}...{found[0][-_KEPT:]}", " ".join(message.split()))
    line = "".join(letter if letter.isprintable() else "\ufffd" for letter in words)
    sys.stderr.write(f"{Path(sys.argv[0]).stem}: error: {line}\n")
    return status


def suggest_keys(key: str, known: Sequence[str]) -> str:
    """Names the known keys that are nearest to a key, as a whole or in their last part."""

    def similarity(candidate: str) -> float:
        whole = difflib.SequenceMatcher(None, key, candidate).ratio()
        last = difflib.SequenceMatcher(None, key.rpartition(".")[2], candidate.rpartition(".")[2]).ratio()
        return max(whole, 0.95 * last)

    near = sorted((candidate for candidate in known if similarity(candidate) >= 0.6), key=similarity, reverse=True)[:3]
    return f": did you mean {' or '.join(near)}?" if near else ": --cfg job lists the keys"
