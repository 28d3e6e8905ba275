"""Trains the diffusion of an autoencoder's latents: `python -m noise_quant.train_latent_diffusion`."""

from typing import Any

from einthoven.run.launch import run_path, script


@script("train_latent_diffusion")
def main(config: dict[str, Any]) -> str:
    """Trains from the config, draws the loss curve and says the last losses."""
    from noise_quant.training.training import train_scalogram_model

    return train_scalogram_model("latent", config, run_path(config))


if __name__ == "__main__":
    main()
