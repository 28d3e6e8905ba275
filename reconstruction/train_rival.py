"""Trains a rival of ours on the same folds: `python -m reconstruction.train_rival rival=unet_regression`."""

from omegaconf import DictConfig

from einthoven.run.launch import plain, run_path, script
from reconstruction.rivals.training import train_rival


@script("train_rival")
def main(cfg: DictConfig) -> None:
    """Trains from the config, draws the loss curve and tells the last losses."""
    print(train_rival(plain(cfg), run_path()))


if __name__ == "__main__":
    main()
