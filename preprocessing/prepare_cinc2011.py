"""Prepares the acceptable records of the CinC Challenge 2011: filters, resamples and stores them.

python -m preprocessing.prepare_cinc2011 dataset.raw_path=... dataset.sampling_rate=100
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script


@script("prepare_cinc2011")
def main(config: dict[str, Any]) -> Outcome:
    """Builds the store that the config asks for and says what was done."""
    from preprocessing.cohorts.cinc2011 import Cinc2011
    from preprocessing.cohorts.cohort import prepare_run

    dataset = config["dataset"]
    return prepare_run(Cinc2011(dataset["sampling_rate"], dataset["filtered"]), config, run_path(config))


if __name__ == "__main__":
    main()
