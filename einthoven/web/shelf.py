"""The recordings that the server holds: in a temporary folder, under ids that nobody can guess, for an hour.

Each server has a folder of its own with a lock; a new one removes those whose server has ended without doing so.
"""

import os
import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from einthoven.web.lanes import QUEUED, RUNNING, Job

PREFIX = "einthoven-web-"
_LOCK = ".lock"
_SETTLED_S = 60.0
"""A folder without a lock may be one that a server is just making, for so long."""


@dataclass
class Result:
    """What a job has made.

    Attributes:
        job: Id of the job, and of the result.
        kind: Kind of the job.
        folder: Where it lies.
        told: What the page is told of it.
    """

    job: str
    kind: str
    folder: Path
    told: dict[str, Any]


@dataclass
class Held:
    """A recording that the server holds.

    Attributes:
        id: Its id.
        folder: Where it lies.
        facts: What is told of it.
        used: When it was asked for last, on the monotonic clock.
        jobs: Its jobs, by id, the oldest first.
        results: What they made.
        verdict: What was found to be bad, once it is known.
        electrodes: Where the electrodes probably were, once it is known.
        measures: Tables of measures, by id of the result, "" for the recording itself.
    """

    id: str
    folder: Path
    facts: dict[str, Any]
    used: float = field(default_factory=time.monotonic)
    jobs: dict[str, Job] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    verdict: dict[str, Any] | None = None
    electrodes: dict[str, Any] | None = None
    measures: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def is_busy(self) -> bool:
        """Whether a job of it waits or runs."""
        return any(job.state in (QUEUED, RUNNING) for job in list(self.jobs.values()))

    def job_of(self, kind: str) -> Job | None:
        """Returns its newest job of a kind."""
        return next((job for job in reversed(list(self.jobs.values())) if job.kind == kind), None)


class Shelf:
    """Holds recordings: see the module.

    Args:
        keep_s: Seconds after its last use that a recording is kept.
        most: Most recordings; the one that was used longest ago goes first.
        most_bytes: Most bytes on disk, likewise.
    """

    def __init__(self, keep_s: float = 3600.0, most: int = 50, most_bytes: int = 8_000_000_000) -> None:
        self.keep_s, self.most, self.most_bytes = keep_s, most, most_bytes
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = FileLock(self.folder / _LOCK)
        self._lock.acquire(blocking=False)
        self._held: dict[str, Held] = {}
        self._guard = threading.RLock()
        self._count = 0

    def new_folder(self) -> Path:
        """Makes an empty folder."""
        with self._guard:
            self._count += 1
            folder = self.folder / f"{self._count:06d}"
        folder.mkdir()
        return folder

    def new_folder_in(self, held: Held) -> Path:
        """Names a new folder of a recording; who uses it makes it."""
        with self._guard:
            self._count += 1
            return held.folder / f"{self._count:06d}"

    def add(self, folder: Path, facts: dict[str, Any]) -> Held:
        """Holds a recording that lies in a folder."""
        held = Held(secrets.token_urlsafe(16), folder, facts)
        with self._guard:
            self._held[held.id] = held
        return held

    def get(self, id: str) -> Held | None:  # noqa: A002 (what it is)
        """Returns a recording, and notes that it is used; None where there is no such."""
        with self._guard:
            held = self._held.get(id)
            if held is not None:
                held.used = time.monotonic()
            return held

    def find_job(self, id: str) -> tuple[Held, Job] | None:  # noqa: A002 (what it is)
        """Returns a job with its recording."""
        with self._guard:
            for held in self._held.values():
                if id in held.jobs:
                    held.used = time.monotonic()
                    return held, held.jobs[id]
        return None

    def remove(self, held: Held) -> None:
        """Forgets a recording and removes its files."""
        with self._guard:
            self._held.pop(held.id, None)
        shutil.rmtree(held.folder, ignore_errors=True)

    def outdated(self) -> list[Held]:
        """Lists the recordings to remove: too old, too many, too large; none that a job works on is too many."""
        with self._guard:
            by_age = sorted(self._held.values(), key=lambda held: held.used)
        now = time.monotonic()
        old = [held for held in by_age if now - held.used > self.keep_s]
        rest = [held for held in by_age if held not in old]
        sizes = {held.id: _size(held.folder) for held in rest}
        for held in list(rest[:-1]):
            if len(rest) <= self.most and sum(sizes[each.id] for each in rest) <= self.most_bytes:
                break
            if not held.is_busy:
                old.append(held)
                rest.remove(held)
        return old

    def close(self) -> None:
        """Removes everything."""
        with self._guard:
            self._held.clear()
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep() -> None:
    """Removes the folders of servers that have ended without doing so."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            status = folder.lstat()
            if folder.is_symlink() or not folder.is_dir() or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
                continue
            if not (folder / _LOCK).exists() and time.time() - status.st_mtime < _SETTLED_S:
                continue
            with FileLock(folder / _LOCK, blocking=False):
                pass
            shutil.rmtree(folder, ignore_errors=True)
        except (OSError, Timeout):
            continue


def _size(folder: Path) -> int:
    """Returns the bytes of the files in a folder; those that vanish meanwhile do not count."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return total
