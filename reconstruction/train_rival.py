"""Trains a rival of ours on the same folds: `python -m reconstruction.train_rival rival=unet_regression`."""

from typing import Any

from einthoven.run.launch import run_path, script


@script("train_rival")
def main(config: dict[str, Any]) -> str:
    """Trains from the config, draws the loss curve and tells the last losses."""
    from reconstruction.rivals.training import train_rival

    return train_rival(config, run_path(config))


if __name__ == "__main__":
    main()
