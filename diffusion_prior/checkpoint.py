"""Checkpoints of the prior: one safetensors file that holds the weights and, as JSON, how to build the network."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from diffusion_prior.denoiser import Denoiser
from diffusion_prior.schedule import EDMSchedule
from diffusion_prior.unet import UNet1d
from preprocessing.leads import INDEPENDENT_LEADS, canonical_leads
from preprocessing.statements import STATEMENTS
from preprocessing.weights_file import find_weights, read_weights, write_weights

PRETRAINED = Path(__file__).parent / "pretrained" / "ptbxl_8leads_100Hz.safetensors"
"""The bundled prior."""

BACKBONES: dict[str, type[nn.Module]] = {"unet1d": UNet1d}


def build_denoiser(spec: Mapping[str, Any]) -> Denoiser:
    """Builds a denoiser with fresh weights.

    Args:
        spec: Plain data: `backbone` (a mapping with `name` and the backbone's arguments), and optionally `schedule`
            (arguments of `EDMSchedule`), `leads`, `sampling_rate`, `sigma_data` and `unconditional`.

    Returns:
        The denoiser; its `spec` attribute keeps the settings for the checkpoint.

    Raises:
        ValueError: If the backbone is not known.
    """
    backbone = dict(spec["backbone"])
    name = backbone.pop("name")
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}; known are {', '.join(BACKBONES)}")
    leads = canonical_leads(spec.get("leads", INDEPENDENT_LEADS))
    n_labels = 0 if spec.get("unconditional", False) else len(STATEMENTS)
    denoiser = Denoiser(
        BACKBONES[name](3 * len(leads), len(leads), n_labels, **backbone),
        EDMSchedule(**spec.get("schedule", {})),
        leads,
        spec.get("sampling_rate", 100.0),
        spec.get("sigma_data", 0.25),
        n_labels,
    )
    denoiser.spec = json.loads(json.dumps({**spec, "leads": list(leads)}))
    return denoiser


def save_denoiser(path: Path, denoiser: Denoiser, facts: Mapping[str, Any] | None = None, half: bool = False) -> None:
    """Writes a denoiser that `build_denoiser` built, atomically.

    Args:
        path: Safetensors file.
        denoiser: The denoiser.
        facts: What else to say of it (steps, data, ...), plain data.
        half: Stores weights in half precision.
    """
    write_weights(path, denoiser.backbone, denoiser.spec, facts or {}, half)


def load_denoiser(path: str | Path | None = None) -> Denoiser:
    """Reads a denoiser, in float32 and evaluation mode, without gradients for its weights.

    Args:
        path: Safetensors file, a training run's folder, or None for the bundled prior.

    Returns:
        The denoiser, on the CPU; `facts` holds what the file says of it.

    Raises:
        ValueError: If there is no such file, or it holds no denoiser of ours.
    """
    file = find_weights(PRETRAINED if path is None else path)
    weights, spec, facts = read_weights(file)
    if "backbone" not in spec:
        raise ValueError(f"{file} does not say how to build its network: it was not written by diffusion_prior.train")
    denoiser = build_denoiser(spec)
    denoiser.backbone.load_state_dict(weights)
    denoiser.facts = facts
    return denoiser.eval().requires_grad_(False)


def take_weights(denoiser: Denoiser, path: str | Path) -> None:
    """Copies the weights of a checkpoint into a denoiser of the same network, to go on training from them.

    Args:
        denoiser: The denoiser.
        path: As for `load_denoiser`.

    Raises:
        ValueError: If there is no such checkpoint, or its network is another one.
    """
    loaded = load_denoiser(path)
    theirs, ours = ({name: w.shape for name, w in d.state_dict().items()} for d in (loaded, denoiser))
    if theirs != ours:
        raise ValueError(f"the weights at {path} are of another network: give the settings of {loaded.spec}")
    denoiser.load_state_dict(loaded.state_dict())
