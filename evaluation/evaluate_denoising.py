"""Scores denoised ECGs beside the baselines, per noise and level, as tables and pictures.

python -m evaluation.evaluate_denoising runs=[<run folders of reconstruction.denoise>]
"""

from omegaconf import DictConfig

from einthoven.run.launch import plain, run_path, script
from einthoven.run.run_folder import RunFolder
from evaluation.denoising.report import evaluate_denoising_runs


@script("evaluate_denoising")
def main(cfg: DictConfig) -> None:
    """Evaluates the runs that the config names and prints the tables."""
    config = plain(cfg)
    folder = RunFolder.create(run_path(), config, seed=config["seed"], device="cpu")
    report = evaluate_denoising_runs(config["runs"], folder.path, seed=config["seed"], **config["evaluate"])
    print(report.markdown)
    print(f"tables and pictures: {folder.path}")


if __name__ == "__main__":
    main()
