"""What the server does with recordings: takes them in, has jobs done, tells of both. It knows nothing of HTTP."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from anyio import to_thread

from einthoven.ecg.leads import LEADS
from einthoven.web import doors
from einthoven.web.downloads import file_names
from einthoven.web.lanes import FINISHED, QUEUED, RUNNING, Busy, Job
from einthoven.web.shelf import Held, Result, Shelf
from einthoven.web.uploads import stored_suffix

READING_S, DRAWING_S = 60.0, 120.0
"""Longest times that a reader gets for an upload, and that making a file takes."""
FIRST_VERDICT_S = 120.0
"""Of a longer recording the first verdict looks at so much."""
KINDS = ("verdict", "repair", "reconstruct", "denoise", "correct", "measures", "electrodes")
_TASKS = {"verdict": "judge", "denoise": "reconstruct", "measures": "measure", "electrodes": "check_electrodes"}
_MAKING = ("repair", "reconstruct", "denoise", "correct")
"""Jobs that make a result."""
_MOST_RESULTS, _MOST_JOBS = 12, 100


class Queue(Protocol):
    """Where jobs are done: see `einthoven.web.lanes.Lane`."""

    def submit(self, job: Job) -> None:
        """Puts a job at the end."""

    def position(self, job: Job) -> int:
        """Returns how many jobs come before one."""

    def cancel(self, job: Job) -> None:
        """Ends a job."""

    def close(self) -> None:
        """Ends all jobs."""


@dataclass(frozen=True)
class Queues:
    """The queues, by what is done in them: reading uploads, working with networks, making files."""

    reader: Queue
    worker: Queue
    clerk: Queue


class Service:
    """The recordings of a server, and its queues.

    Args:
        shelf: Holds the recordings.
        queues: Where work is done.
        max_decoded: Most bytes of unpacked files and of a recording's samples.
    """

    def __init__(self, shelf: Shelf, queues: Queues, max_decoded: int) -> None:
        self.shelf, self.queues, self.max_decoded = shelf, queues, max_decoded

    async def take_in(
        self, files: Sequence[tuple[str, IO[bytes]]], options: Mapping[str, Any]
    ) -> tuple[list[Held], list[dict[str, str]]]:
        """Reads uploaded files, none of them for the bundled ECG; returns recordings and, by file, what is wrong.

        Raises:
            ValueError: If nothing could be read at all.
        """
        folder = self.shelf.new_folder()
        try:
            stored = await to_thread.run_sync(_store, files, folder)
            arguments = {"files": stored, "folder": str(folder / "read"), "max_bytes": self.max_decoded, **options}
            found: dict[str, Any] = {}
            job = Job("reading", "einthoven.web.reading.read_upload", arguments, limit_s=READING_S, then=found.update)
            await self._done(self.queues.reader, job)
            held = [self._hold(each) for each in found["recordings"]]
        finally:
            await to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))
        for each in held:
            self.begin(each)
        return held, found["problems"]

    def begin(self, held: Held) -> None:
        """Starts what every recording gets unasked: the verdict, and the electrodes check where there is one."""
        with suppress(Busy):  # then it is there on request
            self.submit(held, "verdict", {"until": min(held.facts["duration"], FIRST_VERDICT_S)}, urgent=False)
            if doors.offers(doors.CHECK_ELECTRODES):
                self.submit(held, "electrodes", {}, urgent=False)

    def submit(self, held: Held, kind: str, options: Mapping[str, Any], *, urgent: bool = True) -> Job:
        """Puts a job into the queue; an urgent one before those for which nobody waits.

        Raises:
            Busy: If the queue is full.
        """
        arguments: dict[str, Any] = {"folder": str(held.folder), **options}
        if kind in ("reconstruct", "denoise"):
            arguments["kind"] = kind
        result = self.shelf.new_folder_in(held) if kind in _MAKING else None
        if result is not None:
            arguments["result"] = str(result)
        job = Job(kind, f"einthoven.web.tasks.{_TASKS.get(kind, kind)}", arguments, held.id, urgent)
        job.then = lambda told: self._keep(held, job, result, told)

        def clear(_: object) -> None:
            if result is not None and job.state != FINISHED:
                shutil.rmtree(result, ignore_errors=True)

        job.ended.add_done_callback(clear)
        self.queues.worker.submit(job)
        held.jobs[job.id] = job
        for old in [each.id for each in held.jobs.values() if each.ended.done()][:-_MOST_JOBS]:
            del held.jobs[old]
        return job

    def cancel(self, job: Job) -> None:
        """Ends a job at once."""
        self.queues.worker.cancel(job)

    def remove(self, held: Held) -> None:
        """Ends the jobs of a recording and removes it."""
        for job in list(held.jobs.values()):
            self.cancel(job)
        self.shelf.remove(held)

    async def make_file(
        self, held: Held, result: Result | None, name: str, look: Mapping[str, Any], *, patient: bool
    ) -> Path:
        """Makes a file of a recording or of a result; ValueError where it cannot be made."""
        folder = self.shelf.new_folder_in(held)
        target = folder / f"made{Path(name).suffix}"
        arguments = {
            "folder": str(held.folder),
            "result": None if result is None else str(result.folder),
            "name": name,
            "target": str(target),
            "look": dict(look),
            "patient": patient,
        }
        try:
            await self._done(
                self.queues.clerk, Job("file", "einthoven.web.downloads.make_file", arguments, limit_s=DRAWING_S)
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return target

    def summary(self, held: Held) -> dict[str, Any]:
        """Tells what there is of a recording, as plain values."""
        offered = doors.offers(doors.CHECK_ELECTRODES)
        nothing = {"until": 0.0, "hum": {}, "edges": [], "leads": {}}
        unknown = {"note": "", "remark": "", "best": "", "probabilities": {}}
        electrodes = {**unknown, **(held.electrodes or {}), **self._state(held, "electrodes", held.electrodes)}
        return {
            "id": held.id,
            **held.facts,
            "verdict": {**nothing, **(held.verdict or {}), **self._state(held, "verdict", held.verdict)},
            "electrodes": electrodes if offered else {**unknown, "state": "unavailable", "job": None, "error": None},
            "jobs": [self.tell(job) for job in list(held.jobs.values())],
            "results": [
                {"id": each.job, "kind": each.kind, **each.told, "files": file_names(each.kind)}
                for each in held.results
            ],
            "files": file_names(None),
        }

    def tell(self, job: Job) -> dict[str, Any]:
        """Tells how far a job is, as plain values."""
        return {
            "id": job.id,
            "recording": job.recording,
            "kind": job.kind,
            "state": job.state,
            "position": self.queues.worker.position(job),
            "done": job.done,
            "total": job.total,
            "seconds": round(job.seconds, 3),
            "seconds_left": None if job.seconds_left is None else round(job.seconds_left, 1),
            "message": job.message,
        }

    def measures(self, held: Held, result: Result | None) -> dict[str, Any]:
        """Tells the measures of a recording or of a result, and has them measured where they were not yet."""
        if not doors.offers(doors.MEASURE):
            return {"state": "unavailable", "error": "this version of Einthoven measures nothing"}
        key = "" if result is None else result.job
        if key in held.measures:
            return {"state": FINISHED, "rows": held.measures[key]}
        folder = None if result is None else str(result.folder)
        jobs = [job for job in held.jobs.values() if job.kind == "measures" and job.arguments["result"] == folder]
        job = jobs[-1] if jobs else self.submit(held, "measures", {"result": folder})
        if job.state in (QUEUED, RUNNING) or key in held.measures:
            return {"state": job.state, "job": self.tell(job)}
        return {"state": job.state, "error": job.message}

    def close(self) -> None:
        """Ends all jobs and removes all recordings."""
        for queue in (self.queues.reader, self.queues.worker, self.queues.clerk):
            queue.close()
        self.shelf.close()

    async def tidy(self, every_s: float) -> None:
        """Removes, from time to time and for ever, the recordings that are too old or too many."""
        while True:
            await asyncio.sleep(every_s)
            for held in await to_thread.run_sync(self.shelf.outdated):
                await to_thread.run_sync(self.remove, held)

    async def _done(self, queue: Queue, job: Job) -> None:
        """Has a job done; ValueError where it fails, and it is cancelled where nobody waits for it any more."""
        queue.submit(job)
        try:
            state = await asyncio.wrap_future(job.ended)
        except asyncio.CancelledError:
            queue.cancel(job)
            raise
        if state != FINISHED:
            raise ValueError(job.message)

    def _hold(self, read: Mapping[str, Any]) -> Held:
        folder = self.shelf.new_folder()
        folder.rmdir()  # which a rename replaces on some systems only
        Path(read["folder"]).rename(folder)
        return self.shelf.add(folder, read["facts"])

    def _keep(self, held: Held, job: Job, result: Path | None, told: dict[str, Any]) -> None:
        """Keeps what a job has found."""
        if job.kind == "electrodes":
            held.electrodes = told
        elif job.kind == "measures":
            folder = job.arguments["result"]
            key = next((each.job for each in held.results if str(each.folder) == folder), "")
            held.measures[key] = told["rows"]
        elif result is None:
            held.verdict = told
        else:
            held.verdict = told.pop("verdict", held.verdict)
            held.results.append(Result(job.id, job.kind, result, told))
            for old in held.results[:-_MOST_RESULTS]:
                held.results.remove(old)
                shutil.rmtree(old.folder, ignore_errors=True)

    def _state(self, held: Held, kind: str, known: object) -> dict[str, Any]:
        job = held.job_of(kind)
        if job is None or (known is not None and job.ended.done()):
            state = "none" if known is None else FINISHED
            return {"state": state, "job": None if job is None else job.id, "error": None}
        failed = job.ended.done() and job.state != FINISHED
        return {"state": job.state, "job": job.id, "error": job.message if failed else None}


def _store(files: Sequence[tuple[str, IO[bytes]]], folder: Path) -> list[tuple[str, str]]:
    """Writes uploaded files under numbers."""
    stored = []
    for number, (name, file) in enumerate(files):
        path = folder / f"uploaded{number}{stored_suffix(name)}"
        with path.open("xb") as target:
            shutil.copyfileobj(file, target, 1 << 20)
        stored.append((name, str(path)))
    return stored


def check_options(kind: object, options: Mapping[str, Any], leads: Sequence[str]) -> dict[str, Any]:
    """Returns the options of a job of a kind.

    Args:
        kind: What is asked for.
        options: What is asked for beside it, by name.
        leads: Leads of the recording.

    Raises:
        ValueError: If there is no such kind or option, or it has no such value.
    """
    if kind not in KINDS or kind == "measures":
        raise ValueError(f"kind must be one of {', '.join(each for each in KINDS if each != 'measures')}")
    taken: dict[str, Any] = {}
    known = {"repair": ("complete",), "reconstruct": ("leads", "n_samples"), "denoise": ("leads", "n_samples")}
    for name, value in options.items():
        if name not in known.get(str(kind), ()):
            raise ValueError(f"{kind} takes no option {name!r}")
        if name == "complete" and not isinstance(value, bool):
            raise ValueError("complete must be true or false")
        if name == "n_samples" and (isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= 20):
            raise ValueError("n_samples must be a whole number, 2 to 20")
        if name == "leads":
            value = wanted_leads(value, leads)
        taken[name] = value
    return taken


def wanted_leads(value: object, leads: Sequence[str]) -> list[str]:
    """Checks a list of leads; ValueError where one is not there."""
    names = list(value) if isinstance(value, list | tuple) else []
    if not names or any(name not in leads for name in names) or len(set(names)) < len(names):
        known = [lead for lead in LEADS if lead in leads]
        raise ValueError(f"leads must be some of {', '.join(known or leads)}")
    return names
