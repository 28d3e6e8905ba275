"""Checks recordings for swapped electrodes and wrongly named leads.

python -m reconstruction.check_electrodes my_record.dcm
python -m reconstruction.check_electrodes recordings=[my_folder] correct=true
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("check_electrodes", words="recordings")
def main(config: dict[str, Any]) -> Outcome:
    """Checks the recordings that the config names, files or folders of them; or the bundled ECG."""
    import torch

    from diffusion_prior.checkpoint import find_prior
    from einthoven.run.weights_cache import hash_weights
    from reconstruction.electrodes.folder import check_all
    from reconstruction.repairs.folder import find_recordings

    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    files = find_recordings(config["recordings"])
    origin = {"prior": hash_weights(find_prior(config["checkpoint"]))}
    run = RunFolder.create(run_path(config), config, seed=config["seed"], device=config["device"], files=origin)
    settings = {"seed": config["seed"], "weights": config["checkpoint"], "device": config["device"]}
    found = check_all(files, run.path, settings, correct=config["correct"], suffix=config["format"])
    words = ["repair", f"recordings=[{files[0]}]"] if files[0] is not None else ["repair"]
    return Outcome(found.text, found.made, words, failed=found.failed)


if __name__ == "__main__":
    main()
