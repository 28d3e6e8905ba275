"""Shows what a sweep has found, as a table and a picture.

python -m evaluation.evaluate_sweep run=<folder of a --multirun> "objective='CRPS (mV)'"
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("evaluate_sweep")
def main(config: dict[str, Any]) -> Outcome:
    """Reads the jobs of the sweep that the config names and prints their table, the best first."""
    from evaluation.sweeps.results import best_command, read_sweep, write_sweep

    sweep = read_sweep(config["run"], config["maximise"])
    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    text = write_sweep(sweep, folder.path, config["objective"])
    made = [folder.path / name for name in ("sweep.md", "sweep.csv", "sweep.png")]
    return Outcome(text, made, best_command(sweep, config["run"]))


if __name__ == "__main__":
    main()
