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
    from einthoven.run.weights_cache import hash_weights
    from einthoven.run.weights_file import find_weights
    from evaluation.generation.report import evaluate_generation_runs

    judge = config["evaluate"]["classifier"]
    files = {} if judge is None else {"classifier": hash_weights(find_weights(judge))}
    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu", files=files)
    settings = {name: value for name, value in config["evaluate"].items() if name != "results_path"}
    report = evaluate_generation_runs(config["runs"], folder.path, seed=config["seed"], **settings)
    then = ["evaluate_generation", f"runs=[{','.join([*config['runs'], 'OTHER_RUN'])}]"]
    return Outcome(report.markdown, [report.page(folder.path), folder.path], then)


if __name__ == "__main__":
    main()
