"""Jobs, one at a time in a lane: a queue, a thread that watches, and a child process that works and can be killed.

A crash of the child costs the job that it was doing, and nothing else: the next one gets a new process.
"""

import multiprocessing
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from einthoven.web.child import DONE, PROGRESS, READY, REFUSED, ChildSettings, serve_tasks

QUEUED, RUNNING, FINISHED, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
LONGEST_QUEUE = 32
_STOP_S = 5.0
_WARM_S = 120.0
"""Longest time that a process takes before it is ready; a job's own limit counts from then on."""


class Busy(Exception):
    """The queue is full."""


@dataclass
class Job:
    """A piece of work.

    Attributes:
        kind: What it is, for people.
        task: Place of the function that does it.
        arguments: Its arguments.
        recording: Id of the recording that it is about.
        urgent: Whether somebody waits for it: it goes before those for which nobody does.
        limit_s: Seconds, of a process that is ready, after which it is given up; None: never.
        then: Called with its result, in the lane's thread, before it counts as done.
        state: "queued", "running", "done", "failed" or "cancelled".
        done: How far it is, of `total`.
        message: For people: what it is doing, or why it failed.
        ended: Set when it has ended, with its final state.
    """

    kind: str
    task: str
    arguments: Mapping[str, Any]
    recording: str = ""
    urgent: bool = True
    limit_s: float | None = None
    then: Callable[[Any], None] | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: str = QUEUED
    done: float = 0.0
    total: float = 0.0
    message: str = ""
    started: float | None = None
    stopped: float | None = None
    progressed: tuple[float, float] | None = None
    ended: "Future[str]" = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.ended.set_running_or_notify_cancel()  # who waits for it may give up without ending it

    @property
    def seconds(self) -> float:
        """Seconds that it has been running."""
        if self.started is None:
            return 0.0
        return (self.stopped or time.monotonic()) - self.started

    @property
    def seconds_left(self) -> float | None:
        """Seconds that it will take yet at its pace so far; None: not known."""
        if self.state != RUNNING or self.progressed is None:
            return None
        done, when = self.progressed
        if not 0 < done <= self.total or self.started is None:
            return None
        pace = (when - self.started) / done
        return max(0.0, pace * (self.total - done) - (time.monotonic() - when))

    def end(self, state: str, message: str = "") -> None:
        """Notes how it ended, once."""
        if self.ended.done():
            return
        self.state, self.message, self.stopped = state, message, time.monotonic()
        if state == FINISHED:
            self.done = self.total = self.total or 1.0
        self.ended.set_result(state)


class Lane:
    """A queue of jobs with a process that does them.

    Args:
        name: Of its thread and process.
        settings: How the process is set up.
        early: Whether the process starts at once, and anew after each that was killed, so that it is warm in time.
    """

    def __init__(self, name: str, settings: ChildSettings, *, early: bool = True) -> None:
        self.name, self.settings, self.early = name, settings, early
        self._queue: deque[Job] = deque()
        self._changed = threading.Condition()
        self._running: Job | None = None
        self._closed = False
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._thread = threading.Thread(target=self._work, name=f"einthoven-{name}", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Puts a job into the queue, behind those that are as urgent; raises `Busy` where it is full."""
        with self._changed:
            if self._closed or len(self._queue) >= LONGEST_QUEUE:
                raise Busy
            place = len(self._queue)
            if job.urgent:
                place = next((number for number, each in enumerate(self._queue) if not each.urgent), place)
            self._queue.insert(place, job)
            self._changed.notify_all()

    def position(self, job: Job) -> int:
        """Returns how many jobs come before a job, the running one among them; 0: it is running, or has ended."""
        with self._changed:
            return self._queue.index(job) + (self._running is not None) if job in self._queue else 0

    def cancel(self, job: Job) -> None:
        """Ends a job at once: one that waits leaves the queue, one that runs loses its process."""
        with self._changed:
            if job in self._queue:
                self._queue.remove(job)
            elif self._running is job and self._process is not None:
                job.state = CANCELLED  # what the thread finds when the process is gone
                self._process.kill()
            if not job.ended.done():
                job.end(CANCELLED, "cancelled")

    def close(self) -> None:
        """Ends all jobs and the process."""
        with self._changed:
            self._closed = True
            for job in self._queue:
                job.end(CANCELLED, "the server has ended")
            self._queue.clear()
            if self._process is not None:
                self._process.kill()
            self._changed.notify_all()
        self._thread.join(_STOP_S)
        self._drop()

    def _work(self) -> None:
        while True:
            if self.early and not self._closed:
                self._ready()
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                job = self._running = self._queue.popleft()
                job.state, job.started = RUNNING, time.monotonic()
            try:
                self._do(job)
            finally:
                with self._changed:
                    self._running = None

    def _do(self, job: Job) -> None:
        """Has the process do a job, and notes how it ended."""
        try:
            pipe = self._ready()
            if job.ended.done():  # cancelled while the process started
                return
            pipe.send((job.task, dict(job.arguments)))
            kind, content = self._result(job, pipe)
        except (EOFError, OSError):
            self._drop()
            job.end(FAILED, "the process that did it has ended, perhaps for want of memory; nothing else is lost")
            return
        if job.ended.done():
            self._drop()  # it was killed, even if its last words came through
            return
        if kind == DONE:
            try:
                if job.then is not None:
                    job.then(content)
                job.end(FINISHED)
            except Exception as error:
                job.end(FAILED, f"its result could not be kept ({type(error).__name__})")
        else:
            job.end(FAILED, content if kind == REFUSED else f"it failed with an internal error ({content})")

    def _result(self, job: Job, pipe: Connection) -> tuple[str, Any]:
        """Waits for the end of a job; EOFError where its process ends first or takes too long."""
        deadline = None if job.limit_s is None else time.monotonic() + job.limit_s + _WARM_S
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and (left <= 0 or not wait([pipe], left)):
                self._drop()
                job.end(FAILED, f"it took more than {job.limit_s:g} s and was given up")
                return REFUSED, ""
            kind, content = pipe.recv()
            if kind == READY:
                deadline = None if job.limit_s is None else time.monotonic() + job.limit_s
                continue
            if kind != PROGRESS:
                return kind, content
            done, total, message = content
            job.done, job.total = done, total
            if not job.ended.done():
                job.message = message or job.message
            if done > 0:
                job.progressed = (done, time.monotonic())

    def _ready(self) -> Connection:
        """Returns the pipe of a process that is alive; starts one where there is none."""
        with self._changed:
            if self._pipe is not None and self._process is not None and self._process.is_alive():
                return self._pipe
        self._drop()
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve_tasks, args=(theirs, self.settings), name=f"einthoven-{self.name}", daemon=True
        )
        with self._changed:
            if self._closed:
                raise EOFError
            process.start()
            self._process, self._pipe = process, ours
        theirs.close()
        return ours

    def _drop(self) -> None:
        """Ends the process, and removes what it has left."""
        with self._changed:
            process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.kill()
            process.join(_STOP_S)
            process.close()
        shutil.rmtree(self.settings.folder, ignore_errors=True)
