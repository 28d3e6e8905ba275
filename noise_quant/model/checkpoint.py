"""Checkpoints of scalogram models: our safetensors files, which say how to build the model, and published pickles."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from einthoven.checked_files import intact
from einthoven.run.weights_file import (
    HINT,
    PICKLES,
    find_weights,
    read_pickled_weights,
    read_weights,
    weight_differences,
    write_weights,
)
from noise_quant.model.han_networks import SCALING_FACTOR, HanAutoencoder, han_unet
from noise_quant.model.models import ImageAutoencoder, ScalogramAutoencoder, ScalogramDiffusion, ScalogramModel
from noise_quant.model.reverse_process import N_TIMESTEPS, ReverseProcess
from noise_quant.model.small_networks import AE_PATCH, SmallAutoencoder, SmallUNet
from noise_quant.scalogram.image import HAN, HEIGHT, ScalogramSettings

PRETRAINED = Path(__file__).parents[1] / "pretrained" / "small.safetensors"
"""The bundled model."""

HAN_THRESHOLDS = {ReverseProcess().key: {"clean": 26.0, "heavy": 24.0}}
"""Limits of the verdict of Han's latent model in dB, from its README."""

KINDS = ("autoencoder", "latent", "pixel")
SIZES = ("small", "published")

M = TypeVar("M", bound=ScalogramModel)


def build_model(spec: Mapping[str, Any]) -> ScalogramModel:
    """Builds a model with fresh weights.

    Args:
        spec: Plain data: `kind` (autoencoder, latent or pixel) and optionally `size` (small or published), `ae` and
            `unet` (arguments of the small networks), `scaling_factor` (of latents), `clip_sample`, `max_timestep`,
            `scalogram` (arguments of `ScalogramSettings`) and `discretization`; ValueError if they do not fit.

    Returns:
        The model; its `spec` attribute keeps the settings, completed, for the checkpoint.
    """
    kind, size = spec.get("kind"), spec.get("size", "small")
    if kind not in KINDS or size not in SIZES:
        raise ValueError(
            f"a model's kind is {', '.join(KINDS)} and its size {' or '.join(SIZES)}, not {kind!r} and {size!r}"
        )
    scalogram = ScalogramSettings(**_all_settings(ScalogramSettings, spec.get("scalogram", {})))
    common: dict[str, Any] = {"scalogram": scalogram, "discretization": bool(spec.get("discretization", True))}
    diffusion: dict[str, Any] = {
        "clip_sample": bool(spec.get("clip_sample", size == "published")),
        "max_timestep": int(spec.get("max_timestep", N_TIMESTEPS)),
    }
    completed: dict[str, Any] = {**common, "kind": kind, "size": size, "scalogram": asdict(scalogram)}
    model: ScalogramModel
    if kind == "pixel":
        completed["unet"], unet = _unet(spec, kind, size, 1)
        model = ScalogramDiffusion(unet, **common, **diffusion)
    else:
        build_ae: type[ImageAutoencoder] = HanAutoencoder if size == "published" else SmallAutoencoder
        completed["ae"] = _all_settings(build_ae, spec.get("ae", {}))
        ae = build_ae(**completed["ae"])
        if kind == "autoencoder":
            model = ScalogramAutoencoder(ae, **common)
        else:
            diffusion["scaling_factor"] = float(spec.get("scaling_factor", SCALING_FACTOR))
            completed["unet"], unet = _unet(spec, kind, size, ae.latent_channels)
            model = ScalogramDiffusion(unet, ae, **common, **diffusion)
    if kind != "autoencoder":
        completed |= diffusion
    model.spec = json.loads(json.dumps(completed))
    return model


def _unet(spec: Mapping[str, Any], kind: str, size: str, n_channels: int) -> tuple[dict[str, Any], nn.Module]:
    """Builds a U-Net for so many channels; returns its settings, complete, and the network."""
    given = spec.get("unet", {})
    if size == "published":
        build = partial(han_unet, kind)
        return _all_settings(build, given), build()
    rows = {"n_rows": HEIGHT if kind == "pixel" else HEIGHT // AE_PATCH}
    settings = _all_settings(SmallUNet, {"in_channels": n_channels, **rows, **given})
    if settings["in_channels"] != n_channels:
        raise ValueError(f"unet.in_channels is {settings['in_channels']}, but the U-Net gets {n_channels} channels")
    return settings, SmallUNet(**settings)


def _all_settings(build: Callable[..., object], given: Mapping[str, Any]) -> dict[str, Any]:
    """Completes the arguments of a network with its defaults, which may be others in a later version."""
    try:
        bound = inspect.signature(build).bind(**given)
    except TypeError as error:
        raise ValueError(f"the settings {dict(given)} do not fit: {error}") from error
    bound.apply_defaults()
    return dict(bound.arguments)


def save_model(path: Path, model: ScalogramModel, facts: Mapping[str, Any] | None = None, half: bool = False) -> None:
    """Writes a model that `build_model` built, atomically, to a safetensors file.

    Args:
        path: The file.
        model: The model.
        facts: What else to say of it (steps, data, thresholds, ...), plain data; None for `model.facts`.
        half: Stores weights in half precision.
    """
    write_weights(path, model, model.spec, model.facts if facts is None else facts, half)


def load_model(path: str | Path | None = None, use_ldm: bool | None = None) -> ScalogramDiffusion:
    """Reads a latent or a pixel diffusion model: float32, evaluation mode, on the CPU, weights without gradients.

    Args:
        path: Safetensors file of ours, a training run's folder, a published `.pth` file, or None for the bundled model.
        use_ldm: True or False to insist on a latent or a pixel model; None: what the file holds.

    Raises:
        ValueError: If there is no such file, or it holds no diffusion model that this code knows of that kind.
    """
    model = load_scalogram_model(path)
    if not isinstance(model, ScalogramDiffusion):
        raise ValueError(
            f"{path} holds an autoencoder alone: train a latent model on it with "
            f"python -m noise_quant.train_latent_diffusion autoencoder={path}"
        )
    latent = model.ae is not None
    if use_ldm is not None and use_ldm != latent:
        what = "latent" if latent else "pixel"
        raise ValueError(f"use_ldm is {str(use_ldm).lower()}, but the weights are a {what} model: leave use_ldm out")
    return model


def load_autoencoder(path: str | Path) -> ScalogramAutoencoder:
    """Reads an autoencoder, from its own file or that of a latent model; `path` and errors as for `load_model`."""
    model = load_scalogram_model(path)
    if isinstance(model, ScalogramAutoencoder):
        return model
    if not isinstance(model, ScalogramDiffusion) or model.ae is None:
        raise ValueError(f"{path} holds no autoencoder: give a run of noise_quant.train_autoencoder")
    spec = {name: model.spec[name] for name in ("size", "ae", "scalogram", "discretization")}
    autoencoder = cast(ScalogramAutoencoder, build_model({**spec, "kind": "autoencoder"}))
    autoencoder.ae.load_state_dict(model.ae.state_dict())
    return _ready(autoencoder, model.facts)


def find_model(path: str | Path | None = None) -> Path:
    """Returns the file of weights that `load_model` reads; ValueError if there is none."""
    return find_weights(PRETRAINED if path is None else path)


def load_scalogram_model(path: str | Path | None = None) -> ScalogramModel:
    """Reads a model of any kind; arguments and errors as for `load_model`."""
    file = find_model(path)
    return _read_han(file) if file.suffix in PICKLES else _read_ours(file)


def take_weights(model: ScalogramModel, path: str | Path) -> ScalogramModel:
    """Copies the weights of a checkpoint (`path` as for `load_model`) into a model; returns the checkpoint's model.

    Raises:
        ValueError: If there is no such checkpoint, or its networks are others.
    """
    loaded = load_scalogram_model(path)
    problems = weight_differences(loaded.state_dict(), model.state_dict())
    if problems:
        raise ValueError(f"the weights at {path} are of other networks: {problems}; they were made for {loaded.spec}")
    model.load_state_dict(loaded.state_dict())
    return loaded


def _read_ours(file: Path) -> ScalogramModel:
    weights, spec, facts = read_weights(file)
    if spec.get("kind") not in KINDS:
        raise ValueError(f"{file} does not say how to build a scalogram model: it was not written by noise_quant")
    with intact(file, HINT):
        model = build_model(spec)
    return _fill(model, weights, file, facts)


def _read_han(file: Path) -> ScalogramModel:
    """Reads Han's pickled state dictionary with a loader that runs no code."""
    weights = read_pickled_weights(file)
    parts = {name.partition(".")[0] for name in weights}
    if "unet" in parts:
        kind = "latent" if "ae" in parts else "pixel"
    elif "encoder" in parts:
        kind, weights = "autoencoder", {f"ae.{name}": w for name, w in weights.items()}
    else:
        raise ValueError(f"{file} holds no published model: no weight's name begins with unet or encoder")
    model = build_model({"kind": kind, "size": "published", "scalogram": asdict(HAN)})
    return _fill(
        model, weights, file, {"published": True, **({"thresholds": HAN_THRESHOLDS} if kind == "latent" else {})}
    )


def _fill(model: ScalogramModel, weights: Mapping[str, Tensor], file: Path, facts: dict[str, Any]) -> ScalogramModel:
    problems = weight_differences(weights, model.state_dict())
    if problems:
        raise ValueError(f"{file} does not fit a {model.spec['size']} {model.spec['kind']} model: {problems}")
    model.load_state_dict(weights)
    return _ready(model, facts)


def _ready(model: M, facts: dict[str, Any]) -> M:
    model.facts = facts
    return model.eval().requires_grad_(False)
