"""Files of weights: safetensors that also say, as JSON, how to build their network."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from preprocessing.atomic import atomic_write


def write_weights(
    path: Path, network: nn.Module, spec: Mapping[str, Any], facts: Mapping[str, Any], half: bool = False
) -> None:
    """Writes a network's weights with what says how to build it, atomically.

    Args:
        path: Safetensors file.
        network: The network.
        spec: How to build it, plain data.
        facts: What else to say of it, plain data.
        half: Stores weights in half precision.
    """
    dtype = torch.float16 if half else torch.float32
    weights = {name: w.detach().cpu().to(dtype).contiguous() for name, w in network.state_dict().items()}
    metadata = {"spec": json.dumps(spec), "facts": json.dumps(facts)}
    with atomic_write(path) as partial:
        partial.write_bytes(save(weights, metadata))  # save_file would make the file readable by its owner alone


def read_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Reads what `write_weights` wrote.

    Args:
        file: Safetensors file.

    Returns:
        Weights by name, float32; the spec and the facts, empty where the file holds none.

    Raises:
        ValueError: If it is no safetensors file.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            weights = {name: opened.get_tensor(name).float() for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{file} is no readable safetensors file ({error})") from error
    return weights, json.loads(metadata.get("spec", "{}")), json.loads(metadata.get("facts", "{}"))


def find_weights(path: str | Path) -> Path:
    """Returns the file of weights that a path means.

    Args:
        path: Safetensors file, or a training run's folder.

    Raises:
        ValueError: If there is no such file.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "weights.safetensors"
    if not file.is_file():
        raise ValueError(f"no weights at {file}: give a .safetensors file or the folder of a training run")
    return file
