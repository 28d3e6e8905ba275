"""Prepares a store of any data set that is known by name: reads, filters, resamples and stores its records.

python -m preprocessing.prepare dataset.name=cinc2011 dataset.raw_path=... dataset.settings={sampling_rate:250}
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script


@script("prepare")
def main(config: dict[str, Any]) -> Outcome:
    """Builds the store that the config asks for and says what was done."""
    from preprocessing.cohorts.cohort import prepare_run
    from preprocessing.cohorts.registry import COHORTS

    dataset = config["dataset"]
    return prepare_run(
        COHORTS.build({"name": dataset["name"], **(dataset["settings"] or {})}), config, run_path(config)
    )


if __name__ == "__main__":
    main()
