"""Trains the autoencoder of scalograms: `python -m noise_quant.train_autoencoder`."""

from omegaconf import DictConfig

from einthoven.run.launch import plain, run_path, script
from noise_quant.training.training import train_scalogram_model


@script("train_autoencoder")
def main(cfg: DictConfig) -> None:
    """Trains from the config, draws the loss curve and tells the last losses."""
    print(train_scalogram_model("autoencoder", plain(cfg), run_path()))


if __name__ == "__main__":
    main()
