"""What is checked of a script's config: right types, keys that are there, a device, a folder to write into."""

import functools
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from einthoven.arguments import shortened

_WHOLE = re.compile(r"n_\w+|\w+_steps|\w+_every|batch_size|seed|(chunk|length)_records|max_windows|dpi")
"""Names of keys whose value is a count."""
_LARGEST = 1 << 64
"""No number of a config is larger, but for an infinite one."""
_PATH = re.compile(r"(?!results_)\w*(path|folder|store|checkpoint)")
"""Names of keys whose value is a file or folder."""
_LISTS = ("runs", "stores")
"""Names of keys whose value is a list, also of one."""
_PERCENT = re.compile(r"\d+(\.\d+)? ?%")
_DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:\d+)?")

_P = ParamSpec("_P")
_R = TypeVar("_R")


def check_type(key: str, value: object, default: object) -> None:
    """Refuses a value of another type than a key takes.

    Args:
        key: The key, with dots.
        value: What the command line gives it.
        default: What the configuration has without it.

    Raises:
        ValueError: If a number, a truth value or a group of keys has become something else.
    """
    wanted = _wanted_type(key.rpartition(".")[2], default)
    if wanted is None or value is None or _fits(wanted, value):
        return
    example = "" if default is None else f" (default: {str(default).lower() if wanted == 'bool' else default})"
    names = {
        "bool": "true or false",
        "whole": "a whole number",
        "path": "the name of a file or folder",
        "number": "a number",
        "group": f"its keys, {key}.<name>=<value>",
        "list": f"a list, {key}=[<one>,<two>]",
    }
    raise ValueError(f"{key}={shortened(value)}: give {names[wanted]}{'' if wanted in ('group', 'list') else example}")


def _wanted_type(name: str, default: object) -> str | None:
    if isinstance(default, bool):
        return "bool"
    if isinstance(default, Mapping):
        return "group"
    if isinstance(default, list) and name in _LISTS:
        return "list"
    if isinstance(default, str | None) and _PATH.fullmatch(name):
        return "path"
    if isinstance(default, int | None) and _WHOLE.fullmatch(name):
        return "whole"
    return "number" if isinstance(default, int | float) else None


def _fits(wanted: str, value: object) -> bool:
    if wanted == "bool":
        return isinstance(value, bool)
    if wanted == "group":
        return isinstance(value, Mapping)
    if wanted == "list":
        return isinstance(value, list)
    if wanted == "path":
        return isinstance(value, str)
    if isinstance(value, str):
        return wanted == "number" and _PERCENT.fullmatch(value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if abs(value) >= _LARGEST and value not in (math.inf, -math.inf):
        return False
    return wanted == "number" or float(value).is_integer()


def needing_keys(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Makes a script's function say which key it lacks where `~key` on the command line has taken keys away.

    The function then raises a ValueError, of one line; other errors, and those without such words, stay as they are.
    """

    @functools.wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except (KeyError, TypeError, AttributeError) as error:
            removed = [word for word in sys.argv[1:] if word.startswith("~")]
            named = [word for word in removed if _removed_name(word) in str(error)]
            if not named and not (removed and isinstance(error, KeyError)):  # a group takes keys of other names along
                raise
            lost = f" ({error})" if isinstance(error, KeyError) else ""
            words = " ".join(named or removed)
            raise ValueError(f"{words}: the script needs what this takes away{lost}; leave it out") from error

    return run


def _removed_name(word: str) -> str:
    """Names the key or group that a word of a command line takes away, without those around it, in quotes."""
    whole = re.split("[=@]", word[1:], maxsplit=1)[0]
    return f"'{re.split('[./]', whole)[-1]}'"


def check_device(config: Mapping[str, Any]) -> None:
    """Refuses a device that this machine does not have; that of Ray's workers may lie on other machines.

    Args:
        config: A script's config; its `device` counts, where there is one.

    Raises:
        ValueError: If there is no such device.
    """
    device = config.get("device")
    engine = config.get("engine")
    if device in (None, "cpu") or (isinstance(engine, Mapping) and engine.get("name") == "ray"):
        return
    if not _DEVICE.fullmatch(str(device)):
        raise ValueError(f"device={shortened(device)}: no such device; give cpu, cuda or, of several, cuda:1")
    import torch

    kind, _, number = str(device).partition(":")
    backend = {"cuda": torch.cuda, "mps": torch.mps, "xpu": torch.xpu}.get(kind)
    count = 1 if backend is None else backend.device_count()
    if int(number or 0) >= count:
        there = f"only {count} of them" if count else "none"
        raise ValueError(f"device={device}: torch finds {there} here; take device=cpu, or install a torch for it")


def check_folder(path: Path) -> None:
    """Refuses a folder that cannot be written into; what is made for the trial is removed.

    Raises:
        ValueError: If a file is in the way, or the folder is read-only.
    """
    missing = [
        folder for folder in (path, *path.parents) if not os.path.exists(folder)
    ]  # of a name that is too long `Path.exists` makes an error
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        in_the_way = next(place for place in (path, *path.parents) if place.exists())
        raise ValueError(f"{path}: {in_the_way} is a file, not a folder; name another folder for results") from error
    except OSError as error:
        raise ValueError(f"{path}: results cannot be written there ({error.strerror}); name another folder") from error
    finally:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
