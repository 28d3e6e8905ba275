"""One process at a time works in a folder; what killed writes have left there is cleared when the next one begins."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from einthoven.run.files import clear_torn_writes

LOCK = ".lock"
"""File that a process locks while it works in a folder. The system lets go of it when the process ends, however."""


def hold_folder(folder: Path, what: str | None = None) -> BaseFileLock:
    """Keeps other processes out of a folder until the lock is released, once for each call of this process.

    The folder is made where it is missing. If another process holds it, a ValueError names it, or `what`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.resolve() / LOCK, thread_local=False, is_singleton=True)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ValueError(
            f"another process is at work in {what or folder}: wait until it has ended, or choose another folder"
        ) from error
    if lock.lock_counter == 1:
        clear_torn_writes(folder, LOCK)
    return lock


@contextmanager
def held_folder(folder: Path, what: str | None = None) -> Iterator[None]:
    """Keeps other processes out of a folder for the time of the block; arguments and errors as for `hold_folder`."""
    lock = hold_folder(folder, what)
    try:
        yield
    finally:
        lock.release()
