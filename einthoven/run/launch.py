"""How a script starts: its config from `configs/`, and the mistakes of its user in one line.

The only module that imports hydra and omegaconf; scripts get plain values.
"""

import copy
import difflib
import functools
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
    SearchPathException,
)
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from einthoven.command.checks import check_device, check_folder, check_type, needing_keys
from einthoven.command.command_line import (
    Stopped,
    check_config_path,
    check_hydra_words,
    check_options,
    command_line,
    environment,
    report_mistake,
    spell_out,
    stoppable,
    suggest_keys,
)
from einthoven.command.ending import Outcome, describe_ending, fit_terminal
from einthoven.command.help import CONFIGS, write_help
from einthoven.run.files import FULL
from einthoven.run.registry import Registry
from einthoven.run.sweep_job import run_job


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

Task = Callable[[dict[str, Any]], str | Outcome]
_MISTAKES = (ConfigCompositionException, OverrideParseException, SearchPathException, ValueError, OSError)
_GO_ON = "the same command starts again"


def script(
    config_name: str, words: str | None = None, groups: Mapping[str, Registry] | None = None
) -> Callable[[Task], Callable[[], None]]:
    """Turns a function of a config into a script that reads its config from `configs/` and the command line.

    The function gets the resolved config as plain dictionaries, lists and values, and returns what to print. The script
    runs as a module and by path, and with `--multirun` on any launcher. A user's mistake, which is a ValueError or an
    override that does not fit the config, is reported in one line on the standard error, with the nearest names, and
    ends with exit status 2; HYDRA_FULL_ERROR=1 in the environment shows the traceback instead.

    Args:
        config_name: The root config, the name of a file in `configs/` without its suffix.
        words: Key of the list that bare words of the command line make up; None: bare words are a mistake.
        groups: Tables whose entries are options of a config group, with or without a file in it.
    """

    def decorate(task: Task) -> Callable[[], None]:
        # Processes of a sweep's launcher run the job with their own environment and command line.
        show_traceback = os.environ.get(_FULL_ERROR) == "1"
        program = sys.argv[0]

        @functools.wraps(task)  # Hydra looks at its module
        def job(cfg: DictConfig) -> object:
            return _run(needing_keys(task), config_name, show_traceback, program, cfg)

        run = hydra.main(version_base=_VERSION_BASE, config_path=str(CONFIGS), config_name=config_name)(job)

        @functools.wraps(task)
        def main() -> None:
            if {"--help", "-h"} & set(sys.argv[1:]):
                print(write_help(CONFIGS, config_name, f"einthoven {config_name}", groups))  # noqa: T201
                return
            # With its full error Hydra raises what it would otherwise print and turn into exit status 1.
            with environment(_FULL_ERROR, "1"):
                try:
                    store_options(groups or {}, sys.argv[1:])
                    check_config_path(sys.argv[1:])
                    check_hydra_words(sys.argv[1:])
                    spelt = spell_out(sys.argv[1:], words)
                    check_options(get_args_parser(), spelt)
                    with command_line([sys.argv[0], *spelt]), stoppable():
                        run()
                except Stopped as stop:
                    raise SystemExit(report_mistake(f"{stop}; {_GO_ON}", stop.status)) from stop
                except _MISTAKES as error:
                    if show_traceback or not _is_of_the_user(error):
                        raise
                    raise SystemExit(report_mistake(_describe(error, config_name))) from error
                except (RuntimeError, ImportError) as error:
                    missing = _missing_plugin(str(error))
                    if show_traceback or missing is None:
                        raise
                    raise SystemExit(report_mistake(missing)) from error

        return main

    return decorate


def store_options(groups: Mapping[str, Registry], words: Sequence[str]) -> None:
    """Makes options of the entries of tables that have no file in `configs`; only those that are named are imported."""
    for group, entries in groups.items():
        for name in entries:
            if not (CONFIGS / group / f"{name}.yaml").is_file():
                is_named = any(name in word for word in words)
                ConfigStore.instance().store(name, entries.option(name) if is_named else {"name": name}, group)


def _run(task: Task, config_name: str, show_traceback: bool, program: str, cfg: DictConfig) -> object:
    """Runs a script's function once, alone or as a job of a sweep; prints what it returns and returns the objective."""
    is_job = HydraConfig.get().mode == RunMode.MULTIRUN
    config: dict[str, Any] = {}
    with environment(_FULL_ERROR, "1" if show_traceback else None):
        try:
            config = plain(cfg)
            _check(config, config_name)
            _settle(config)
            if not is_job:
                return _print_outcome(task(config))
            with command_line([program, *HydraConfig.get().overrides.task]):
                return _run_job(task, config)
        except Stopped as stop:
            if is_job or show_traceback:
                raise
            raise SystemExit(report_mistake(f"{stop}; {_how_to_go_on(config)}", stop.status)) from stop
        except (ValueError, MissingMandatoryValue, OSError) as error:
            if show_traceback or not _is_of_the_user(error):
                raise
            if is_job:  # the process that sweeps reports it
                raise ValueError(_describe(error, config_name)) from error
            raise SystemExit(report_mistake(_describe(error, config_name))) from error
        finally:
            # Hydra makes this folder even where the results go elsewhere; rmdir spares one that is in use.
            with suppress(OSError):
                _hydra_folder().rmdir()


def _is_of_the_user(error: Exception) -> bool:
    """Tells what a user can mend, a file that is named or a full disk, from other errors of the system."""
    if not isinstance(error, OSError) or isinstance(error, HydraException):
        return True
    return bool(error.filename) or error.errno in FULL


def _print_outcome(outcome: str | Outcome) -> float | None:
    """Prints what a script has done and returns its objective."""
    outcome = outcome if isinstance(outcome, Outcome) else Outcome(outcome)
    if outcome.text:
        text = fit_terminal(outcome.text) if sys.stdout.isatty() else outcome.text
        sys.stdout.write("\n".join([text, *describe_ending(outcome)]) + "\n")
    if outcome.failed:
        raise SystemExit(1)
    return outcome.objective


def run_path(config: Mapping[str, Any]) -> Path:
    """Names the run folder of the running script.

    Args:
        config: Its config. A `results_path` in it is the folder, a relative one below `ECG_RUNS` where that is set.

    Returns:
        That folder, or else a new one below `paths.runs`.
    """
    key = _results_key(config)
    named = dict(_items(config)).get(key) if key else None
    if not named:
        return _hydra_folder()
    runs = Path(os.environ.get("ECG_RUNS") or "")
    path = Path(str(named))
    return path if path.is_relative_to(runs) else runs / path


def _hydra_folder() -> Path:
    return Path(HydraConfig.get().runtime.output_dir)


def _results_key(config: Mapping[str, Any]) -> str | None:
    """Names the key that a user may give the run folder with."""
    return next((key for key, _ in _items(config) if key.rpartition(".")[2] == "results_path"), None)


def _check(config: Mapping[str, Any], config_name: str) -> None:
    """Refuses, before the script starts, values of the wrong type, a missing device and a folder that is read-only."""
    words = list(HydraConfig.get().overrides.task)
    given = {override.key_or_group for override in _overrides(words) if not (CONFIGS / override.key_or_group).is_dir()}
    if given and GlobalHydra.instance().is_initialized():  # it is not in the processes of a launcher
        defaults = dict(_items(_compose_defaults(config_name, words)))
        for key, value in _items(config):
            if key in given and key in defaults:
                check_type(key, value, defaults[key])
    check_device(config)
    check_folder(run_path(config))


def _settle(config: dict[str, Any]) -> None:
    """Chooses what a config leaves to this machine; torch is imported only where it does."""
    if "auto" in (value for key, value in _items(config) if key.rpartition(".")[2] in ("precision", "mixed_precision")):
        from einthoven.run.processor import settle_precision

        settle_precision(config)


def _how_to_go_on(config: Mapping[str, Any]) -> str:
    """Says how a run that was stopped goes on."""
    key, folder = _results_key(config), run_path(config)
    if key is None or not (folder / "config.yaml").is_file():
        return _GO_ON
    return f"the same command with {key}={folder} goes on"


def _run_job(task: Task, config: dict[str, Any]) -> object:
    """Runs a job of a sweep in its folder, unless the same sweep has finished it before; returns its objective."""
    named = sorted(key for key, value in _items(config) if key.rpartition(".")[2] == "results_path" and value)
    if named:
        raise ValueError(
            f"each job of a sweep has a folder of its own: leave out {', '.join(named)}, and name the folder of the "
            "whole sweep with hydra.sweep.dir=..."
        )
    # The task may change its config, which the job's hash is of.
    work = functools.partial(task, copy.deepcopy(config))
    return run_job(_hydra_folder(), HydraConfig.get().overrides.task, config, lambda: _print_outcome(work()))


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Resolves a config, or a part of one, into plain values; ValueError names keys that still need one."""
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise ValueError("give a value for " + ", ".join(f"{key}=..." for key in missing))
    container = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def _describe(error: Exception, config_name: str) -> str:
    """Says what a user did wrong and what to do, from the error that it caused."""
    if isinstance(error, OverrideParseException):
        return f"cannot read '{error.override}': write key=value, and quote values with spaces or special characters"
    if isinstance(error, MissingConfigException):
        return _describe_missing_option(error)
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        hint = "; what is done already is not done again" if error.errno in FULL else ""
        return f"{error.filename or 'the results'}: {error.strerror}{hint}"
    if isinstance(error, MissingMandatoryValue):
        return f"give a value for {error.full_key}=..."
    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException):
        if isinstance(cause, ConfigKeyError | ConfigAttributeError) and cause.full_key:
            key = _written_key(str(cause.full_key))
            return f"no key '{key}' in configs/{config_name}.yaml{suggest_keys(key, _known_keys(config_name))}"
        return f"{error} {cause}"
    return str(error)


def _missing_plugin(message: str) -> str | None:
    """Says how to get the launcher or the sweeper that Hydra did not find; None for any other error."""
    found = re.search(r"plugin.*hydra_plugins\.(\w+)", message, flags=re.DOTALL)
    if found is None:
        return None
    extra = "ray" if "ray" in found[1] else "sweep"
    return f"{found[1].replace('_', '-')}, or what it needs, is not installed: pip install 'einthoven[{extra}]'"


def _describe_missing_option(error: MissingConfigException) -> str:
    if not error.missing_cfg_file or not error.options:
        return str(error)
    group, _, option = error.missing_cfg_file.rpartition("/")
    near = difflib.get_close_matches(option, error.options, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"no '{option}' for {group}: choose one of {', '.join(error.options)}{hint}"


def _known_keys(config_name: str) -> list[str]:
    """Lists the keys, with dots, of a root config with the groups that the command line chooses."""
    with hydra.initialize_config_dir(str(CONFIGS), version_base=_VERSION_BASE):
        return [key for key, _ in _items(_compose_defaults(config_name, sys.argv[1:]))]


def _compose_defaults(config_name: str, words: Sequence[str]) -> object:
    """Composes a root config with the groups that the command line chooses, if it can be, and without other values."""
    try:
        cfg = hydra.compose(config_name, _group_choices(words))
    except HydraException:
        cfg = hydra.compose(config_name)
    return OmegaConf.to_container(cfg, resolve=False)


def _written_key(key: str) -> str:
    """Completes a key, of which hydra names the part up to the first unknown name, as the command line has it."""
    written = (override.key_or_group for override in _overrides(sys.argv[1:]))
    return next((whole for whole in written if whole.startswith(f"{key}.")), key)


def _group_choices(words: Sequence[str]) -> list[str]:
    """Picks the overrides that choose one option of a group."""
    return [
        str(override.input_line)
        for override in _overrides(words)
        if (CONFIGS / override.key_or_group).is_dir() and not override.is_sweep_override()
    ]


def _overrides(words: Sequence[str]) -> list[Override]:
    """Parses the overrides among the words of a command line."""
    texts = [text for text in words if "=" in text and not text.startswith("-")]
    return OverridesParser.create().parse_overrides(texts)


def _items(node: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yields the keys of nested dictionaries, with dots, and their values, those inside after each one's own."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield f"{prefix}{key}", value
            yield from _items(value, f"{prefix}{key}.")
