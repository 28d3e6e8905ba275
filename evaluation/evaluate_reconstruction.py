"""Scores reconstructions beside the baselines, as tables and pictures.

python -m evaluation.evaluate_reconstruction run=<run folder of reconstruction.inpaint>
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("evaluate_reconstruction")
def main(config: dict[str, Any]) -> Outcome:
    """Evaluates the runs that the config names and prints the table."""
    from evaluation.inpainting.report import evaluate_runs

    runs = [*([config["run"]] if config["run"] else []), *config["runs"]]
    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    report = evaluate_runs(runs, folder.path, seed=config["seed"], **config["evaluate"])
    then = ["evaluate_reconstruction", f"runs=[{','.join([*runs, 'OTHER_RUN'])}]"]
    return Outcome(report.markdown, [report.page(folder.path), folder.path], then)


if __name__ == "__main__":
    main()
