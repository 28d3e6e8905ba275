"""Kills scripts again and again, lets them go on, and compares what they leave with what an undisturbed run leaves."""

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from tests.kills.blows import FAILURES, SIZE, STATUS, TMPFS, WORKER, Blow, End, end_of, kill_worker, small_disk, start
from tests.kills.jobs import Job

LOOSE = {".png", ".pdf", ".html", ".log", ".jsonl", ".md", ".tex"}
"""Files that hold times or that another library writes: they must be there, and hold something."""
TIMED = {"seconds", "memory_mb", "started_at", "ended_at", "machine"}
"""Columns, metrics and keys that no two runs share."""
SIGNALS = (*["SIGKILL"] * 3, "SIGTERM", "SIGINT")
TRIES = 4
"""A run that was struck so often comes to its end undisturbed."""
WORKER_S = 5.0
"""Seconds after which a worker has most likely done its work."""
ROOMY = 256 << 20
"""Bytes of a disk that has room."""


@dataclass
class Result:
    """What came of the blows at one job.

    Attributes:
        blows: How many there were, by name.
        missed: How many came when the script had ended.
        faults: What went wrong, a line each.
    """

    job: str
    blows: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    faults: list[str] = field(default_factory=list)


class Attack:
    """Blows at one job.

    Args:
        job: The job.
        data: Folder of the data.
        folder: Folder for its runs.
        seed: Seed of what happens when.
    """

    def __init__(self, job: Job, data: Path, folder: Path, seed: int = 0) -> None:
        self.job, self.data, self.folder = job, data, folder
        self.rng = np.random.default_rng([seed, *job.name.encode()])
        self.result = Result(job.name)
        self.n_runs = 0
        first = self.run(self.place())
        if first.status != 0:
            raise RuntimeError(f"{job.name} does not run: {first.stderr[-2000:]}")
        self.whole, self.expected = first, contents(self.last)
        self.n_bytes = sum(file.stat().st_size for file in self.last.rglob("*") if file.is_file())
        shutil.rmtree(self.last)

    def place(self) -> Path:
        """Returns a new folder for a run."""
        self.n_runs += 1
        self.last = self.folder / f"{re.sub(r'[^a-z]+', '_', self.job.name.lower())}-{self.n_runs}"
        self.last.mkdir(parents=True)
        return self.last

    def run(self, place: Path, blow: Blow | None = None) -> End:
        """Runs the job in a folder to its end, or to its blow."""
        output = self.folder / f"{place.name}.said"
        return end_of(start(self.job.module, self.job.overrides(self.data, place), place, output, blow), output)

    def draw(self) -> Blow:
        """Draws a signal: three of four at a file operation, the others at a time."""
        name = str(self.rng.choice(SIGNALS))
        if self.whole.operations and self.rng.random() < 0.75:
            return Blow(name, operation=int(self.rng.integers(self.whole.operations)))
        return Blow(name, seconds=float(self.rng.uniform(0.02, 1.0) * self.whole.seconds))

    def strike(self, n_blows: int) -> None:
        """Strikes with signals so often; after a few the run goes on to its end, and is compared."""
        while sum(self.result.blows.values()) < n_blows:
            place, blows = self.place(), []
            for _ in range(min(int(self.rng.integers(1, TRIES)), n_blows - sum(self.result.blows.values()))):
                blow = self.draw()
                end = self.run(place, blow)
                if end.status == 0:
                    self.result.missed += 1
                    break
                blows.append(str(blow))
                self.result.blows[blow.name] = self.result.blows.get(blow.name, 0) + 1
                self._check_end(blow, end)
            self.finish(place, ", ".join(blows))

    def kill_workers(self, n_blows: int) -> None:
        """Kills a worker of Ray so often, each in a run of its own, which goes on without it."""
        for _ in range(n_blows):
            place = self.place()
            output = self.folder / f"{place.name}.said"
            process = start(self.job.module, self.job.overrides(self.data, place), place, output)
            is_killed = kill_worker(process, float(self.rng.uniform(0, WORKER_S)))
            end = end_of(process, output)
            self.result.blows[WORKER] = self.result.blows.get(WORKER, 0) + is_killed
            self.result.missed += not is_killed
            if end.status != 0:
                self.fault(WORKER, f"exit status {end.status}: {end.stderr[-1500:]}")
            for line in differences(self.expected, contents(place)):
                self.fault(WORKER, line)
            self.remove(place)

    def fail(self, name: str, n_blows: int) -> None:
        """Lets the disk fail so often: it is full, or cannot be written into, or files may not grow."""
        for _ in range(n_blows):
            place = self.place()
            blow = Blow(name, operation=int(self.rng.integers(max(1, self.whole.operations))))
            if name == SIZE:
                blow = Blow(name, size=int(2 ** self.rng.uniform(6, 14)))
            end = self.run(place, blow)
            self.result.blows[name] = self.result.blows.get(name, 0) + 1
            self._check_failure(blow, end)
            self.finish(place, str(blow))

    def fill(self, n_blows: int) -> None:
        """Lets it work so often on a disk that is too small, a tmpfs, which then becomes larger.

        Raises:
            PermissionError: If none may be mounted.
        """
        for _ in range(n_blows):
            place = self.place()
            blow = Blow(TMPFS, size=int(self.rng.uniform(0.05, 1.0) * self.n_bytes))
            with small_disk(place, blow.size) as resize:
                end = self.run(place)
                self.result.blows[TMPFS] = self.result.blows.get(TMPFS, 0) + 1
                self._check_failure(blow, end)
                resize(ROOMY)
                self.compare(place, str(blow))
            self.remove(place)

    def start_two(self) -> None:
        """Starts it twice at once in one folder: one or both come to the end, and none harms the other."""
        place = self.place()
        outputs = [self.folder / f"{place.name}.{number}.said" for number in (1, 2)]
        words = self.job.overrides(self.data, place)
        ends = [end_of(*pair) for pair in [(start(self.job.module, words, place, one), one) for one in outputs]]
        self.result.blows["two at once"] = self.result.blows.get("two at once", 0) + 1
        statuses = sorted(end.status for end in ends)
        refusals = [end.stderr for end in ends if end.status == 2]
        if statuses not in ([0, 0], [0, 2]) or not all("another process is at work" in text for text in refusals):
            self.fault("two at once", f"exit statuses {statuses}: {[end.stderr[-700:] for end in ends]}")
        self.finish(place, "two at once")

    def finish(self, place: Path, what: str) -> None:
        """Lets a run go on to its end, compares its files with those of an undisturbed one, and removes them."""
        self.compare(place, what)
        self.remove(place)

    def compare(self, place: Path, what: str) -> None:
        """Lets a run go on to its end, and compares its files with those of an undisturbed one."""
        end = self.run(place)
        if end.status != 0:
            self.fault(what, f"does not go on, exit status {end.status}: {end.stderr[-1500:]}")
        else:
            for line in differences(self.expected, contents(place)):
                self.fault(what, line)

    def remove(self, place: Path) -> None:
        """Removes a run."""
        shutil.rmtree(place)
        shutil.rmtree(self.folder / f"{place.name}.said", ignore_errors=True)

    def fault(self, what: str, line: str) -> None:
        """Notes a fault."""
        self.result.faults.append(f"{self.job.name}: {what}: {line}")

    def _check_failure(self, blow: Blow, end: End) -> None:
        """Checks how a script ended whose disk has failed."""
        if end.status == 0:
            self.result.missed += 1
        elif end.status != 2 or len(end.stderr.strip().splitlines()[-1:]) != 1 or "Traceback" in end.stderr:
            self.fault(str(blow), f"exit status {end.status}: {end.stderr[-1500:]}")

    def _check_end(self, blow: Blow, end: End) -> None:
        """Checks how a script ended that was struck by a signal."""
        if end.status != STATUS[blow.name]:
            self.fault(str(blow), f"exit status {end.status}: {end.stderr[-1500:]}")
        elif blow.name != "SIGKILL":
            last = end.stderr.strip().splitlines()[-1:] or [""]
            if "Traceback" in end.stderr or not ("goes on" in last[0] or "starts again" in last[0]):
                self.fault(str(blow), f"says {end.stderr[-1500:]}")


def contents(folder: Path) -> dict[str, str]:
    """Returns what a folder holds: by file, a digest of what two equal runs share.

    What `reproduce` notes of each call is left out: there are as many as there were calls.
    """
    files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    return {name: _digest(file, folder) for name, file in files.items() if "calls" not in name.split("/")}


def differences(expected: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    """Yields a line for each file that is missing, stray, or other than it should be."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in expected:
            yield f"{name} is a stray file"
        elif found[name] != expected[name]:
            yield f"{name} differs"


def _digest(file: Path, folder: Path) -> str:
    if file.suffix in LOOSE or file.name in ("provenance.json", "config.yaml", ".lock", "state.pt"):
        return "something" if file.stat().st_size or file.name == ".lock" else "nothing"
    if file.suffix == ".parquet":
        table = pd.read_parquet(file)
        kept = table[[name for name in table.columns if name not in TIMED]]
        return hashlib.sha256(kept.to_csv().encode()).hexdigest()
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.DictReader(lines) if row.get("metric") not in TIMED]
        return hashlib.sha256(json.dumps(_untimed(rows)).encode()).hexdigest()
    if file.suffix == ".json":
        content = json.loads(file.read_text("utf-8").replace(str(folder), ""))
        return hashlib.sha256(json.dumps(_untimed(content), sort_keys=True).encode()).hexdigest()
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _untimed(content: object) -> object:
    if isinstance(content, dict):
        return {key: _untimed(value) for key, value in content.items() if key not in TIMED}
    return [_untimed(value) for value in content] if isinstance(content, list) else content


def plan(jobs: tuple[Job, ...], n_kills: int) -> dict[str, int]:
    """Shares kills out among jobs, each at least two."""
    total = sum(job.share for job in jobs)
    return {job.name: max(2, round(n_kills * job.share / total)) for job in jobs}


ALL_FAILURES = (*FAILURES, SIZE)
"""Failures of a disk that need no rights."""
