"""What happens to a script while it works: a signal, or a disk that fails, at a file operation or at a time."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.scripts import fork_context, run_here

WRITING = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}
"""Python's audit events of what changes a folder."""
STATUS = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 143, "SIGINT": 130}
"""How a script ends by them."""
FAILURES = {"full": errno.ENOSPC, "read-only": errno.EACCES}
"""What a disk answers from some operation on."""
SIZE = "size"
"""The blow that lets no file grow over a number of bytes, so that a write ends early."""
TMPFS = "tmpfs"
"""The blow that lets a script work on a disk that is really too small, a tmpfs, where one may be mounted."""
WORKER = "a worker"
"""The blow that kills the process in which Ray does a script's work."""
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Blow:
    """What happens, and when.

    Attributes:
        name: A signal, one of `FAILURES`, or `SIZE`.
        operation: At which file operation in the folder, counted from 0.
        seconds: After how many seconds of the script instead.
        size: Bytes, for `SIZE` and `TMPFS`.
    """

    name: str
    operation: int | None = None
    seconds: float | None = None
    size: int = 0

    def __str__(self) -> str:
        place = f"operation {self.operation}" if self.seconds is None else f"{self.seconds:.2f} s"
        return f"{self.name} at {self.size} bytes" if self.name in (SIZE, TMPFS) else f"{self.name} at {place}"


@dataclass(frozen=True)
class End:
    """How a script ended.

    Attributes:
        status: Its exit status, negative for a signal that killed it.
        stderr: What it wrote there.
        stdout: What it wrote there.
        seconds: How long it took.
        operations: File operations in the folder, where it came to its end by itself.
    """

    status: int
    stderr: str
    stdout: str
    seconds: float
    operations: int


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[int], None]]:
    """Mounts a tmpfs of so many bytes on a folder for the time of the block; yields what gives it another size.

    Raises:
        PermissionError: If this process may not mount one.
    """

    def mount(size: int, remount: str = "") -> None:
        options = f"{remount}size={size}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            raise PermissionError(f"no tmpfs can be mounted here: {done.stderr.strip()}")

    if sys.platform != "linux" or os.geteuid():
        raise PermissionError("no tmpfs can be mounted here: that takes Linux, and root")
    mount(size)
    try:
        yield lambda more: mount(more, "remount,")
    finally:
        subprocess.run(["umount", folder], check=True)


def start(module: str, words: list[str], folder: Path, output: Path, blow: Blow | None = None) -> Any:
    """Starts a script in a process that is forked from one with the libraries loaded.

    Args:
        module: The script.
        words: Its overrides.
        folder: The folder whose operations count.
        output: Folder that gets the files stdout, stderr and operations.
        blow: What happens to it.
    """
    output.mkdir(parents=True, exist_ok=True)
    process = fork_context().Process(target=_run, args=(module, words, str(folder), str(output), blow))
    process.begun = time.perf_counter()
    process.start()
    return process


def end_of(process: Any, output: Path) -> End:
    """Waits for the end of a script that was started."""
    process.join(TIMEOUT_S)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"no end after {TIMEOUT_S:g} s: {(output / 'stderr').read_text()}")
    said = {name: (output / name).read_text("utf-8", errors="replace") for name in ("stdout", "stderr")}
    counted = output / "operations"
    count = int(counted.read_text()) if counted.is_file() else 0
    return End(process.exitcode, said["stderr"], said["stdout"], time.perf_counter() - process.begun, count)


def kill_worker(process: Any, seconds: float) -> bool:
    """Kills a worker that Ray has started for a script so long after it is there; False where the script ended first.

    Ray names its processes by what they do.
    """
    end = time.monotonic() + TIMEOUT_S
    while process.is_alive() and time.monotonic() < end:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                if "Worker(" in "".join(child.cmdline()[:1]):
                    time.sleep(seconds)
                    child.kill()
                    return True
        time.sleep(0.1)
    return False


def _run(module: str, words: list[str], folder: str, output: str, blow: Blow | None) -> None:
    files = [os.path.join(output, name) for name in ("stdout", "stderr")]
    for file in files:
        Path(file).unlink(missing_ok=True)
    watch = _Watch(folder, blow)
    if blow is not None and blow.seconds is not None:
        number = signal.Signals[blow.name]
        timer = threading.Timer(blow.seconds, lambda: os.kill(os.getpid(), number))
        timer.daemon = True
        timer.start()
    if blow is not None and blow.name == SIZE:
        resource.setrlimit(resource.RLIMIT_FSIZE, (blow.size, blow.size))
    sys.addaudithook(watch)
    try:
        run_here(module, words, {**os.environ, "OMP_NUM_THREADS": "1"}, files)
    finally:
        watch.blow = None
        Path(output, "operations").write_text(str(watch.count))


class _Watch:
    """Counts operations that change a folder, and strikes at one of them."""

    def __init__(self, folder: str, blow: Blow | None) -> None:
        self.folder, self.blow, self.count, self.owner = folder + os.sep, blow, 0, os.getpid()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in WRITING or os.getpid() != self.owner:
            return
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike) or not (os.fsdecode(path) + os.sep).startswith(self.folder):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        place, self.count = self.count, self.count + 1
        blow = self.blow
        if blow is None or blow.operation is None or place < blow.operation:
            return
        if blow.name in FAILURES:
            if event not in ("os.remove", "os.rmdir", "shutil.rmtree") or blow.name == "read-only":
                number = FAILURES[blow.name]
                raise OSError(number, os.strerror(number), os.fsdecode(path))
        elif place == blow.operation:
            os.kill(os.getpid(), signal.Signals[blow.name])
