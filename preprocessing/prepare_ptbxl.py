"""Prepares PTB-XL: filters, resamples and stores its records.

python -m preprocessing.prepare_ptbxl dataset.raw_path=... dataset.sampling_rate=100
"""

from typing import Any

from einthoven.run.launch import run_path, script
from preprocessing.cohorts.cohort import Cohort, prepare_run
from preprocessing.cohorts.ptbxl import Ptbxl
from preprocessing.cohorts.rhythmdiff import RhythmDiff


@script("prepare_ptbxl")
def main(config: dict[str, Any]) -> str:
    """Builds the store that the config asks for and says what was done."""
    dataset = config["dataset"]
    settings = {name: dataset[name] for name in ("sampling_rate", "source_rate", "filtered")}
    cohorts: dict[str, type[Cohort]] = {"wfdb": Ptbxl, "published": RhythmDiff}
    if dataset["source"] not in cohorts:
        raise ValueError(f"dataset.source must be {' or '.join(cohorts)}, not {dataset['source']!r}")
    return prepare_run(cohorts[dataset["source"]](**settings), config, run_path())


if __name__ == "__main__":
    main()
