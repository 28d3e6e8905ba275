"""Trains the autoencoder of scalograms: `python -m noise_quant.train_autoencoder`."""

from omegaconf import DictConfig

from noise_quant.training import train_scalogram_model
from preprocessing.launch import plain, run_path, script


@script("train_autoencoder")
def main(cfg: DictConfig) -> None:
    """Trains from the config, draws the loss curve and tells the last losses."""
    print(train_scalogram_model("autoencoder", plain(cfg), run_path()))


if __name__ == "__main__":
    main()
