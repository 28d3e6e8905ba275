"""Judges generated ECGs beside real ones: features, copies, diversity, as tables and pictures.

python -m evaluation.evaluate_generation runs=[<run folders of diffusion_prior.generate>] evaluate.split=test
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("evaluate_generation")
def main(config: dict[str, Any]) -> Outcome:
    """Evaluates the runs that the config names and prints the tables."""
    from evaluation.generation.report import evaluate_generation_runs

    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    settings = {name: value for name, value in config["evaluate"].items() if name != "results_path"}
    report = evaluate_generation_runs(config["runs"], folder.path, seed=config["seed"], **settings)
    then = ["evaluate_generation", f"runs=[{','.join([*config['runs'], 'OTHER_RUN'])}]"]
    return Outcome(report.markdown, [report.page(folder.path), folder.path], then)


if __name__ == "__main__":
    main()
