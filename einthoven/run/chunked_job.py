"""Long work whose results cannot mix: parts are named by all that they depend on, and so is what is made of them.

A run that was killed goes on with the parts that it lacks. Other settings, data or weights do not find its parts, and
the finished result notes what it depends on, so that it is never taken for another one.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from einthoven.checked_files import read_json
from einthoven.run.chunks import MAX_FAILURES, Chunk, Engine, Work, work_on_chunks
from einthoven.run.files import write_json
from einthoven.run.hashing import differing_keys, hash_json

PARTS = "parts"
DEPENDS_ON = "depends_on.json"
"""File beside a finished result that says what it depends on."""


class ChunkedJob:
    """The chunks of one piece of long work, and what its results depend on.

    Args:
        folder: Folder of the results.
        key: What all parts depend on, plain data (`einthoven.run.fingerprint`): the method with its settings and
            weights, the data's manifest, the seed, ...
        suffix: Suffix of the parts.
        parts: Folder of the parts, by default inside that of the results.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any], suffix: str, parts: Path | None = None) -> None:
        self.folder, self.key, self.suffix = folder.absolute(), dict(key), suffix
        self.parts = (parts or folder / PARTS).absolute()
        self.chunks: list[Chunk] = []
        self._records: list[Any] = []

    def add(self, names: Sequence[str], records: Sequence[Any], size: int, content: object) -> None:
        """Adds a chunk (see `Chunk`); `records` is what its part depends on of each record, plain data."""
        digest = hash_json([self.key, list(records)])[:24]
        part = self.parts / f"{len(self._records):06d}-{digest}{self.suffix}"
        self.chunks.append(Chunk(part, tuple(names), size, content))
        self._records += records

    def is_finished(self, result: str) -> bool:
        """Tells whether the folder holds the finished `result`, the file that is written last; refuses other work's.

        Parts that a process left there which was killed after it are removed.
        """
        if not (self.folder / result).is_file():
            return False
        if not (self.folder / DEPENDS_ON).is_file():  # of a version that did not note it
            return True
        before, now = read_json(self.folder / DEPENDS_ON, "choose another folder"), self._depends_on()
        if changed := differing_keys(before, now):
            raise ValueError(
                f"{self.folder} holds finished results of other work ({', '.join(sorted(changed))} differ): choose "
                "another folder"
            )
        self.drop_parts()
        return True

    @property
    def is_begun(self) -> bool:
        """Tells whether some parts are there already."""
        return any(chunk.part.is_file() for chunk in self.chunks)

    def work(
        self,
        engine: Engine,
        make_work: Callable[[], Work],
        give_up: Callable[[Chunk, str], None],
        progress: Callable[[int], object] | None = None,
        max_failures: int | None = MAX_FAILURES,
    ) -> int:
        """Gets those chunks worked on that have no part yet: see `work_on_chunks`."""
        return work_on_chunks(engine, make_work, self.chunks, give_up, progress, max_failures)

    def note(self) -> None:
        """Notes beside the results, before the last file of them is written, what they depend on."""
        write_json(self.folder / DEPENDS_ON, self._depends_on())

    def check_joined(self, n_records: int) -> None:
        """Makes sure that joining the parts has lost no record and doubled none."""
        wanted = len(self._records)
        assert n_records == wanted, f"{self.parts} holds {n_records} records, not {wanted}"

    def drop_parts(self) -> None:
        """Removes the parts, and those of work that was given up."""
        if self.parts.is_dir():
            with suppress(FileNotFoundError):  # another process may be at the same
                shutil.rmtree(self.parts)

    def _depends_on(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(json.dumps({**self.key, "records": hash_json(self._records)}))
        return facts
