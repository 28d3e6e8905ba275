"""Trains a rival of ours on the same folds: `python -m reconstruction.train_rival rival=unet_regression`."""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script


@script("train_rival")
def main(config: dict[str, Any]) -> Outcome:
    """Trains from the config, draws the loss curve and tells the last losses."""
    from reconstruction.rivals.training import train_rival

    path, kind = run_path(config), config["rival"]["kind"]
    made = [path / name for name in ("weights.safetensors", "loss.png", "metrics.jsonl")]
    job = "inpaint" if kind == "unet_regression" else "denoise"
    return Outcome(train_rival(config, path), made, [job, f"algo={kind}", f"algo.weights={path}"])


if __name__ == "__main__":
    main()
