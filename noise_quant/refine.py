"""Selects the cleanest training leads by two runs of scores: a list for `dataset.selection` of the training scripts.

python -m noise_quant.refine static_run=... burst_run=... metric=psnr static_percentage=0.5 burst_percentage=0.5
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("refine")
def main(config: dict[str, Any]) -> Outcome:
    """Selects leads and writes `selection.parquet`, `selection.csv` and, in `metrics.jsonl`, their counts."""
    from einthoven.report.tables import write_csv, write_parquet
    from noise_quant.scoring.selection import read_scores, select_leads

    selection = select_leads(
        read_scores(config["static_run"]),
        read_scores(config["burst_run"]),
        config["metric"],
        config["static_percentage"],
        config["burst_percentage"],
    )
    folder = run_path(config)
    run = RunFolder.create(folder, config, seed=config["seed"], device="cpu")
    write_csv(selection.leads, folder / "selection.csv")
    write_parquet(selection.leads, folder / "selection.parquet")
    run.log(**selection.counts)
    made = [folder / "selection.parquet", folder / "selection.csv"]
    return Outcome(selection.describe(), made, ["train_autoencoder", f"dataset.selection={made[0]}"])


if __name__ == "__main__":
    main()
