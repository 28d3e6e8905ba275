"""Runs stages, several side by side, each in a process of its own that starts with the libraries loaded already."""

import multiprocessing
import os
import runpy
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from einthoven.run.memory import machine
from evaluation.reproduction.stages import Stage, clear, is_finished, note

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
    "preprocessing.cohorts.ptbxl_store",
    "reconstruction.recording_report",
)
"""What the process that stages are forked from imports once; modules that are not there are passed over."""

Tell = Callable[[str], object]


def run_stages(
    stages: Sequence[Stage],
    *,
    n_jobs: int = 1,
    tell: Tell = lambda line: None,
    progress: Callable[[Sequence[str]], object] = lambda running: None,
) -> dict[str, str]:
    """Runs the stages that are not finished, each after those that it reads.

    A stage that fails does not stop the others, but those that read it are not begun. When the caller is killed, its
    stages end too; they go on where they were at the next call, as every script does.

    Args:
        stages: The stages, each after those that it reads.
        n_jobs: How many run side by side.
        tell: Called with a line about each stage that fails or cannot be begun.
        progress: Called each time that a stage is settled, with the names of those that are running.

    Returns:
        What came of each stage, by name: "kept" (it was finished already), "done", "failed" or "not begun".

    Raises:
        ValueError: If `n_jobs` is below 1.
    """
    if n_jobs < 1:
        raise ValueError(f"n_jobs must be at least 1, not {n_jobs}")
    by_name = {stage.name: stage for stage in stages}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // n_jobs)))
    outcome: dict[str, str] = {}
    running: dict[int, tuple[Stage, BaseProcess, float]] = {}

    def settle(stage: Stage, what: str) -> None:
        outcome[stage.name] = what
        progress([other.name for other, _, _ in running.values()])

    while len(outcome) < len(stages):
        busy = {stage.name for stage, _, _ in running.values()}
        for stage in stages:
            before = [outcome.get(name) for name in stage.reads if name in by_name]
            if stage.name in outcome or stage.name in busy or None in before:
                continue
            lost = [name for name in stage.reads if outcome.get(name) in ("failed", "not begun")]
            if lost:
                tell(f"{stage.name}: not begun, it reads {', '.join(lost)}")
                settle(stage, "not begun")
            elif is_finished(stage, by_name):
                settle(stage, "kept")
            elif len(running) < n_jobs:
                clear(stage)
                stage.log_path.parent.mkdir(parents=True, exist_ok=True)
                process: BaseProcess = context.Process(
                    target=_run, args=(stage.module, stage.arguments, stage.log_path)
                )
                process.start()
                running[process.sentinel] = (stage, process, time.perf_counter())
        for sentinel in wait(list(running)) if running else ():
            assert isinstance(sentinel, int)
            stage, process, start = running.pop(sentinel)
            process.join()
            settle(stage, _end(stage, process.exitcode, time.perf_counter() - start, tell))
    return outcome


def _end(stage: Stage, exit_status: int | None, seconds: float, tell: Tell) -> str:
    """Notes a stage that has ended, and says so where it has failed."""
    status = exit_status if exit_status is not None else -1
    if status == 0 and not stage.is_there():
        missing = ", ".join(str(path) for path in stage.done if not path.is_file())
        with open(stage.log_path, "a", encoding="utf-8") as file:
            file.write(f"\nended without {missing}\n")
        status = -1
    note(stage, status, seconds, machine())
    if status == 0:
        return "done"
    tell(f"{stage.name}: failed ({last_line(stage.log_path)}); its output is in {stage.log_path}")
    return "failed"


def last_line(path: Path) -> str:
    """Returns the last line of a log that says something."""
    lines = path.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def describe(outcome: Mapping[str, str]) -> str:
    """Says in a line what came of the stages."""
    counts = {what: list(outcome.values()).count(what) for what in ("done", "kept", "failed", "not begun")}
    told = {"done": "run now", "kept": "finished before", "failed": "failed", "not begun": "not begun"}
    return f"{len(outcome)} stages: " + ", ".join(f"{count} {told[what]}" for what, count in counts.items() if count)


def _run(module: str, arguments: list[str], log: Path) -> None:
    """Runs a script as `python -m` would, its output in a file."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with open(log, "ab") as file:
        file.write(f"\n$ python -m {module} {' '.join(arguments)}\n".encode())
        file.flush()
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    """Ends this process when the one that asked for it is gone: two processes must not write into one run folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
