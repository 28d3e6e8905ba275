"""Measures each part, alone in a process of its own: python -m evaluation.benchmark scoring superlet."""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.memory import machine
from einthoven.run.run_folder import RunFolder


@script("benchmark", words="benchmark.parts")
def main(config: dict[str, Any]) -> Outcome:
    """Measures the parts that the config names."""
    from evaluation.benchmarks.cases import CASES
    from evaluation.benchmarks.measuring import list_cases, measure
    from evaluation.benchmarks.report import write_report

    sections = dict(config["benchmark"])
    cases = list_cases(sections, sections.pop("parts"), CASES)
    folder, note = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu"), machine()
    text = write_report(measure(cases), folder.path, note)
    made = [folder.path / name for name in ("benchmark.md", "benchmark.csv", "scaling.csv", "scaling.png")]
    return Outcome(text, made, ["reproduce", "size=smoke", "reproduce.dry_run=true"])


if __name__ == "__main__":
    main()
