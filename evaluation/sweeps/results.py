"""What the jobs of a sweep came to: their settings and objectives, as a table."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.report.tables import markdown_table, write_csv
from einthoven.run.files import write_text
from einthoven.run.sweep_job import JOB, read_job
from evaluation.sweeps.figures import draw_sweep

OBJECTIVE, SECONDS, NUMBER = "objective", "seconds", "job"


@dataclass(frozen=True)
class Sweep:
    """The finished jobs of a sweep.

    Attributes:
        table: One row a job, the best first: `job` (its folder), each setting that differs among jobs under its key
            (numbers where all are), `objective`, `seconds`.
        parameters: The keys of these settings, in the order of the command line.
        n_unfinished: Folders of jobs that have not ended.
    """

    table: pd.DataFrame
    parameters: tuple[str, ...]
    n_unfinished: int


def read_sweep(folder: Path | str, maximise: bool = False) -> Sweep:
    """Reads the folder of a sweep: what `--multirun` has made, on any launcher.

    Args:
        folder: The folder, `hydra.sweep.dir`.
        maximise: Whether the largest objective is the best.

    Returns:
        Its jobs.

    Raises:
        ValueError: If no job has ended there, or the jobs returned no number to compare.
    """
    folders = sorted(path for path in Path(folder).glob("*") if path.is_dir() and not path.name.startswith("."))
    done = [path for path in folders if (path / JOB).is_file()]
    if not done:
        raise ValueError(
            f"{folder} holds no finished job of a sweep: give the folder that a script with --multirun wrote to, its "
            "hydra.sweep.dir"
        )
    jobs = [read_job(path) for path in done]
    objectives = [job["objective"] for job in jobs]
    if any(isinstance(value, list) or value is None for value in objectives):
        raise ValueError(
            f"the jobs in {folder} have no single objective to compare: sweep a script that returns one, such as "
            "diffusion_prior.train or reconstruction.inpaint on a store"
        )
    settings = [dict(_key_and_value(override) for override in job["overrides"]) for job in jobs]
    keys = list(dict.fromkeys(key for chosen in settings for key in chosen))
    parameters = tuple(key for key in keys if len({chosen.get(key, "") for chosen in settings}) > 1)
    columns = {key: _numbers([chosen.get(key, "") for chosen in settings]) for key in parameters}
    table = pd.DataFrame(
        {
            NUMBER: [path.name for path in done],
            **columns,
            OBJECTIVE: [np.nan if value is None else float(value) for value in objectives],
            SECONDS: [float(job["seconds"]) for job in jobs],
        }
    )
    table = table.sort_values(OBJECTIVE, ascending=not maximise, na_position="last", kind="stable")
    return Sweep(table.reset_index(drop=True), parameters, len(folders) - len(done))


def write_sweep(sweep: Sweep, folder: Path, name: str) -> str:
    """Writes `sweep.csv`, `sweep.md` and, where settings differ, `sweep.png`.

    Args:
        sweep: The sweep.
        folder: Where to write.
        name: Name of the objective, with its unit.

    Returns:
        The Markdown table.
    """
    write_csv(sweep.table, folder / "sweep.csv")
    header = [NUMBER, *sweep.parameters, name, "seconds"]
    cells = [
        [
            str(row[NUMBER]),
            *(_text(row[key]) for key in sweep.parameters),
            f"{row[OBJECTIVE]:.5g}",
            f"{row[SECONDS]:.0f}",
        ]
        for _, row in sweep.table.iterrows()
    ]
    markdown = markdown_table(header, cells)
    if sweep.n_unfinished:
        markdown += (
            f"\n- jobs that have not ended: {sweep.n_unfinished}; start the sweep again in the same hydra.sweep.dir\n"
        )
    write_text(folder / "sweep.md", markdown)
    if sweep.parameters:
        draw_sweep(sweep.table, sweep.parameters, OBJECTIVE, name, folder / "sweep.png")
    return markdown


def _key_and_value(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value


def _numbers(texts: list[str]) -> list[float] | list[str]:
    """Turns texts into numbers, if all are."""
    try:
        return [float(text) for text in texts]
    except ValueError:
        return texts


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
