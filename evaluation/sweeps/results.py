"""What the jobs of a sweep came to: their settings and objectives, as a table and a picture."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from einthoven.report.tables import markdown_table, write_csv
from einthoven.run.files import write_text
from einthoven.run.run_folder import PROVENANCE, RunFolder
from einthoven.run.sweep_job import JOB, read_job
from evaluation.sweeps.figures import draw_sweep

OBJECTIVE = "objective"


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
    """Reads the folder of a sweep, `hydra.sweep.dir`: what `--multirun` has made, on any launcher.

    Raises:
        ValueError: If no job has ended there, or the jobs returned no number to compare.
    """
    folders = sorted(path for path in Path(folder).glob("*") if path.is_dir() and not path.name.startswith("."))
    jobs = {path.name: read_job(path) for path in folders if (path / JOB).is_file()}
    if not jobs:
        raise ValueError(f"{folder} holds no finished job: give the hydra.sweep.dir of a script with --multirun")
    if any(job["objective"] is None or isinstance(job["objective"], list) for job in jobs.values()):
        raise ValueError(
            f"the jobs in {folder} have no single objective to compare: sweep a script that returns one, such as "
            "diffusion_prior.train or reconstruction.inpaint on a store"
        )
    settings = pd.DataFrame([dict(map(_key_and_value, job["overrides"])) for job in jobs.values()]).fillna("")
    settings = settings.loc[:, settings.nunique() > 1].apply(_numbers)
    objectives = [float(job["objective"]) for job in jobs.values()]
    seconds = [float(job["seconds"]) for job in jobs.values()]
    table = pd.concat([pd.DataFrame({"job": list(jobs)}), settings], axis="columns")
    table = table.assign(**{OBJECTIVE: objectives, "seconds": seconds})
    table = table.sort_values(OBJECTIVE, ascending=not maximise, na_position="last", kind="stable", ignore_index=True)
    return Sweep(table, tuple(settings.columns), len(folders) - len(jobs))


def write_sweep(sweep: Sweep, folder: Path, name: str) -> str:
    """Writes `sweep.csv`, `sweep.md` and, where settings differ, `sweep.png`; returns the Markdown table.

    The name is the objective's, with its unit.
    """
    write_csv(sweep.table, folder / "sweep.csv")
    digits = {OBJECTIVE: ".5g", "seconds": ".0f"}
    shown = sweep.table.copy()
    for key in shown.columns:
        form = digits.get(str(key), ".4g")
        shown[key] = [format(value, form) if isinstance(value, float) else str(value) for value in shown[key]]
    cells = shown.to_numpy().tolist()
    markdown = markdown_table(["job", *sweep.parameters, name, "seconds"], cells)
    if sweep.n_unfinished:
        markdown += (
            f"\n- jobs that have not ended: {sweep.n_unfinished}; start the sweep again in the same hydra.sweep.dir\n"
        )
    write_text(folder / "sweep.md", markdown)
    if sweep.parameters:
        draw_sweep(sweep.table, sweep.parameters, OBJECTIVE, name, folder / "sweep.png")
    return markdown


def best_command(sweep: Sweep, folder: Path | str) -> list[str]:
    """Names what makes the best job once more, alone: the script and its overrides; [], if the job is no run folder."""
    job = Path(folder, str(sweep.table["job"].iloc[0]))
    if not (job / PROVENANCE).is_file():
        return []
    program = shlex.split(RunFolder.open(job).provenance()["command"])[0]
    return [Path(program.split()[-1]).stem, *read_job(job)["overrides"]]


def _key_and_value(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value


def _numbers(texts: "pd.Series[str]") -> "pd.Series[float] | pd.Series[str]":
    """Turns texts into numbers, if all are."""
    try:
        return texts.astype(float)
    except ValueError:
        return texts
