"""A job of a sweep, in a folder of its own, with `job.json`: what was asked for and what it came to.

A sweep that is started again in the same folder takes finished jobs as they are: `job.json` is written when the job has
ended, and holds a hash of the config that it belongs to.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from einthoven.checked_files import read_json
from einthoven.run.files import write_json
from einthoven.run.hashing import hash_json

JOB = "job.json"


def run_job(
    folder: Path, overrides: Sequence[str], config: Mapping[str, Any], work: Callable[[], float | None]
) -> float | None:
    """Runs a job and notes its objective, or returns the objective that an earlier run of it has noted.

    Args:
        folder: Folder of the job; one that holds another finished job is a ValueError.
        overrides: What the command line says of this job, as `key=value`.
        config: The resolved config, plain values.
        work: The job; returns its objective.
    """
    key = hash_json(config)
    if (folder / JOB).is_file():
        done = read_job(folder)
        if done["config_hash"] == key:
            return done["objective"]
        raise ValueError(
            f"{folder} holds a finished job with other settings ({' '.join(done['overrides'])}): choose another "
            "hydra.sweep.dir, or the same sweep"
        )
    start = time.perf_counter()
    objective = work()
    content = {"overrides": list(overrides), "objective": objective, "seconds": time.perf_counter() - start}
    write_json(folder / JOB, {**content, "config_hash": key})
    return objective


def read_job(folder: Path) -> dict[str, Any]:
    """Reads `job.json`: `overrides`, `objective`, `seconds` and `config_hash`; ValueError, if it is none."""
    try:
        content = read_json(folder / JOB, "choose another folder of the sweep")
        return {name: content[name] for name in ("overrides", "objective", "seconds", "config_hash")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / JOB} is not as a sweep has written it: remove it, the job is then done again"
        ) from error
