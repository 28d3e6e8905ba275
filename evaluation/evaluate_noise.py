"""Evaluates noise scores: PTB-XL's labels, CinC 2011's, and the dose response, several methods in one table.

python -m evaluation.evaluate_noise runs=[<run folders of noise_quant.score_noise>]
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("evaluate_noise")
def main(config: dict[str, Any]) -> Outcome:
    """Evaluates the runs that the config names and prints the tables."""
    from evaluation.noise.report import evaluate_noise_runs

    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    report = evaluate_noise_runs(config["runs"], folder.path, seed=config["seed"], **config["evaluate"])
    then = ["evaluate_noise", f"runs=[{','.join([*config['runs'], 'OTHER_RUN'])}]"]
    return Outcome(report.markdown, [report.page(folder.path), folder.path], then)


if __name__ == "__main__":
    main()
