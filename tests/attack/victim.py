"""Where cases run: each in a fork of a process that has imported everything, watched for time, memory and files."""

import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.attack.attempt import LONGEST_LINE, Attempt

SECONDS = 10
"""A case that computes for longer hangs."""
WAITED = 90.0
"""A case that takes longer hangs too: it waits for what never comes. Other work may share the machine."""
BYTES = 1 << 30
"""What a case may take beside what the process had."""
OUTSIDE = "outside"
"""Folder beside a case's own that nothing may be read from or written to."""
FAULTS = ("traceback", "unclear", "hang", "memory", "crash", "code", "outside", "wrong")
_PROGRAMS = ("git", "uname", "lscpu", "ldconfig")


@dataclass(frozen=True)
class Verdict:
    """How a case ended: `kind` is "result", "refused" or one of `FAULTS`."""

    kind: str
    message: str = ""
    what: str = ""
    seconds: float = 0.0


def run_case(make: Callable[[Path], Attempt]) -> Verdict:
    """Runs a case in a fork of this process, in a new folder."""
    root = Path(tempfile.mkdtemp(prefix="attack"))
    (root / "case").mkdir()
    (root / OUTSIDE).mkdir()
    reads, writes = os.pipe()
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.close(reads)
        _live(make, root, writes)
    os.close(writes)
    try:
        status, said = _wait(child, reads)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    seconds = time.perf_counter() - start
    fields: dict[str, Any] = json.loads(said) if said else {}
    if status is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return Verdict("hang", f"more than {SECONDS} s", fields.get("what", ""), seconds)
    if "kind" not in fields:
        return Verdict("crash", f"the process ended with status {status}", fields.get("what", ""), seconds)
    return Verdict(**fields, seconds=seconds)


def _wait(child: int, reads: int) -> tuple[int | None, bytes]:
    """Waits for a child's end, at most `WAITED`; returns its status, None where it was killed, and its last line."""
    os.set_blocking(reads, False)
    end, said, status = time.monotonic() + WAITED, b"", None
    pause = 0.001
    while time.monotonic() < end:
        pid, code = os.waitpid(child, os.WNOHANG)
        if pid:
            status = code
            break
        time.sleep(pause)
        pause = min(pause * 1.3, 0.02)
        said += _read(reads)
    if status is None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    said += _read(reads)
    os.close(reads)
    return status, said.strip().split(b"\n")[-1]


def _read(reads: int) -> bytes:
    try:
        return os.read(reads, 1 << 16)
    except BlockingIOError:
        return b""


def _live(make: Callable[[Path], Attempt], root: Path, writes: int) -> None:
    """Runs a case and tells its end; never returns."""
    gc.disable()
    try:
        verdict = _judge(make, root, lambda said: os.write(writes, json.dumps(said).encode() + b"\n"))
        os.write(writes, json.dumps(verdict).encode() + b"\n")
    finally:
        os._exit(0)


def _judge(make: Callable[[Path], Attempt], root: Path, tell: Callable[[dict[str, str]], object]) -> dict[str, str]:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.environ["TMPDIR"] = tempfile.tempdir = str(root / "case")
    (root / OUTSIDE / "secret").write_text("secret")
    attempt = make(root / "case")
    os.chdir(root / "case")
    trespasses = _watch(root)
    tell({"what": attempt.what})
    # Address space, as memory that is only asked for counts too.
    space = _status("VmSize") + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    before = _status("VmHWM")
    kind, message = _outcome(attempt)
    if trespasses:
        kind, message = trespasses[0]
    elif (root / OUTSIDE / "ran").exists():
        kind, message = "code", "code of the input ran"
    elif _status("VmHWM") - before > BYTES:
        kind, message = "memory", f"{(_status('VmHWM') - before) >> 20} MB"
    return {"kind": kind, "message": message[:2000], "what": attempt.what}


def _outcome(attempt: Attempt) -> tuple[str, str]:
    try:
        result = attempt.call()
    except BaseException as error:
        return _of_error(error, attempt)
    if attempt.refused:
        return "wrong", f"taken: {str(result)[:200]}"
    try:
        wrong = attempt.wrong(result)
    except BaseException as error:
        return "traceback", f"in looking at the result: {_trace(error)}"
    return ("wrong", wrong) if wrong else ("result", "")


def _of_error(error: BaseException, attempt: Attempt) -> tuple[str, str]:
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    if any(isinstance(one, MemoryError) or "allocate" in str(one) for one in chain):
        return "memory", _trace(error)
    if not (isinstance(error, ValueError) or (isinstance(error, OSError) and error.filename)):
        return "traceback", _trace(error)
    text = str(error)
    if not text or len(text) > LONGEST_LINE or any(letter in text for letter in "\n\r\0\x1b"):
        return "unclear", f"no clear line: {text[:300]!r}"
    if not any(name in text for name in attempt.names):
        return "unclear", f"names none of {', '.join(attempt.names)}: {text} [{_place(error)}]"
    return "refused", text


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-1:-4:-1])


def _trace(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:300]} [{_place(error)}]"


def _status(key: str) -> int:
    """Returns a line of /proc/self/status in bytes."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(key))
    return int(line.split()[1]) * 1024


def _watch(root: Path) -> list[tuple[str, str]]:
    """Notes programs that start, connections, and files that are opened where nothing may be."""
    found: list[tuple[str, str]] = []
    forbidden, own = os.path.realpath(root / OUTSIDE), (str(root), os.path.realpath(root), "/dev/", "/proc/self")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("os.system", "os.exec", "os.posix_spawn", "socket.connect"):
            found.append(("code", f"{event} {arguments}"[:300]))
        elif event == "subprocess.Popen" and os.path.basename(str(arguments[0])) not in _PROGRAMS:
            found.append(("code", f"{event} {arguments[:2]}"[:300]))
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path, flags = os.fsdecode(arguments[0]), arguments[2] or 0
            real = os.path.realpath(path)
            if real.startswith(forbidden):
                found.append(("outside", f"opened {path}"))
            elif flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not real.startswith(own):
                found.append(("outside", f"wrote {path}"))

    sys.addaudithook(hook)
    return found
