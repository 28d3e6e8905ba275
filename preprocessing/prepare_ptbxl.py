"""Prepares PTB-XL: filters, resamples and stores its records.

python -m preprocessing.prepare_ptbxl dataset.raw_path=... dataset.sampling_rate=100
"""

from pathlib import Path
from typing import Any

from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder
from preprocessing.cohorts.ptbxl import FULL_SIZE
from preprocessing.cohorts.ptbxl_store import prepare_ptbxl
from preprocessing.store.store import Store


@script("prepare_ptbxl")
def main(config: dict[str, Any]) -> str:
    """Builds the store that the config asks for and says what was done."""
    dataset = config["dataset"]
    summary = prepare_ptbxl(
        Path(dataset["raw_path"]),
        Path(dataset["database_path"]),
        sampling_rate=dataset["sampling_rate"],
        source=dataset["source"],
        source_rate=dataset["source_rate"],
        filtered=dataset["filtered"],
        n_workers=dataset["n_workers"],
        max_skipped=1.0 if dataset["allow_skipped"] else dataset["max_skipped"],
    )
    manifest_hash = Store.open(summary.store).manifest_hash
    RunFolder.create(run_path(), config, seed=config["seed"], device="cpu", data_manifest_hash=manifest_hash)
    return summary.describe(FULL_SIZE)


if __name__ == "__main__":
    main()
