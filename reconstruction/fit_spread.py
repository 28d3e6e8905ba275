"""Fits how far samples are moved away from their mean, on several archives of equal weight, anew for new weights.

python -m reconstruction.fit_spread 'stores=[FIRST_STORE,SECOND_STORE]' write_to=fitted.safetensors
"""

import sys
from pathlib import Path
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("fit_spread")
def main(config: dict[str, Any]) -> Outcome:
    """Reconstructs validation records of each store; fits the factor of least CRPS, and what amplitudes then lack."""
    import torch

    from einthoven.run.registry import check_choice
    from preprocessing.store.store import Store
    from reconstruction.batch import reconstruct_batch
    from reconstruction.calibration.spread import fit_spread, write_settings
    from reconstruction.measurement.missingness import HideSamples, Missingness
    from reconstruction.samplers.spec import SamplerSpec

    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    check_choice("method", config["method"], ("amortised", "decoupled"))
    is_amortised = config["method"] == "amortised"
    plain = {"spread": 1.0, "amplitude_spread": 0.0} if is_amortised else {"spread": 1.0}
    spec = SamplerSpec(config["method"], plain, config["checkpoint"])
    stores = {Path(name).name: Store.open(name) for name in config["stores"]}
    if len(stores) < len(config["stores"]):
        raise ValueError("two of the stores have the same folder name: rename one")
    hashes = {name: store.manifest_hash for name, store in stores.items()}
    files = {**spec.identity()["weights"], **hashes}
    run = RunFolder.create(run_path(config), config, seed=config["seed"], device=config["device"], files=files)
    hidden = Missingness(config["missingness_type"], config["missingness"], None)
    sampler = spec.build(config["device"])
    task = HideSamples(hidden, sampler.leads, config["seed"])
    settings = {name: config[name] for name in ("n_samples", "seed", "batch_size", "device")}
    for name, store in stores.items():
        rows = store.rows("val", config["n_records"])
        reconstruct_batch(store, rows, spec, run.path / name, task, **settings)
    amplitude_rate = sampler.sampling_rate if is_amortised and config["missingness_type"] == "lead" else None
    fit = fit_spread({name: run.path / name for name in stores}, amplitude_rate)
    written = [] if config["write_to"] is None else [Path(config["write_to"])]
    for path in written:
        write_settings(config["checkpoint"], path, config["method"], fit.settings)
    then = (
        ["inpaint", f"checkpoint={written[0]}"]
        if written
        else ["fit_spread", *sys.argv[1:], "write_to=fitted.safetensors"]
    )
    return Outcome(fit.describe(), [*written, run.path], then)


if __name__ == "__main__":
    main()
