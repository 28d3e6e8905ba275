"""Stages of a reproduction: each is one command of a script, in a process of its own, with the folder that it fills.

What a stage did is kept beside the run folders, in `stages/<name>.json`. A stage is finished when it ended well with
the same command. One that is not is run: its script goes on in its run folder where it was stopped, takes a finished
run as it is, and refuses one of other settings.
"""

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from einthoven.checked_files import read_json
from einthoven.run.files import write_json
from einthoven.run.memory import machine
from einthoven.run.run_folder import PROVENANCE

RECORDS = "stages"
"""Folder of the stages' records and logs, beside their run folders."""
HYDRA_FOLDER = "hydra.run.dir"
"""The key that names the run folder of a script which has no key of its own for it."""
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PARENT_DEATH_SIGNAL = 1


@dataclass(frozen=True)
class Stage:
    """One command.

    Attributes:
        name: Its name, and that of its run folder.
        module: The script, such as `reconstruction.inpaint`.
        overrides: What its config is given, `key=value`.
        folder: Its run folder.
        result: A file that is there when it has finished.
        folder_key: The key that names the run folder.
        reads: Names of the stages whose results it takes.
        is_derived: Whether it is quick, and done anew into an empty folder when one of those was run after it.
    """

    name: str
    module: str
    overrides: tuple[str, ...]
    folder: Path
    result: Path
    folder_key: str = HYDRA_FOLDER
    reads: tuple[str, ...] = ()
    is_derived: bool = False

    @property
    def arguments(self) -> list[str]:
        """The overrides with the one that names the run folder."""
        return [*self.overrides, f"{self.folder_key}={self.folder}"]

    @property
    def command(self) -> str:
        """The command line, as one may type it."""
        return shlex.join(["python", "-m", self.module, *self.arguments])

    @property
    def record_path(self) -> Path:
        """Where its record lies."""
        return self.folder.parent / RECORDS / f"{self.name}.json"

    @property
    def log_path(self) -> Path:
        """Where its output lies."""
        return self.record_path.with_suffix(".log")

    def record(self) -> dict[str, Any]:
        """Reads what was noted when this command last ended; empty if it never did."""
        if not self.record_path.is_file():
            return {}
        record = read_json(self.record_path, "remove it, and its command is run again")
        return record if record.get("command") == self.command else {}


def is_finished(stage: Stage, stages: Mapping[str, Stage]) -> bool:
    """Tells whether a stage, of all `stages` by name, needs not be run."""
    record = stage.record()
    if not stage.result.is_file() or record.get("exit_status") != 0:
        return False
    before = [stages[name].record().get("ended_at", "") for name in stage.reads if name in stages]
    return not stage.is_derived or record["ended_at"] >= max(before, default="")


def start_process(stage: Stage) -> subprocess.Popen[bytes]:
    """Starts the command of a stage, its output in its log; on Linux it ends with this process, however that ends."""
    with open(stage.log_path, "ab") as log:
        log.write(f"\n$ {stage.command}\n".encode())
        log.flush()
        command = [sys.executable, "-m", stage.module, *stage.arguments]
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, preexec_fn=_end_with_parent)


def run_stages(
    stages: Sequence[Stage],
    *,
    n_jobs: int = 1,
    report: Callable[[str], object] = lambda line: None,
    progress: Callable[[Sequence[str]], object] = lambda running: None,
    start: Callable[[Stage], subprocess.Popen[bytes]] = start_process,
) -> dict[str, str]:
    """Runs the stages that are not finished, each after those that it reads.

    A stage that fails does not stop the others, but those that read it are not begun.

    Args:
        stages: The stages.
        n_jobs: How many run side by side, at least 1.
        report: Called with a line about each stage that fails or cannot be begun.
        progress: Called each time that a stage is settled, with the names of those that are running.
        start: Starts a stage.

    Returns:
        What came of each stage, by name: "kept" (it was finished already), "done", "failed" or "not begun".
    """
    if n_jobs < 1:
        raise ValueError(f"n_jobs must be at least 1, not {n_jobs}")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // n_jobs)))
    by_name = {stage.name: stage for stage in stages}
    order = TopologicalSorter({stage.name: [name for name in stage.reads if name in by_name] for stage in stages})
    order.prepare()
    ready: deque[str] = deque()
    running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
    outcome: dict[str, str] = {}

    def settle(name: str, what: str) -> None:
        outcome[name] = what
        order.done(name)
        progress(list(running))

    try:
        while order.is_active():
            ready += order.get_ready()
            while ready and len(running) < n_jobs:
                stage = by_name[ready.popleft()]
                if lost := [name for name in stage.reads if outcome.get(name) in ("failed", "not begun")]:
                    report(f"{stage.name}: not begun, it reads {', '.join(lost)}")
                    settle(stage.name, "not begun")
                elif is_finished(stage, by_name):
                    settle(stage.name, "kept")
                else:
                    _clear(stage)
                    running[stage.name] = start(stage), time.perf_counter()
            for name, (process, begun) in list(running.items()):
                if (status := process.poll()) is not None:
                    del running[name]
                    settle(name, _end(by_name[name], status, time.perf_counter() - begun, report))
            time.sleep(0.05 if running else 0.0)
    finally:
        for process, _ in running.values():
            process.kill()
    return outcome


def describe(outcome: Mapping[str, str]) -> str:
    """Says in a line what came of the stages."""
    words = {"done": "run now", "kept": "finished before", "failed": "failed", "not begun": "not begun"}
    counts = {words[what]: list(outcome.values()).count(what) for what in words}
    return f"{len(outcome)} stages: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _clear(stage: Stage) -> None:
    """Empties the run folder of a derived stage, which is done anew; others go on in theirs."""
    if stage.is_derived and (stage.folder / PROVENANCE).is_file():
        shutil.rmtree(stage.folder)
    stage.log_path.parent.mkdir(parents=True, exist_ok=True)


def _end(stage: Stage, status: int, seconds: float, report: Callable[[str], object]) -> str:
    """Notes a stage that has ended, and reports one that failed; seconds of earlier tries are added."""
    if status == 0 and not stage.result.is_file():
        with open(stage.log_path, "a", encoding="utf-8") as file:
            file.write(f"\nended without {stage.result}\n")
        status = -1
    earlier = 0.0 if stage.is_derived else stage.record().get("seconds", 0.0)
    record = {"command": stage.command, "exit_status": status, "seconds": round(earlier + seconds, 2)}
    write_json(stage.record_path, {**record, "machine": machine(), "ended_at": datetime.now(UTC).isoformat()})
    if status == 0:
        return "done"
    report(f"{stage.name}: failed ({_last_line(stage.log_path)}); its output is in {stage.log_path}")
    return "failed"


def _last_line(path: Path) -> str:
    """Returns the last line of a log that is not empty."""
    lines = path.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def _end_with_parent() -> None:
    """Has Linux end this process with the one that started it: a stage must not go on when another call begins it."""
    if _LIBC is not None:
        _LIBC.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
