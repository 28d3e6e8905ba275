"""Prepares PTB-XL: filters, resamples and stores its records.

python -m preprocessing.prepare_ptbxl dataset.raw_path=... dataset.sampling_rate=100
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script


@script("prepare_ptbxl")
def main(config: dict[str, Any]) -> Outcome:
    """Builds the store that the config asks for and says what was done."""
    from preprocessing.cohorts.cohort import prepare_run
    from preprocessing.cohorts.registry import COHORTS

    dataset = config["dataset"]
    names = {"wfdb": "ptbxl", "published": "rhythmdiff"}
    if dataset["source"] not in names:
        raise ValueError(f"dataset.source must be {' or '.join(names)}, not {dataset['source']!r}")
    settings = {name: dataset[name] for name in ("sampling_rate", "source_rate", "filtered")}
    return prepare_run(COHORTS.build({"name": names[dataset["source"]], **settings}), config, run_path(config))


if __name__ == "__main__":
    main()
