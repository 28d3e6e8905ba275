"""From the benchmark's measurements to the tables of growth and the plan of a large cohort."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.benchmarks.growth import GROWTH, POINTS, growth_points, write_growth
from evaluation.benchmarks.growth_plan import Cohort, Machines, plan_cohort, refresh_page, write_plan


def report_growth(
    measured: pd.DataFrame, plan: Mapping[str, Any], folder: Path, note: str, page: Path | str | None = None
) -> str:
    """Writes the tables of growth, their picture, and the plan.

    Args:
        measured: Rows of `einthoven.run.memory.measure_jobs`; those of part `GROWTH` hold `work`, `axis` and `points`,
            and so does every other row with a column `points`, such as the engine's workers.
        plan: `cohort`, arguments of `Cohort`, and `machines`, arguments of `Machines`, each.
        folder: Where to write.
        note: What was measured on.
        page: A Markdown page whose tables `growth` and `plan`, and whose picture `growth.png` beside it, are renewed.

    Returns:
        Both tables.
    """
    rows = measured[measured["points"].map(lambda points: isinstance(points, list))]
    points = growth_points([{name: row[name] for name in POINTS} for row in rows.to_dict("records")])
    tables = {GROWTH: write_growth(points, folder, note)}
    cohort, machines = Cohort(**plan["cohort"]), [Machines(**kind) for kind in plan["machines"]]
    tables["plan"] = write_plan(plan_cohort(points, cohort, machines), cohort, machines, folder, note)
    if page is not None:
        refresh_page(page, tables)
        shutil.copyfile(folder / "growth.png", Path(page).parent / "growth.png")
    return "\n".join(tables.values())
