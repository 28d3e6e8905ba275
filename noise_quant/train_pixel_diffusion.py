"""Trains the diffusion of scalograms' pixels: `python -m noise_quant.train_pixel_diffusion`."""

from omegaconf import DictConfig

from einthoven.run.launch import plain, run_path, script
from noise_quant.training.training import train_scalogram_model


@script("train_pixel_diffusion")
def main(cfg: DictConfig) -> None:
    """Trains from the config, draws the loss curve and tells the last losses."""
    print(train_scalogram_model("pixel", plain(cfg), run_path()))


if __name__ == "__main__":
    main()
