"""How a script starts: its config from `configs/`, and the mistakes of its user told in one line.

The scripts are the only modules that import this one, and with it hydra; the library takes plain values.
"""

import difflib
import functools
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
    SearchPathException,
)
from hydra.types import RunMode
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from einthoven.run.sweep_job import run_job

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

BUILDABLE = (
    "diffusion_prior",
    "einthoven",
    "evaluation",
    "noise_quant",
    "preprocessing",
    "reconstruction",
    "torch.optim",
    "torch.nn",
)


def _prefer_own_groups() -> None:
    """Drops the configs of launchers and sweepers that plug-ins bring and that `configs/hydra` has under their names.

    Hydra would merge the two, with a warning, or refuse to; and ours also say what is wrong where a plug-in is missing.
    """
    Plugins.instance()  # looks for the plug-ins, which then store their configs
    stored = ConfigStore.instance().repo["hydra"]
    for file in (CONFIGS / "hydra").glob("*/*.yaml"):
        stored[file.parent.name].pop(file.name, None)


_prefer_own_groups()

_VERSION_BASE = "1.3"
_FULL_ERROR = "HYDRA_FULL_ERROR"
_USER_MISTAKE = 2
_OPTIONS_WITH_VALUE = re.compile(r"--(config-(path|name|dir)|cfg|package|info|experimental-rerun)|-(c[pnd]?|p|i)")
"""Options of Hydra after which a bare word is their value."""


def script(
    config_name: str, words: str | None = None
) -> Callable[[Callable[[DictConfig], object]], Callable[[], None]]:
    """Turns a function of a config into a script that reads its config from `configs/` and the command line.

    It runs as a module and by path, and with `--multirun` on any launcher; what the function returns is the objective
    of a sweep. A user's mistake, which is a ValueError or an override that does not fit the config, is told in one line
    on the standard error, with the nearest names, and ends with exit status 2; HYDRA_FULL_ERROR=1 in the environment
    shows the traceback instead.

    Args:
        config_name: The root config, the name of a file in `configs/` without its suffix.
        words: Key of the list that bare words of the command line make up; None: bare words are a mistake.

    Returns:
        A decorator; the decorated function takes no argument.
    """

    def decorate(task: Callable[[DictConfig], object]) -> Callable[[], None]:
        # Processes of a sweep's launcher run the function below with their own environment and command line.
        show_traceback, program = os.environ.get(_FULL_ERROR) == "1", sys.argv[0]

        @functools.wraps(task)
        def tell_mistakes(cfg: DictConfig) -> object:
            with _environment(_FULL_ERROR, "1" if show_traceback else None):
                try:
                    if HydraConfig.get().mode == RunMode.MULTIRUN:
                        with _command_line([program, *HydraConfig.get().overrides.task]):
                            return _run_job(task, cfg)
                    return task(cfg)
                except (ValueError, MissingMandatoryValue) as error:
                    if show_traceback:
                        raise
                    if HydraConfig.get().mode == RunMode.MULTIRUN:  # the process that sweeps tells it
                        raise ValueError(_describe(error, config_name)) from error
                    raise SystemExit(_tell(_describe(error, config_name))) from error
                finally:
                    # Hydra makes this folder even where the results go elsewhere; rmdir spares one that is in use.
                    with suppress(OSError):
                        run_path().rmdir()

        run = hydra.main(version_base=_VERSION_BASE, config_path=str(CONFIGS), config_name=config_name)(tell_mistakes)

        @functools.wraps(task)
        def main() -> None:
            # With its full error Hydra raises what it would otherwise print and turn into exit status 1.
            with _environment(_FULL_ERROR, "1"):
                try:
                    with _command_line([sys.argv[0], *spell_out(sys.argv[1:], words)]):
                        run()
                except (ConfigCompositionException, OverrideParseException, SearchPathException, ValueError) as error:
                    if show_traceback:
                        raise
                    raise SystemExit(_tell(_describe(error, config_name))) from error
                except (RuntimeError, ImportError) as error:
                    missing = _missing_plugin(str(error))
                    if show_traceback or missing is None:
                        raise
                    raise SystemExit(_tell(missing)) from error

        return main

    return decorate


def spell_out(arguments: Sequence[str], key: str | None) -> list[str]:
    """Writes the bare words of a command line as the override that they stand for, which Hydra reads and runs note.

    `["scoring", "seed=1", "superlet"]` with the key `benchmark.parts` is `["benchmark.parts=[scoring,superlet]",
    "seed=1"]`.

    Args:
        arguments: The command line without the program.
        key: Key of the list that the words make up; None: the arguments are returned as they are.

    Raises:
        ValueError: If the key has a value of its own beside the words.
    """
    if key is None:
        return list(arguments)
    before = ["", *arguments]
    places = [
        place
        for place, argument in enumerate(arguments)
        if re.fullmatch(r"[^\W\d][\w-]*", argument) and not _OPTIONS_WITH_VALUE.fullmatch(before[place])
    ]
    if not places:
        return list(arguments)
    found = [arguments[place] for place in places]
    if any(argument.lstrip("+").partition("=")[0] == key for argument in arguments):
        raise ValueError(f"give {key}=... or the bare words {' '.join(found)}, not both")
    others = [argument for place, argument in enumerate(arguments) if place not in places]
    return [*others[: places[0]], f"{key}=[{','.join(found)}]", *others[places[0] :]]


def run_path() -> Path:
    """Names the run folder that the config of the running script gives to this run."""
    return Path(HydraConfig.get().runtime.output_dir)


def _run_job(task: Callable[[DictConfig], object], cfg: DictConfig) -> object:
    """Runs a job of a sweep in its folder, unless the same sweep has finished it before; returns its objective.

    Raises:
        ValueError: If the config names a folder of results, which all jobs would write to.
    """
    config = OmegaConf.to_container(cfg, resolve=True)
    named = sorted(key for key, value in _items(config) if key.rpartition(".")[2] == "results_path" and value)
    if named:
        raise ValueError(
            f"each job of a sweep has a folder of its own: leave out {', '.join(named)}, and name the folder of the "
            "whole sweep with hydra.sweep.dir=..."
        )
    return run_job(run_path(), HydraConfig.get().overrides.task, config, functools.partial(task, cfg))


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Resolves a config, or a part of one, into dictionaries, lists and plain values.

    Args:
        cfg: The config.

    Raises:
        ValueError: If keys without a default have got no value.
    """
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise ValueError("give a value for " + ", ".join(f"{key}=..." for key in missing))
    container = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def build(node: DictConfig | Mapping[str, Any], **arguments: object) -> Any:  # noqa: ANN401
    """Builds the object that a config names by `_target_`, with the other keys as its arguments.

    Only what this project, torch.optim or torch.nn define can be built, so that a config that comes with someone
    else's run folder cannot call anything else.

    Args:
        node: The config of the object; parts of it that have a `_target_` are built too.
        **arguments: More arguments of the object, handed over as they are.

    Returns:
        The object; or, where the config says `_partial_: true`, a function that builds it.

    Raises:
        ValueError: If a `_target_` is missing, unknown or not allowed, or the object refuses its arguments.
    """
    config = plain(node) if isinstance(node, DictConfig) else dict(node)
    if "_target_" not in config:
        raise ValueError("this part of the config builds nothing: it has no key _target_")
    _check_targets(config)
    deferred = bool(config.get("_partial_", False))
    try:
        factory = hydra.utils.instantiate({**config, "_partial_": True}, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, TypeError | ValueError):
            raise ValueError(str(error.__cause__)) from error
        raise
    if deferred:
        return functools.partial(factory, **arguments)
    try:
        inspect.signature(factory).bind(**arguments)
    except TypeError as error:
        raise ValueError(f"{config['_target_']} cannot be built from this config: {error}") from error
    return factory(**arguments)


def _check_targets(config: object) -> None:
    """Raises ValueError for a `_target_`, at any depth, that is unknown or that other code defines."""
    if isinstance(config, Mapping):
        if "_target_" in config:
            _check_target(str(config["_target_"]))
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            _check_targets(part)


def _check_target(name: str) -> None:
    if not _is_buildable(name):
        raise ValueError(f"_target_: {name} is not a part of {', '.join(BUILDABLE)}")
    try:
        origin = getattr(get_object(name), "__module__", None) or ""
    except (ImportError, ValueError) as error:
        raise ValueError(f"_target_: {name} does not exist") from error
    if not _is_buildable(origin):
        raise ValueError(
            f"_target_: {name} comes from elsewhere ({origin or 'a module'}), not from {', '.join(BUILDABLE)}"
        )


def _is_buildable(name: str) -> bool:
    return f"{name}.".startswith(tuple(f"{package}." for package in BUILDABLE))


@contextmanager
def _command_line(words: Sequence[str]) -> Iterator[None]:
    """Sets the command line that a run folder notes, for the time of the block."""
    before, sys.argv = sys.argv, list(words)
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _environment(name: str, value: str | None) -> Iterator[None]:
    """Sets an environment variable, or unsets it, for the time of the block."""
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


def _tell(message: str) -> int:
    """Writes an error as one line and returns the exit status that goes with it."""
    line = " ".join(message.split())
    sys.stderr.write(f"{Path(sys.argv[0]).stem}: error: {line}\n")
    return _USER_MISTAKE


def _describe(error: Exception, config_name: str) -> str:
    """Says what a user did wrong and what to do, from the error that it caused."""
    if isinstance(error, OverrideParseException):
        return f"cannot read '{error.override}': write key=value, and quote values with spaces or special characters"
    if isinstance(error, MissingConfigException):
        return _describe_missing_option(error)
    if isinstance(error, MissingMandatoryValue):
        return f"give a value for {error.full_key}=..."
    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException):
        if isinstance(cause, ConfigKeyError | ConfigAttributeError) and cause.full_key:
            key = _written_key(str(cause.full_key))
            return f"no key '{key}' in configs/{config_name}.yaml{_suggest(key, _known_keys(config_name))}"
        return f"{error} {cause}"
    return str(error)


def _missing_plugin(message: str) -> str | None:
    """Says how to get the launcher or the sweeper that Hydra did not find; None for any other error."""
    found = re.search(r"plugin.*hydra_plugins\.(\w+)", message, flags=re.DOTALL)
    if found is None:
        return None
    extra = "ray" if "ray" in found[1] else "sweep"
    return f"{found[1].replace('_', '-')}, or what it needs, is not installed: pip install einthoven[{extra}]"


def _describe_missing_option(error: MissingConfigException) -> str:
    if not error.missing_cfg_file or not error.options:
        return str(error)
    group, _, option = error.missing_cfg_file.rpartition("/")
    near = difflib.get_close_matches(option, error.options, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"no '{option}' for {group}: choose one of {', '.join(error.options)}{hint}"


def _suggest(key: str, known: list[str]) -> str:
    """Names the known keys that are nearest to a key, as a whole or in their last part."""

    def similarity(candidate: str) -> float:
        whole = difflib.SequenceMatcher(None, key, candidate).ratio()
        last = difflib.SequenceMatcher(None, key.rpartition(".")[2], candidate.rpartition(".")[2]).ratio()
        return max(whole, 0.95 * last)

    near = sorted((candidate for candidate in known if similarity(candidate) >= 0.6), key=similarity, reverse=True)[:3]
    return f": did you mean {' or '.join(near)}?" if near else ": --cfg job lists the keys"


def _known_keys(config_name: str) -> list[str]:
    """Lists the keys, with dots, of a root config with the groups that the command line chooses."""
    with hydra.initialize_config_dir(str(CONFIGS), version_base=_VERSION_BASE):
        try:
            cfg = hydra.compose(config_name, _group_choices())
        except HydraException:
            cfg = hydra.compose(config_name)
        return [key for key, _ in _items(OmegaConf.to_container(cfg, resolve=False))]


def _written_key(key: str) -> str:
    """Completes a key, of which hydra names the part up to the first unknown name, as the command line has it."""
    written = (override.key_or_group for override in _overrides())
    return next((whole for whole in written if whole.startswith(f"{key}.")), key)


def _group_choices() -> list[str]:
    """Picks the overrides of the command line that choose one option of a group."""
    return [
        str(override.input_line)
        for override in _overrides()
        if (CONFIGS / override.key_or_group).is_dir() and not override.is_sweep_override()
    ]


def _overrides() -> list[Override]:
    """Parses the overrides of the command line."""
    texts = [text for text in sys.argv[1:] if "=" in text and not text.startswith("-")]
    return OverridesParser.create().parse_overrides(texts)


def _items(node: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yields the keys of nested dictionaries, with dots, and their values, those inside after each one's own."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield f"{prefix}{key}", value
            yield from _items(value, f"{prefix}{key}.")
