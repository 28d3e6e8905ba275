"""Scores denoised ECGs beside the baselines, per noise and level, as tables and pictures.

python -m evaluation.evaluate_denoising runs=[<run folders of reconstruction.denoise>]
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("evaluate_denoising")
def main(config: dict[str, Any]) -> Outcome:
    """Evaluates the runs that the config names and prints the tables."""
    from evaluation.denoising.report import evaluate_denoising_runs

    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    report = evaluate_denoising_runs(config["runs"], folder.path, seed=config["seed"], **config["evaluate"])
    then = ["evaluate_denoising", f"runs=[{','.join([*config['runs'], 'OTHER_RUN'])}]"]
    return Outcome(report.markdown, [report.page(folder.path), folder.path], then)


if __name__ == "__main__":
    main()
