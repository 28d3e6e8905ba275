"""Reproduces the papers' tables: runs what is missing, and writes tables, pictures and one page of all.

python -m evaluation.reproduce table=lead_i|missing_block|denoising|generation|noise|all size=smoke|shared|full
"""

import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.lock import held_folder
from einthoven.run.run_folder import RunFolder


@script("reproduce")
def main(config: dict[str, Any]) -> Outcome:
    """Makes the plan, runs its missing stages, and writes the report."""
    from einthoven.run.progress import show_progress
    from evaluation.reproduction.plan import chosen_tables, next_command
    from evaluation.reproduction.plans import make_plan
    from evaluation.reproduction.report import write_report
    from evaluation.reproduction.stages import describe, is_finished, run_stages
    from preprocessing.cohorts.simulated_files import write_synthetic_files

    start = time.perf_counter()
    settings, size, paths = config["reproduce"], config["size"], config["paths"]
    tables, root = chosen_tables(config["table"]), run_path(config)
    if size["simulated_records"]:
        paths |= {"data": f"{root}/data", "stores": f"{root}/stores"}
    plan = make_plan(root, paths, size, settings["device"])
    stages = plan.wanted(tables)
    if settings["dry_run"]:
        return Outcome("\n".join(stage.command for stage in stages if not is_finished(stage, plan.stages)))
    with held_folder(root):
        call = root / "calls" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        RunFolder.create(call, config, seed=config["seed"], device=settings["device"])
        if size["simulated_records"]:
            write_synthetic_files(paths["data"], size["simulated_records"])
        with show_progress(len(stages), "stage") as bar:

            def advance(running: Sequence[str]) -> None:
                bar.set_postfix_str(", ".join(running))
                bar.update()

            outcome = run_stages(stages, n_jobs=settings["n_jobs"], report=bar.write, progress=advance)
        files = write_report(plan, outcome, time.perf_counter() - start)
    failed = not set(outcome.values()) <= {"done", "kept"}
    then = ["reproduce", *sys.argv[1:]] if failed else next_command(size["name"], tables)
    return Outcome(describe(outcome), files, then, failed=failed)


if __name__ == "__main__":
    main()
