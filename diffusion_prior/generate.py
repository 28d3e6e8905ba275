"""Draws ECGs from the prior: `python -m diffusion_prior.generate 'generate.labels=[AFIB,LVH]'`."""

import sys
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("generate")
def main(config: dict[str, Any]) -> Outcome:
    """Takes the labels, draws the ECGs, writes a store and a picture."""
    import numpy as np
    import pandas as pd
    import torch

    from diffusion_prior.checkpoint import find_prior, shared_denoiser
    from diffusion_prior.choosing import Told, choose_covariates
    from diffusion_prior.generation import GenerationSettings, check_settings, generate_ecgs, store_scale
    from einthoven.ecg.leads import LEADS
    from einthoven.ecg.statements import check_compatible, encode
    from einthoven.report.ecg_paper import draw_ecg
    from einthoven.report.figures import save_figure
    from einthoven.run.weights_cache import hash_weights
    from preprocessing.store.files import UNITS_PER_MV
    from preprocessing.store.store import Store, write_store

    generate, split = dict(config["generate"]), config["dataset"]["training_class"]
    statements, n_ecgs, _ = (generate.pop(key) for key in ("labels", "n_ecgs", "results_path"))
    told = Told(**{name: generate.pop(name) for name in ("age", "sex", "heart_rate", "rr_sd")})
    settings, manifest_hash = GenerationSettings(**generate, seed=config["seed"]), None
    if statements is None:
        store = Store.open(config["dataset"]["database_path"])
        rows, manifest_hash = store.rows(split, n_ecgs), store.manifest_hash
        table = store.table.iloc[rows][["ecg_id", "split", "strat_fold", "statements", "age", "sex"]]
    else:
        statements = check_compatible(statements)
        n_ecgs = n_ecgs or 8
        table = pd.DataFrame({"ecg_id": range(n_ecgs), "split": split, "statements": [list(statements)] * n_ecgs})
    labels = np.stack([encode(codes) for codes in table["statements"]])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    of_prior = {name: config[name] for name in ("published_offset", "conjugate_pairs", "precision")}
    denoiser = shared_denoiser(config["checkpoint"], device, compiled=config["compile"], **of_prior)
    check_settings(denoiser, labels, settings)
    keys = table["ecg_id"].tolist()
    people = None if "age" not in table else table[["age", "sex"]].to_numpy(np.float64)
    covariates = choose_covariates(denoiser, labels, keys, settings.seed, told, people)
    files = {"prior": hash_weights(find_prior(config["checkpoint"]))}
    origin: dict[str, Any] = {"data_manifest_hash": manifest_hash, "files": files}
    run = RunFolder.create(run_path(config), config, seed=settings.seed, device=device, **origin)
    ecgs = generate_ecgs(denoiser, labels, keys, settings, run.path / "chunks", covariates)
    facts = {"source": "generated", "settings": generate, "seed": settings.seed, "weights": denoiser.facts}
    table, facts = table.assign(source="generated"), facts | told.facts()
    scale = store_scale(ecgs)
    store = write_store(run.path / "store", ecgs, table, denoiser.sampling_rate, LEADS, facts, scale)
    title = f"generated: {', '.join(table['statements'].iloc[0]) or 'no statement'}"
    picture = draw_ecg(ecgs[0], LEADS, denoiser.sampling_rate, observed=[[False]], title=title, made="generated")
    save_figure(picture, run.path / "ecg.png", dpi=150)
    doubt = f"not ECGs: they reach {np.abs(ecgs).max():.0f} mV; the prior is not trained, or needs more steps\n"
    text = (doubt if scale < UNITS_PER_MV else "") + f"{len(ecgs)} ECGs"
    of_store = ["evaluate_generation", f"runs=[{run.path}]", f"evaluate.split={split}"]
    again = ["generate", *sys.argv[1:], "generate.guidance_scale=2"]
    return Outcome(text, [run.path / "ecg.png", store.path], of_store if statements is None else again)


if __name__ == "__main__":
    main()
