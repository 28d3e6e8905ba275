"""Swaps electrodes of records on purpose, and tells how well the check finds it, and how often it is wrong.

python -m evaluation.evaluate_electrodes source=ptbxl fold=10
python -m evaluation.evaluate_electrodes source=external
python -m evaluation.evaluate_electrodes judged=few
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("evaluate_electrodes")
def main(config: dict[str, Any]) -> Outcome:
    """Evaluates the check on a fold of PTB-XL or on a folder of WFDB records, and prints the tables."""
    import torch

    from evaluation.electrodes.runs import evaluate_swaps

    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device=config["device"])
    names = ("judged", "source", "fold", "ptbxl_path", "wfdb_path", "n_records", "specificity", "n_resamples", "seed")
    report = evaluate_swaps(folder.path, device=config["device"], **{name: config[name] for name in names})
    return Outcome(report.markdown, [report.page(folder.path), folder.path], ["check_electrodes", "FILE"])


if __name__ == "__main__":
    main()
