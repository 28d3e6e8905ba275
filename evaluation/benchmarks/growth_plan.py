"""How long, on which machines and with how much storage a large cohort takes, from the benchmark's measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from einthoven.report.tables import markdown_table, write_csv
from einthoven.run.files import write_text

STAGES: dict[str, str] = {
    "prepare": "prepare the store (100 Hz)",
    "score": "noise scores",
    "inpaint": "twelve leads from lead I (amortised)",
    "denoise": "denoise (spectral_em)",
}
"""Works of the benchmark that a cohort goes through, and what people call them."""


@dataclass(frozen=True)
class Machines:
    """Machines of one kind.

    Attributes:
        name: What people call them.
        n_machines: How many.
        n_cores: Cores of each, one worker a core.
    """

    name: str
    n_machines: int
    n_cores: int


@dataclass(frozen=True)
class Cohort:
    """The cohort to plan.

    Attributes:
        name: Its name.
        n_records: Number of records.
        n_leads: Leads of a record.
        seconds: Length of a record in s.
        sampling_rate: Sampling rate in Hz.
        bytes_per_value: Of the recordings' files.
    """

    name: str
    n_records: int
    n_leads: int
    seconds: float
    sampling_rate: float
    bytes_per_value: int = 2

    @property
    def raw_gigabytes(self) -> float:
        """Size of the recordings' files."""
        values = self.n_records * self.n_leads * self.seconds * self.sampling_rate
        return values * self.bytes_per_value / 1e9


def plan_cohort(points: pd.DataFrame, cohort: Cohort, machines: Sequence[Machines]) -> pd.DataFrame:
    """Plans the stages of a cohort.

    A stage takes `n_records x seconds per record / (cores x efficiency)`. The seconds per record are the rise of the
    time between the smallest and the largest number of records, so that what is done once does not count, on one core;
    the efficiency is the speed-up with the most workers over their number, as measured for this stage, or else the
    lowest that was measured, 1 where none was.

    Args:
        points: Measurements, as `growth.growth_points` returns them, of records like the cohort's.
        cohort: The cohort.
        machines: The machines to plan for.

    Returns:
        One row a stage that was measured: columns `stage`, `seconds_per_record` (one core), `efficiency`, `core_hours`,
        `hours_<name>` for each kind of machines, `memory_gb` a worker, `kilobytes_per_record` and `storage_gb` of what
        is written (NaN where that was not measured).

    Raises:
        ValueError: If no stage was measured with more than one number of records.
    """
    efficiencies = _efficiencies(points)
    rows: list[dict[str, Any]] = []
    for work, name in STAGES.items():
        group = points[(points["work"] == work) & (points["axis"] == "records")].sort_values("n_records")
        if len(group) < 2:
            continue
        first, last = group.iloc[0], group.iloc[-1]
        seconds = (last["seconds"] - first["seconds"]) / (last["n_records"] - first["n_records"])
        efficiency = efficiencies.get(work, min(efficiencies.values(), default=1.0))
        core_hours = cohort.n_records * seconds / efficiency / 3600
        size = last["n_bytes"] / last["n_records"]
        rows.append(
            {
                "stage": name,
                "seconds_per_record": seconds,
                "efficiency": efficiency,
                "core_hours": core_hours,
                **{f"hours_{kind.name}": core_hours / (kind.n_machines * kind.n_cores) for kind in machines},
                "memory_gb": last["peak_memory_mb"] / 1e3,
                "kilobytes_per_record": size / 1e3,
                "storage_gb": cohort.n_records * size / 1e9,
            }
        )
    if not rows:
        raise ValueError("nothing to plan with: measure benchmark.growth with two numbers of records at least")
    return pd.DataFrame(rows)


def write_plan(plan: pd.DataFrame, cohort: Cohort, machines: Sequence[Machines], folder: Path, note: str) -> str:
    """Writes `plan.csv` and `plan.md`.

    Args:
        plan: As `plan_cohort` returns it.
        cohort: The cohort.
        machines: The machines.
        folder: Where to write.
        note: What the measurements were made on.

    Returns:
        The Markdown table, with what it rests on.
    """
    write_csv(plan, folder / "plan.csv")
    header = [
        "stage",
        "seconds per record, one core",
        "efficiency",
        "core hours",
        *(f"hours, {kind.name}" for kind in machines),
        "memory a worker (GB)",
        "written (GB)",
    ]
    cells = [
        [
            str(row["stage"]),
            f"{row['seconds_per_record']:.3g}",
            f"{row['efficiency']:.2f}",
            f"{row['core_hours']:,.0f}",
            *(_hours(row[f"hours_{kind.name}"]) for kind in machines),
            f"{row['memory_gb']:.1f}",
            f"{row['storage_gb']:,.0f}" if np.isfinite(row["storage_gb"]) else "-",
        ]
        for _, row in plan.iterrows()
    ]
    recordings = f"{cohort.n_leads} leads, {cohort.seconds:g} s, {cohort.sampling_rate:g} Hz"
    lines = [
        f"- {cohort.name}: {cohort.n_records:,} records ({recordings}); the recordings themselves take "
        f"{cohort.raw_gigabytes:,.0f} GB",
        *(f"- {kind.name}: {kind.n_machines} x {kind.n_cores} cores, one worker a core" for kind in machines),
        f"- measured on {note}",
    ]
    markdown = f"{markdown_table(header, cells)}\n" + "\n".join(lines) + "\n"
    write_text(folder / "plan.md", markdown)
    return markdown


def refresh_page(page: Path | str, tables: Mapping[str, str]) -> None:
    """Replaces the tables of a Markdown page that stand between `<!-- name -->` and `<!-- /name -->`.

    Args:
        page: The page.
        tables: New Markdown by name.

    Raises:
        ValueError: If the page, or a pair of marks, is missing.
    """
    page = Path(page)
    if not page.is_file():
        raise ValueError(f"no page {page} to refresh: benchmark.page names a Markdown file, or null")
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not opening or not closing:
            raise ValueError(f"{page} has no part between <!-- {name} --> and <!-- /{name} -->: add the two lines")
        text = f"{before}{opening}{table}{closing}{after}"
    write_text(page, text)


def _efficiencies(points: pd.DataFrame) -> dict[str, float]:
    """Speed-up with the most workers over their number, by work; at most 1."""
    found = {}
    for work, group in points[points["axis"] == "workers"].groupby("work"):
        group = group.sort_values("value")
        first, last = group.iloc[0], group.iloc[-1]
        if last["value"] > first["value"]:
            speed_up = first["seconds_per_record"] / last["seconds_per_record"]
            found[str(work)] = float(min(1.0, speed_up / (last["value"] / first["value"])))
    return found


def _hours(hours: float) -> str:
    return f"{hours:.2g}" if hours < 10 else f"{hours:,.0f}"
