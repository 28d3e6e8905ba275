"""How tests run scripts as users do, each in a process of its own, but without the seconds that imports take.

Processes are forked from one that has imported the libraries and has run nothing (`multiprocessing`'s fork server).
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from evaluation.reproduction.runner import PRELOAD
from tests.paths import ROOT


def run_script(
    module: str,
    *overrides: str,
    environment: Mapping[str, str] | None = None,
    check: bool = False,
    timeout: float = 300.0,
) -> "subprocess.CompletedProcess[str]":
    """Does what `python -m module overrides` does in the repository's root.

    Args:
        module: The script.
        *overrides: Its arguments.
        environment: Variables that differ from this process's.
        check: Whether to raise CalledProcessError for another exit status than 0.
        timeout: Seconds after which it is killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / name for name in ("stdout", "stderr")]
        variables = {**os.environ, **(environment or {})}
        process = context.Process(target=_run, args=(module, list(overrides), variables, [str(o) for o in outputs]))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([module, *overrides], timeout)
        told = [path.read_text(encoding="utf-8", errors="replace") for path in outputs]
    done = subprocess.CompletedProcess([module, *overrides], process.exitcode, *told)
    if check:
        done.check_returncode()
    return done


def _run(module: str, arguments: list[str], variables: dict[str, str], outputs: list[str]) -> None:
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(variables)
    for stream, path in enumerate(outputs, start=1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream)
        os.close(file)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
