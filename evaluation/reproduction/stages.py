"""Stages of a reproduction: each is one command of a script, with the run folder that it fills.

What a stage did is kept beside the run folders, in `stages/<name>.json`, so that a call that was killed, or
asks for more, goes on with what is missing.
"""

import json
import shlex
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from einthoven.run.files import write_json
from einthoven.run.run_folder import PROVENANCE

RECORDS = "stages"
"""Folder of the stages' records and logs, beside their run folders."""
HYDRA_FOLDER = "hydra.run.dir"
"""The key that names the run folder of a script which has no key of its own for it."""


@dataclass(frozen=True)
class Stage:
    """One command.

    Attributes:
        name: Its name, and that of its run folder.
        module: The script, such as `reconstruction.inpaint`.
        overrides: What its config is given, `key=value`.
        folder: Its run folder.
        folder_key: The key that names the run folder.
        reads: Names of the stages whose results it takes.
        done: Files that are there when it has finished, in the run folder or elsewhere.
        is_derived: Whether its results follow from those of other stages in little time: it is done anew, into an empty
            folder, when these are newer, or its settings are others.
    """

    name: str
    module: str
    overrides: tuple[str, ...]
    folder: Path
    folder_key: str = HYDRA_FOLDER
    reads: tuple[str, ...] = ()
    done: tuple[Path, ...] = ()
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
        return self.folder.parent / RECORDS / f"{self.name}.log"

    def record(self) -> dict[str, Any] | None:
        """Reads what was noted when it last ended; None if it has never been run from here."""
        if not self.record_path.is_file():
            return None
        record: dict[str, Any] = json.loads(self.record_path.read_text(encoding="utf-8"))
        return record

    def is_there(self) -> bool:
        """Tells whether its files are there."""
        return all(path.is_file() for path in self.done)

    def finished_at(self) -> float:
        """Returns the time of its latest file, in s since 1970."""
        return max((path.stat().st_mtime for path in self.done if path.is_file()), default=0.0)


def is_finished(stage: Stage, stages: Mapping[str, Stage]) -> bool:
    """Tells whether a stage needs not be run.

    Its files must be there. A run folder without a record, put there by the same command or by hand, is taken as it is;
    one with a record must have ended well, with the same command. A derived one must be younger than what it reads.

    Args:
        stage: The stage.
        stages: All stages, by name.
    """
    if not stage.is_there():
        return False
    record = stage.record()
    if record is None:
        return not stage.is_derived
    if record["exit_status"] != 0 or record["command"] != stage.command:
        return False
    newest = max((stages[name].finished_at() for name in stage.reads if name in stages), default=0.0)
    return not stage.is_derived or stage.finished_at() >= newest


def clear(stage: Stage) -> None:
    """Empties the run folder of a derived stage, which is to be done anew; others go on in theirs."""
    if stage.is_derived and (stage.folder / PROVENANCE).is_file():
        shutil.rmtree(stage.folder)


def note(stage: Stage, exit_status: int, seconds: float, machine: str) -> None:
    """Writes the record of a stage that has ended; the seconds of earlier calls with the same command are added.

    Args:
        stage: The stage.
        exit_status: Its exit status.
        seconds: How long it took.
        machine: What it ran on.
    """
    earlier = stage.record()
    if earlier and earlier["command"] == stage.command and not stage.is_derived:
        seconds += earlier["seconds"]
    write_json(
        stage.record_path,
        {
            "command": stage.command,
            "exit_status": exit_status,
            "seconds": round(seconds, 2),
            "machine": machine,
            "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def with_needed(stages: Iterable[Stage], everything: Mapping[str, Stage]) -> list[Stage]:
    """Returns stages with all that they read, directly or not, each once and after what it reads.

    Args:
        stages: The stages wanted.
        everything: All stages, by name.

    Raises:
        ValueError: If a stage reads one that there is not, or itself.
    """
    ordered: dict[str, Stage] = {}

    def add(stage: Stage, above: tuple[str, ...]) -> None:
        if stage.name in above:
            raise ValueError(f"the stages {', '.join(above)} read each other")
        if stage.name in ordered:
            return
        for name in stage.reads:
            if name not in everything:
                raise ValueError(f"stage {stage.name} reads {name}, which no stage makes")
            add(everything[name], (*above, stage.name))
        ordered[stage.name] = stage

    for stage in stages:
        add(stage, ())
    return list(ordered.values())
