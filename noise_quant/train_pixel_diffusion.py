"""Trains the diffusion of scalograms' pixels: `python -m noise_quant.train_pixel_diffusion`."""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script


@script("train_pixel_diffusion")
def main(config: dict[str, Any]) -> Outcome:
    """Trains from the config, draws the loss curve and says the last losses."""
    from noise_quant.training.training import train_scalogram_model

    path = run_path(config)
    made = [path / name for name in ("weights.safetensors", "loss.png", "metrics.jsonl")]
    return Outcome(
        train_scalogram_model("pixel", config, path), made, ["score_noise", "split=val", f"checkpoint={path}"]
    )


if __name__ == "__main__":
    main()
