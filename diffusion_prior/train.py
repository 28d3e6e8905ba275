"""Trains the prior: `python -m diffusion_prior.train`.

On several GPUs or CPU processes: `accelerate launch --multi_gpu --num_processes 2 -m diffusion_prior.train`.
"""

from statistics import fmean
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script


@script("train")
def main(config: dict[str, Any]) -> Outcome:
    """Builds model, data and objective from the config, trains, draws the loss curve."""
    import torch

    from diffusion_prior.checkpoint import build_denoiser, find_prior, take_weights
    from diffusion_prior.model.state_space import state_space_groups
    from diffusion_prior.training.data import TrainingData
    from diffusion_prior.training.objective import build_objective
    from diffusion_prior.training.settings import TrainerSettings
    from diffusion_prior.training.training_run import describe_model, run_training
    from einthoven.run.weights_cache import hash_weights

    path = run_path(config)
    config["train"].pop("results_path")
    train = dict(config["train"])
    state_space_rate = train.pop("state_space_learning_rate", None)
    settings = TrainerSettings(**train, seed=config["seed"])
    torch.manual_seed(settings.seed)
    denoiser = build_denoiser(config["model"])
    if config["checkpoint"]:
        take_weights(denoiser, config["checkpoint"])
    elif config["objective"].get("distillation"):
        raise ValueError("objective.distillation needs the weights to distil: checkpoint=weights.safetensors")
    if config.pop("dry_run"):
        return Outcome(describe_model(config, denoiser))
    groups = state_space_groups(denoiser, state_space_rate)
    data = TrainingData.open(config, denoiser.leads, denoiser.sampling_rate, denoiser.covariates)
    objective = build_objective(denoiser, config["objective"], config["model"]["unconditional"], data.validation)
    origin = data.origin
    if config["checkpoint"]:
        origin["files"]["start"] = hash_weights(find_prior(config["checkpoint"]))
    trained = run_training(objective, data, settings, path, config, origin=origin, groups=groups)
    made = [trained.run.path / name for name in ("weights.safetensors", "loss.png", "metrics.jsonl")]
    then = ["inpaint", f"checkpoint={trained.run.path}"]
    return Outcome(str(trained), made, then, fmean(trained.losses.values()) if trained.losses else None)


if __name__ == "__main__":
    main()
