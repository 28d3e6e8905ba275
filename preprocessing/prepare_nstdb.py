"""Prepares the MIT-BIH Noise Stress Test Database: bw, em and ma at one rate, in two halves.

python -m preprocessing.prepare_nstdb dataset.raw_path=... dataset.sampling_rate=100
"""

from pathlib import Path
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.hashing import hash_json
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("prepare_nstdb")
def main(config: dict[str, Any]) -> Outcome:
    """Writes the noise that the config asks for and says where."""
    from preprocessing.cohorts.nstdb import prepare_nstdb

    dataset, seed = config["dataset"], config["seed"]
    manifest = prepare_nstdb(Path(dataset["raw_path"]), Path(dataset["database_path"]), dataset["sampling_rate"])
    RunFolder.create(run_path(config), config, seed=seed, device="cpu", data_manifest_hash=hash_json(manifest))
    text = f"bw, em and ma, halves fit and test, at {dataset['sampling_rate']:g} Hz"
    place = dataset["database_path"]
    return Outcome(text, [place], ["denoise", "denoising.snr_db=6", f"denoising.noise_path={place}"])


if __name__ == "__main__":
    main()
