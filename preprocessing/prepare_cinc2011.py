"""Prepares the acceptable records of the CinC Challenge 2011: filters, resamples and stores them.

python -m preprocessing.prepare_cinc2011 dataset.raw_path=... dataset.sampling_rate=100
"""

from pathlib import Path
from typing import Any

from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder
from preprocessing.cohorts.cinc2011 import prepare_cinc2011
from preprocessing.store.store import Store


@script("prepare_cinc2011")
def main(config: dict[str, Any]) -> str:
    """Builds the store that the config asks for and says what was done."""
    dataset = config["dataset"]
    summary = prepare_cinc2011(
        Path(dataset["raw_path"]),
        Path(dataset["database_path"]),
        sampling_rate=dataset["sampling_rate"],
        filtered=dataset["filtered"],
        n_workers=dataset["n_workers"],
        max_skipped=dataset["max_skipped"],
    )
    manifest_hash = Store.open(summary.store).manifest_hash
    RunFolder.create(run_path(), config, seed=config["seed"], device="cpu", data_manifest_hash=manifest_hash)
    return summary.describe()


if __name__ == "__main__":
    main()
