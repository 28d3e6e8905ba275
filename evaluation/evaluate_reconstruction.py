"""Scores reconstructions beside the baselines, as tables and pictures.

python -m evaluation.evaluate_reconstruction run=<run folder of reconstruction.inpaint>
"""

from typing import Any

from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("evaluate_reconstruction")
def main(config: dict[str, Any]) -> str:
    """Evaluates the runs that the config names and prints the table."""
    from evaluation.inpainting.report import evaluate_runs

    runs = [*([config["run"]] if config["run"] else []), *config["runs"]]
    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    report = evaluate_runs(runs, folder.path, seed=config["seed"], **config["evaluate"])
    return f"{report.markdown}\ntables and pictures: {folder.path}"


if __name__ == "__main__":
    main()
