"""What runs in a child process of the server: one task after the other, told through a pipe.

A task is a function `(report, **arguments) -> dict` of plain values, named by its place, such as
`einthoven.web.tasks.repair`. What it raises as ValueError is for people to read; any other error is told by its kind
alone, as its text may hold what stands in the file.
"""

import importlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any

Report = Callable[..., None]
"""`report(done, total, message)`: how far a task has come, in seconds of the recording."""
READY, DONE, PROGRESS, REFUSED, BROKEN = "ready", "done", "progress", "refused", "broken"
"""What a child says: nothing, with a result, with how far it is, with a message for people, with an error's kind."""


@dataclass(frozen=True)
class ChildSettings:
    """How a child process is set up.

    Attributes:
        folder: Where its temporary files go; emptied when it has been killed.
        warm: Place of a function without arguments that is called before the first task; "": none.
        extra_memory: Bytes that it may take beyond what it has once it is warm; None: no limit.
    """

    folder: Path
    warm: str = ""
    extra_memory: int | None = None


def serve_tasks(pipe: "connection.Connection[Any, Any]", settings: ChildSettings) -> None:
    """Does the tasks that come through a pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the server ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tempfile.tempdir = str(settings.folder)
    if settings.warm:
        find_task(settings.warm)()
    if settings.extra_memory is not None:
        _limit_memory(settings.extra_memory)
    pipe.send((READY, None))
    while True:
        try:
            place, arguments = pipe.recv()
        except (EOFError, OSError):
            return
        with suppress(OSError):  # the server is gone
            pipe.send(_do(place, arguments, pipe))


def find_task(place: str) -> Callable[..., Any]:
    """Imports a function by its place."""
    module, _, name = place.rpartition(".")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def run_task(place: str, arguments: Mapping[str, Any], report: Report) -> tuple[str, Any]:
    """Does one task and says how it ended, as a child does."""
    try:
        return DONE, find_task(place)(report, **arguments)
    except ValueError as error:
        return REFUSED, " ".join(str(error).split())
    except MemoryError:
        return REFUSED, "it takes more memory than the server allows"
    except Exception as error:
        return BROKEN, type(error).__name__


def _do(place: str, arguments: Mapping[str, Any], pipe: "connection.Connection[Any, Any]") -> tuple[str, Any]:
    def report(done: float, total: float, message: str = "") -> None:
        pipe.send((PROGRESS, (done, total, message)))

    return run_task(place, arguments, report)


def _end_with_parent() -> None:
    """Ends this process, whatever it is doing, as soon as the server has ended."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _limit_memory(extra: int) -> None:
    """Limits the address space of this process to what it has and some bytes; only where the system can say it."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra, hard))
