"""Repairs recordings: finds what is bad in them, and puts there what the other leads and times tell.

python -m reconstruction.repair my_record.dcm
python -m reconstruction.repair recordings=[my_folder] engine=ray
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("repair", words="recordings")
def main(config: dict[str, Any]) -> Outcome:
    """Repairs the recordings that the config names, files or folders of them; or the bundled ECG."""
    import torch

    from diffusion_prior.checkpoint import find_prior
    from einthoven.run.chunks import ENGINES
    from einthoven.run.weights_cache import hash_weights
    from reconstruction.repairs.folder import find_recordings, repair_all

    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    files = find_recordings(config["recordings"])
    origin = {"prior": hash_weights(find_prior(config["checkpoint"]))}
    run = RunFolder.create(run_path(config), config, seed=config["seed"], device=config["device"], files=origin)
    names = ("complete", "n_samples", "seed", "device", "format", "point_estimate")
    settings = {name: config[name] for name in names} | {"weights": config["checkpoint"]}
    text, failed = repair_all(files, run.path, settings, ENGINES.build(config["engine"]))
    repaired = sorted(path for path in run.path.rglob("repaired.*") if path.suffix != ".dat")
    made = [*(run.path / name for name in ("report.html", "actions.csv", "recordings.csv")), *repaired[:1]]
    return Outcome(text, made, ["plot", f"record={repaired[0]}"] if repaired else [], failed=failed)


if __name__ == "__main__":
    main()
