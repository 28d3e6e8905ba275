"""Fits which rhythms are drawn for generated ECGs, by statement, and their amplitudes, on a store's training records.

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
    """Measures rhythms and amplitudes of the training records; writes them beside the config and into weights."""
    from diffusion_prior.amplitudes import describe_amplitudes, fit_amplitudes
    from diffusion_prior.checkpoint import add_facts, find_prior
    from diffusion_prior.generation import AMPLITUDES
    from diffusion_prior.rhythms import FACT, describe_rhythms, fit_rhythms, load_told
    from einthoven.arguments import check_count
    from einthoven.run.files import write_json
    from einthoven.run.weights_cache import hash_weights
    from preprocessing.store.store import Store

    n_twins = check_count("n_twins", config["n_twins"], 0)
    store, denoiser = Store.open(config["dataset"]["database_path"]), load_told(config["checkpoint"])
    origin: dict[str, Any] = {
        "data_manifest_hash": store.manifest_hash,
        "files": {"prior": hash_weights(find_prior(config["checkpoint"]))},
    }
    run = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu", **origin)
    table = fit_rhythms(store)
    write_json(run.path / "rhythms.json", table)
    facts: dict[str, Any] = {FACT: table}
    text = describe_rhythms(table)
    if n_twins:
        gains = fit_amplitudes(denoiser, store, table, n_twins, config["seed"])
        write_json(run.path / "amplitudes.json", gains)
        facts, text = facts | {AMPLITUDES: gains}, f"{text}\n{describe_amplitudes(gains)}"
    written = [] if config["write_to"] is None else [Path(config["write_to"])]
    for path in written:
        add_facts(config["checkpoint"], path, facts)
    then = (
        ["generate", f"checkpoint={written[0]}", "generate.labels=[SR]"]
        if written
        else ["fit_rhythms", *sys.argv[1:], "write_to=fitted.safetensors"]
    )
    return Outcome(text, [*written, run.path], then)


if __name__ == "__main__":
    main()
