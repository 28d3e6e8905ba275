"""Prepares z-scored PTB-XL records: imputes their amplitudes and stores them.

python -m preprocessing.prepare_zscored dataset.raw_path=... dataset.reference_path=...
"""

from pathlib import Path

from omegaconf import DictConfig

from einthoven.run.launch import plain, run_path, script
from einthoven.run.run_folder import RunFolder
from preprocessing.store.store import Store
from preprocessing.zscored import prepare_zscored


@script("prepare_zscored")
def main(cfg: DictConfig) -> None:
    """Builds the store that the config asks for and says what was done."""
    config = plain(cfg)
    dataset = config["dataset"]
    summary = prepare_zscored(
        Path(dataset["raw_path"]),
        Path(dataset["database_path"]),
        Path(dataset["reference_path"]),
        n_draws=dataset["n_draws"],
        seed=config["seed"],
    )
    manifest_hash = Store.open(summary.store).manifest_hash
    RunFolder.create(run_path(), config, seed=config["seed"], device="cpu", data_manifest_hash=manifest_hash)
    print(summary.describe())


if __name__ == "__main__":
    main()
