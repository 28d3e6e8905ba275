"""Scores how noisy leads are, of a data set, of mixtures or of one recording.

python -m noise_quant.score_noise timestep=30 step_interval=10 noise_scheduler_type=ddim include_all_folds=false
python -m noise_quant.score_noise source=mixtures split=val
python -m noise_quant.score_noise source=recording record=my_record
"""

from functools import partial
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("score_noise")
def main(config: dict[str, Any]) -> Outcome:
    """Scores the leads that the config names into a run folder."""
    import torch

    from einthoven.run.chunks import ENGINES
    from einthoven.run.progress import show_progress
    from einthoven.run.weights_cache import hash_weights
    from noise_quant.data.sources import SOURCES
    from noise_quant.model.checkpoint import find_model
    from noise_quant.scoring.methods import scoring_method
    from noise_quant.scoring.score_table import score_source

    score, raw_path = config["score"], config["dataset"]["raw_path"]
    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    process = ("timestep", "step_interval", "noise_scheduler_type")
    names = ("use_ldm", *process, "discretization", "n_partitions", "batch_size", "seed")
    how = {name: config[name] for name in names}
    make_scoring = partial(scoring_method, config["method"], config["checkpoint"], **how)
    engine, device = ENGINES.build(config["engine"]), config["device"]
    scoring = make_scoring(device="cpu" if engine.is_remote else device)
    settings = {**config["sources"].get(config["source"], {}), **({"raw_path": raw_path} if raw_path else {})}
    source = SOURCES.build({"name": config["source"], **settings})
    folder = run_path(config)
    files = {} if config["method"] == "baseline" else {"model": hash_weights(find_model(config["checkpoint"]))}
    origin = {"data_manifest_hash": source.digest, "files": files}
    run = RunFolder.create(folder, config, seed=config["seed"], device=device, **origin)
    remote = {"engine": engine, "make_scoring": partial(make_scoring, device=device)}
    with show_progress(source.n_leads, "lead", "score") as bar:
        summary = score_source(source, scoring, run.path, score["chunk_records"], bar.update, **remote)
    made = [folder / "scores.parquet", folder / "records.parquet"]
    text = f"{config['source']}, {config['method']}: {summary.describe()}"
    then = ["evaluate_noise", f"runs=[{folder}]"]
    if config["source"] == "recording":
        then = ["check_electrodes", str(config["record"])]
    return Outcome(text, made, then)


if __name__ == "__main__":
    main()
