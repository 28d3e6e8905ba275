"""Measures each part, alone in a process of its own: python -m evaluation.benchmark benchmark.parts=[scoring]."""

from omegaconf import DictConfig

from evaluation.engine_workload import engine_jobs
from evaluation.growth import GROWTH, POINTS
from evaluation.growth_report import report_growth
from evaluation.growth_workload import growth_jobs, preparation_jobs, training_jobs
from evaluation.noise_workload import noise_jobs
from evaluation.reconstruction_workload import reconstruction_jobs
from evaluation.tables import write_measurements
from evaluation.workload import machine, measure_jobs
from preprocessing.launch import plain, run_path, script
from preprocessing.run_folder import RunFolder


@script("benchmark")
def main(cfg: DictConfig) -> None:
    """Measures the parts that the config names, prints the tables, and plans a large cohort from them."""
    config, part = plain(cfg), plain(cfg.benchmark)
    jobs = noise_jobs(part["superlet"], part["scoring"]) | training_jobs(part["precisions"], part["training"])
    jobs |= reconstruction_jobs(part["methods"], part["sampling"], part["cohort"])
    jobs |= preparation_jobs(part["preparation"]) | engine_jobs(part["engine"]) | growth_jobs(**part["growth"])
    folder, note = RunFolder.create(run_path(), config, seed=config["seed"], device="cpu"), machine()
    measured = measure_jobs(jobs, part["parts"])
    grown = measured["part"] == GROWTH
    if not grown.all():
        single = measured[~grown].drop(columns=POINTS, errors="ignore").dropna(axis="columns", how="all")
        print(write_measurements(single, folder.path, note))
    if grown.any():
        print(report_growth(measured, part["plan"], folder.path, note, part["page"]))


if __name__ == "__main__":
    main()
