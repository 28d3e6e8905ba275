"""Evaluates noise scores: PTB-XL's labels, CinC 2011's, and the dose response, several methods in one table.

python -m evaluation.evaluate_noise runs=[<run folders of noise_quant.score_noise>]
"""

from omegaconf import DictConfig

from einthoven.run.launch import plain, run_path, script
from einthoven.run.run_folder import RunFolder
from evaluation.noise.report import evaluate_noise_runs


@script("evaluate_noise")
def main(cfg: DictConfig) -> None:
    """Evaluates the runs that the config names and prints the tables."""
    config = plain(cfg)
    folder = RunFolder.create(run_path(), config, seed=config["seed"], device="cpu")
    report = evaluate_noise_runs(config["runs"], folder.path, seed=config["seed"], **config["evaluate"])
    print(report.markdown)
    print(f"tables and pictures: {folder.path}")


if __name__ == "__main__":
    main()
