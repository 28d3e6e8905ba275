"""Compares delineators, ours among them, with the marks of cardiologists.

python -m evaluation.evaluate_measures ludb_path=<folder of LUDB's records>
"""

from pathlib import Path
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("evaluate_measures")
def main(config: dict[str, Any]) -> Outcome:
    """Delineates the records of LUDB, and prints bias and spread of each mark."""
    from evaluation.measures.delineation import evaluate_delineators

    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    report = evaluate_delineators(Path(folder.path), config["ludb_path"], config["methods"], config["n_records"])
    return Outcome(report.markdown, [report.page(folder.path), folder.path], ["measure", "RECORDING"])


if __name__ == "__main__":
    main()
