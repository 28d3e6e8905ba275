"""Judges generated ECGs beside real ones: features, copies, diversity, as tables and pictures.

python -m evaluation.evaluate_generation runs=[<run folders of diffusion_prior.generate>] evaluate.split=test
"""

from typing import Any

from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder
from evaluation.generation.report import evaluate_generation_runs


@script("evaluate_generation")
def main(config: dict[str, Any]) -> str:
    """Evaluates the runs that the config names and prints the tables."""
    results_path = config["evaluate"].pop("results_path")
    folder = RunFolder.create(results_path or run_path(), config, seed=config["seed"], device="cpu")
    report = evaluate_generation_runs(config["runs"], folder.path, seed=config["seed"], **config["evaluate"])
    return f"{report.markdown}\ntables and pictures: {folder.path}"


if __name__ == "__main__":
    main()
