"""Damages clean records on purpose, repairs them, and tells what was found, how near it came and what it did to waves.

python -m evaluation.evaluate_repair source=ptbxl fold=10
python -m evaluation.evaluate_repair source=external
python -m evaluation.evaluate_repair source=ludb
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("evaluate_repair")
def main(config: dict[str, Any]) -> Outcome:
    """Evaluates repairs of a fold of PTB-XL, of a folder of WFDB records or of LUDB, and prints the tables."""
    import torch

    from evaluation.repairing.runs import evaluate_repairs

    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device=config["device"])
    names = ("source", "fold", "ptbxl_path", "wfdb_path", "nstdb_path", "half", "n_records", "n_fit", "n_samples")
    settings = {name: config[name] for name in (*names, "ludb_path", "n_resamples", "seed", "device", "classifier")}
    report = evaluate_repairs(folder.path, **settings)
    return Outcome(report.markdown, [report.page(folder.path), folder.path], ["repair", "recordings=[RECORDING]"])


if __name__ == "__main__":
    main()
