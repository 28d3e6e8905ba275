"""Fits which rates and irregularities are drawn for generated ECGs, by statement, on the training records of a store.

python -m diffusion_prior.fit_rhythms checkpoint=my_prior.safetensors write_to=fitted.safetensors
"""

import sys
from pathlib import Path
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("fit_rhythms")
def main(config: dict[str, Any]) -> Outcome:
    """Measures the rhythms of the training records, and writes them beside the config and into weights."""
    from diffusion_prior.checkpoint import find_prior
    from diffusion_prior.rhythms import describe_rhythms, fit_rhythms, write_rhythms
    from einthoven.run.files import write_json
    from einthoven.run.weights_cache import hash_weights
    from preprocessing.store.store import Store

    store = Store.open(config["dataset"]["database_path"])
    origin: dict[str, Any] = {
        "data_manifest_hash": store.manifest_hash,
        "files": {"prior": hash_weights(find_prior(config["checkpoint"]))},
    }
    run = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu", **origin)
    table = fit_rhythms(store)
    write_json(run.path / "rhythms.json", table)
    written = [] if config["write_to"] is None else [Path(config["write_to"])]
    for path in written:
        write_rhythms(config["checkpoint"], path, table)
    then = (
        ["generate", f"checkpoint={written[0]}", "generate.labels=[SR]"]
        if written
        else ["fit_rhythms", *sys.argv[1:], "write_to=fitted.safetensors"]
    )
    return Outcome(describe_rhythms(table), [*written, run.path], then)


if __name__ == "__main__":
    main()
