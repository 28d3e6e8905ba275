"""Measures each part, alone in a process of its own: python -m evaluation.benchmark scoring superlet."""

from typing import Any

from einthoven.report.tables import write_measurements
from einthoven.run.launch import run_path, script
from einthoven.run.memory import machine, measure_jobs
from einthoven.run.run_folder import RunFolder
from evaluation.benchmarks.backbone_report import report_backbone
from evaluation.benchmarks.backbone_workload import BACKBONE, backbone_jobs
from evaluation.benchmarks.engine_workload import engine_jobs
from evaluation.benchmarks.growth import GROWTH, POINTS
from evaluation.benchmarks.growth_report import report_growth
from evaluation.benchmarks.growth_workload import growth_jobs, preparation_jobs, training_jobs
from evaluation.benchmarks.noise_workload import noise_jobs
from evaluation.benchmarks.reconstruction_workload import reconstruction_jobs


@script("benchmark", words="benchmark.parts")
def main(config: dict[str, Any]) -> str:
    """Measures the parts that the config names, shows the tables, and plans a large cohort from them."""
    part, texts = config["benchmark"], []
    jobs = noise_jobs(part["superlet"], part["scoring"]) | training_jobs(part["precisions"], part["training"])
    jobs |= reconstruction_jobs(part["methods"], part["sampling"], part["cohort"]) | backbone_jobs(**part["backbone"])
    jobs |= preparation_jobs(part["preparation"]) | engine_jobs(part["engine"]) | growth_jobs(**part["growth"])
    folder, note = RunFolder.create(run_path(), config, seed=config["seed"], device="cpu"), machine()
    measured = measure_jobs(jobs, part["parts"])
    grown, networks = (measured["part"] == name for name in (GROWTH, BACKBONE))
    if not (grown | networks).all():
        single = measured[~grown & ~networks].drop(columns=POINTS, errors="ignore").dropna(axis="columns", how="all")
        texts.append(write_measurements(single, folder.path, note))
    if networks.any():
        texts.append(report_backbone(measured[networks].to_dict("records"), folder.path, note))
    if grown.any():
        texts.append(report_growth(measured, part["plan"], folder.path, note, part["page"]))
    return "\n".join(texts)


if __name__ == "__main__":
    main()
