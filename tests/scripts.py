"""How tests run scripts as users do, each in a process of its own, but without the seconds that imports take.

Processes are forked from one that has imported the libraries and has run nothing (`multiprocessing`'s fork server).
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.paths import ROOT

PRELOAD = (
    "torch.distributed.fsdp",
    "torch._dynamo",
    "accelerate",
    "hydra",
    "hydra._internal.hydra",
    "matplotlib.pyplot",
    "neurokit2",
    "noise_quant.scoring.score_table",
    "noise_quant.scoring.methods",
    "noise_quant.training.training",
    "evaluation.denoising.report",
    "evaluation.noise.report",
    "evaluation.inpainting.report",
    "einthoven.run.launch",
    "preprocessing.cohorts.ptbxl",
    "reconstruction.recording_report",
    "diffusion_prior.train",
)
"""What the process that others are forked from imports once; modules that are not there are passed over."""


def fork_context() -> "multiprocessing.context.ForkServerContext":
    """Returns what starts processes, from one that has imported `PRELOAD`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    return context


def start_script(
    module: str, *overrides: str, output: Path, environment: Mapping[str, str] | None = None, folder: Path = ROOT
) -> BaseProcess:
    """Starts what `python -m module overrides` does, without waiting for its end.

    Args:
        module: The script.
        *overrides: Its arguments.
        output: Folder that gets the files stdout and stderr.
        environment: Variables that differ from this process's.
        folder: Working folder, where modules are found first.
    """
    variables = {**os.environ, **(environment or {})}
    files = [str(output / name) for name in ("stdout", "stderr")]
    process = fork_context().Process(target=run_here, args=(module, list(overrides), variables, files, str(folder)))
    process.start()
    return process


def run_script(
    module: str,
    *overrides: str,
    environment: Mapping[str, str] | None = None,
    check: bool = False,
    timeout: float = 300.0,
    folder: Path = ROOT,
) -> "subprocess.CompletedProcess[str]":
    """Does what `python -m module overrides` does in a folder, by default the repository's root.

    Args:
        module: The script.
        *overrides: Its arguments.
        environment: Variables that differ from this process's.
        check: Whether to raise CalledProcessError for another exit status than 0.
        timeout: Seconds after which it is killed.
        folder: Working folder, where modules are found first.
    """
    with tempfile.TemporaryDirectory() as output:
        process = start_script(module, *overrides, output=Path(output), environment=environment, folder=folder)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([module, *overrides], timeout)
        written = [(Path(output) / name).read_text("utf-8", errors="replace") for name in ("stdout", "stderr")]
    done = subprocess.CompletedProcess([module, *overrides], process.exitcode, *written)
    if check:
        done.check_returncode()
    return done


def run_in_project(project: Path, runs: Path, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs Python with a command line in another project's folder, from whose `configs/` its scripts read.

    Args:
        project: The folder.
        runs: Folder of results.
        *command: The command line of Python.
        **variables: Variables that differ from this process's.
    """
    environment = {**os.environ, "PYTHONPATH": f"{project}{os.pathsep}{ROOT}", "ECG_RUNS": str(runs)}
    environment.pop("HYDRA_FULL_ERROR", None)
    return subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=600,
    )


def wait_for(condition: Callable[[], object], seconds: float = 300.0) -> None:
    """Waits until a condition holds; the seconds are many, as other work may share the machine."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def run_here(
    module: str, arguments: list[str], variables: dict[str, str], outputs: list[str], folder: str = ""
) -> None:
    """Does in this process, which is one of its own, what `python -m module arguments` does.

    Args:
        module: The script.
        arguments: Its arguments.
        variables: All variables of the environment.
        outputs: Files that get what it writes to stdout and stderr.
        folder: Working folder, by default the repository's root.
    """
    os.chdir(folder or ROOT)
    sys.path.insert(0, folder or str(ROOT))
    os.environ.clear()
    os.environ.update(variables)
    for stream, path in enumerate(outputs, start=1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream)
        os.close(file)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
