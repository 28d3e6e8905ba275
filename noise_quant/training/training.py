"""Training of the scalogram models: what the three training scripts do, from plain settings to a run folder."""

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from diffusion_prior.training.processes import join_processes
from diffusion_prior.training.settings import TrainerSettings
from diffusion_prior.training.training_run import describe_model, run_training
from einthoven.randomness import seeded_generator
from einthoven.run.hashing import hash_file
from einthoven.run.weights_cache import hash_weights
from noise_quant.data.artefacts import Artefacts
from noise_quant.data.training_data import LeadData, ScalogramData, TrainingData
from noise_quant.model.checkpoint import build_model, find_model, load_autoencoder, load_model, take_weights
from noise_quant.model.models import ScalogramAutoencoder, ScalogramDiffusion, ScalogramModel
from noise_quant.scalogram.image import ScalogramSettings
from noise_quant.scalogram.store import ScalogramStore
from noise_quant.training.objectives import AutoencoderObjective, DiffusionObjective
from preprocessing.store.store import Store

N_MEASURED = 512
"""Leads whose latents give the scaling factor."""
CHUNK = 64


def train_scalogram_model(kind: str, settings: Mapping[str, Any], path: Path) -> str:
    """Trains a model of scalograms; a run that was stopped goes on in its folder.

    Args:
        kind: "autoencoder", "latent" or "pixel".
        settings: Settings, as `configs/train_autoencoder.yaml` and its siblings have them.
        path: Run folder.

    Returns:
        What to print: the last losses and the folder; or, of a dry run, settings and model.

    Raises:
        ValueError: If the settings, the stores, the selection and the weights to start from do not fit together.
    """
    config = copy.deepcopy(dict(settings))
    if kind == "latent" and bool(config["checkpoint"]) == bool(config["autoencoder"]):
        raise ValueError(
            "give autoencoder=<run of noise_quant.train_autoencoder>, or checkpoint=<latent model to go on from>, "
            "which brings its own autoencoder, and not both"
        )
    if config.pop("dry_run"):
        return describe_model(config, starting_model(kind, config))
    config["train"].pop("results_path")
    data = image_data(config)
    trainer_config = trainer_settings(config, len(data))
    torch.manual_seed(trainer_config.seed)
    state = join_processes()
    model = starting_model(kind, config, data.scalogram).to(state.device)
    if kind == "latent" and not (config["checkpoint"] or config["scalogram_model"]["scaling_factor"]):
        measure_scaling_factor(model, data)
    hashes = [store.manifest_hash for store in data.stores]
    model.facts = {"n_training_leads": len(data), "data_manifest_hashes": hashes}
    started_from = {role: config[role] for role in ("checkpoint", "autoencoder") if config.get(role)}
    files = {role: hash_weights(find_model(given)) for role, given in started_from.items()}
    files |= {f"store {number}": digest for number, digest in enumerate(hashes[1:], 2)}
    if selection := config["dataset"]["selection"]:
        files["selection"] = hash_file(Path(selection))
    origin = {"data_manifest_hash": hashes[0], "files": files}
    return str(run_training(_objective(model), data, trainer_config, path, config, origin=origin))


def image_data(config: Mapping[str, Any]) -> TrainingData:
    """Opens the training data that `dataset` names: stored scalograms, or ECGs whose images are made as they are drawn.

    Only for stores of unfiltered ECGs, `dataset` has `scalogram` and `artefacts`; ValueError if it does not fit.
    """
    dataset, discretization = config["dataset"], bool(config["discretization"])
    folders = [Path(store) for store in dataset["stores"]]
    hold_ecgs = [(folder / "signals.npy").is_file() for folder in folders]
    if any(hold_ecgs) and not all(hold_ecgs):
        raise ValueError("dataset.stores mixes stores of ECGs and of scalograms: give one kind")
    selection, most = dataset["selection"], int(dataset["max_validation"])
    if folders and all(hold_ecgs):
        artefacts = None if dataset["artefacts"] is None else Artefacts(**dataset["artefacts"])
        settings = ScalogramSettings(**dataset["scalogram"])
        stores = [Store.open(folder) for folder in folders]
        return LeadData(stores, settings, discretization, artefacts, selection, most)
    if dataset["artefacts"] is not None or dataset["scalogram"]:
        raise ValueError(
            "dataset.artefacts and dataset.scalogram need stores of unfiltered ECGs: the images of stores of "
            "scalograms are made already"
        )
    return ScalogramData([ScalogramStore.open(folder) for folder in folders], selection, discretization, most)


def trainer_settings(config: Mapping[str, Any], n_leads: int) -> TrainerSettings:
    """Returns the trainer's settings of `train` and `seed`; `train.n_epochs`, where given, sets the number of steps."""
    train = {name: value for name, value in config["train"].items() if name != "results_path"}
    n_epochs = train.pop("n_epochs")
    if n_epochs is not None:
        train["n_steps"] = math.ceil(n_epochs * n_leads / train["batch_size"])
    return TrainerSettings(**train, seed=config["seed"])


def starting_model(kind: str, config: Mapping[str, Any], scalogram: ScalogramSettings | None = None) -> ScalogramModel:
    """Builds a model to train, with fresh weights or those of a checkpoint.

    Args:
        kind: "autoencoder", "latent" or "pixel".
        config: Settings: `scalogram_model`, `discretization`, `checkpoint`, and `autoencoder` for a latent model.
        scalogram: Settings of the training images; None where there are none yet.

    Raises:
        ValueError: If a latent model has no autoencoder, or weights do not fit the settings or the images.
    """
    settings, checkpoint = config["scalogram_model"], config["checkpoint"]
    spec = {name: settings[name] for name in ("size", "ae", "clip_sample", "max_timestep")}
    spec |= {"kind": kind, "unet": settings.get(f"{kind}_unet", {}), "discretization": config["discretization"]}
    if scalogram is not None:
        spec["scalogram"] = asdict(scalogram)
    if kind == "latent":
        return _starting_latent_model(spec, settings["scaling_factor"], checkpoint, config["autoencoder"], scalogram)
    model = build_model(spec)
    if checkpoint:
        _check_scalogram(take_weights(model, checkpoint), scalogram, checkpoint)
    return model


def _starting_latent_model(
    spec: dict[str, Any],
    scaling_factor: float | None,
    checkpoint: str | None,
    autoencoder: str | None,
    scalogram: ScalogramSettings | None,
) -> ScalogramDiffusion:
    """Builds a latent model on a trained autoencoder, whose own settings replace those of `spec`."""
    source: ScalogramAutoencoder | ScalogramDiffusion
    if autoencoder:
        source = load_autoencoder(autoencoder)
    else:
        loaded = load_model(checkpoint)
        if loaded.ae is None:
            raise ValueError(f"{checkpoint} is a pixel model: train it with noise_quant.train_pixel_diffusion")
        source, scaling_factor = loaded, scaling_factor or loaded.scaling_factor
    if source.spec["size"] != spec["size"]:
        raise ValueError(f"the autoencoder is {source.spec['size']}: give scalogram_model={source.spec['size']}")
    _check_scalogram(source, scalogram, str(autoencoder or checkpoint))
    spec = {**spec, "ae": source.spec["ae"]}
    model = build_model({**spec, "scaling_factor": scaling_factor} if scaling_factor else spec)
    assert isinstance(model, ScalogramDiffusion) and model.ae is not None and source.ae is not None
    if checkpoint:
        take_weights(model, checkpoint)
    else:
        model.ae.load_state_dict(source.ae.state_dict())
    return model


def _check_scalogram(source: ScalogramModel, scalogram: ScalogramSettings | None, path: str) -> None:
    if scalogram is not None and source.scalogram != scalogram:
        raise ValueError(f"{path} was trained on other scalograms ({source.scalogram}) than the stores' ({scalogram})")


@torch.no_grad()
def measure_scaling_factor(model: ScalogramModel, data: TrainingData) -> None:
    """Sets the scaling factor of a model of latents so that those of training images have a standard deviation of 1."""
    assert isinstance(model, ScalogramDiffusion) and model.ae is not None
    image = data.batch(min(N_MEASURED, len(data)), seeded_generator("scaling factor"))["x"]
    device = next(model.parameters()).device
    latents = torch.cat([model.ae.encode(part.to(device)) for part in image.split(CHUNK)])
    model.scaling_factor = model.spec["scaling_factor"] = 1 / float(latents.double().std())


def _objective(model: ScalogramModel) -> AutoencoderObjective | DiffusionObjective:
    if isinstance(model, ScalogramDiffusion):
        return DiffusionObjective(model)
    assert isinstance(model, ScalogramAutoencoder)
    return AutoencoderObjective(model)
