"""Computes the scalograms of a data set's leads as images, and stores them.

python -m noise_quant.compute_scalograms dataset.raw_path=...
python -m noise_quant.compute_scalograms dataset=cinc2011_scalograms dataset.raw_path=...
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("compute_scalograms")
def main(config: dict[str, Any]) -> Outcome:
    """Builds the store that the config asks for and says what was done."""
    from noise_quant.scalogram.image import ScalogramSettings
    from noise_quant.scalogram.preparation import prepare_scalograms
    from noise_quant.scalogram.store import ScalogramStore
    from preprocessing.cohorts.ptbxl import Ptbxl

    dataset = config["dataset"]
    summary = prepare_scalograms(
        dataset["name"],
        dataset["raw_path"],
        dataset["database_path"],
        scalogram=ScalogramSettings(**config["scalogram"]),
        source_rate=dataset["source_rate"],
        n_workers=dataset["n_workers"],
        max_skipped=dataset["max_skipped"],
    )
    store = ScalogramStore.open(summary.store)
    RunFolder.create(
        run_path(config), config, seed=config["seed"], device="cpu", data_manifest_hash=store.manifest_hash
    )
    text = summary.describe(Ptbxl.full_size if dataset["name"] == "ptbxl" else None)
    text += f"\n  leads: {len(store.leads)}, unusable {int(store.leads['unusable'].sum())}"
    return Outcome(text, [summary.store], ["train_autoencoder", f"dataset.stores=[{summary.store}]"])


if __name__ == "__main__":
    main()
