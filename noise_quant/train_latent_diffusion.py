"""Trains the diffusion of an autoencoder's latents: `python -m noise_quant.train_latent_diffusion`."""

from omegaconf import DictConfig

from einthoven.run.launch import plain, run_path, script
from noise_quant.training.training import train_scalogram_model


@script("train_latent_diffusion")
def main(cfg: DictConfig) -> None:
    """Trains from the config, draws the loss curve and tells the last losses."""
    print(train_scalogram_model("latent", plain(cfg), run_path()))


if __name__ == "__main__":
    main()
