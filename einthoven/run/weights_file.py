"""Files of weights: safetensors that also say, as JSON, how to build their network, and others' pickles."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from einthoven.arguments import check_path
from einthoven.checked_files import intact
from einthoven.run.files import atomic_write
from einthoven.run.run_folder import find_result

WEIGHTS = "weights.safetensors"
"""Where a run folder keeps its weights."""
PICKLES = (".pkl", ".pt", ".pth", ".bin", ".ckpt")
"""Suffixes of the files that `torch.save` writes."""

_WRAPPERS = ("module.", "_orig_mod.")
"""Names under which DataParallel, DistributedDataParallel and torch.compile hold the network."""
HINT = "take other weights"
"""What to do with damaged ones."""
_NETWORKS = ("backbone", "unet", "ae", "network")
"""Where a spec says how large its networks are."""
_DEPTHS = ("n_blocks", "n_layers")
"""Settings that count parts of a network."""
_USUAL_WIDTH, _FEW = 4096, 32
"""What is always allowed: numbers, and counts of parts."""
_NAMED = 3
"""Most weights that an error names."""


def write_weights(
    path: Path, network: nn.Module, spec: Mapping[str, Any], facts: Mapping[str, Any], half: bool = False
) -> None:
    """Writes a network's weights with what says how to build it, atomically.

    Weights are stored in single or half precision; whole numbers, such as a counter, stay what they are. `spec` is how
    to build the network, `facts` is what else to say of it, both plain data.
    """
    dtype = torch.float16 if half else torch.float32
    weights = {
        name: (w.to(dtype) if w.is_floating_point() else w).detach().cpu().contiguous()
        for name, w in network.state_dict().items()
    }
    metadata = {"spec": json.dumps(spec), "facts": json.dumps(facts)}
    with atomic_write(path) as partial:
        # `save_file` would make the file readable by its owner alone.
        partial.write_bytes(_with_notes_in_order(save(weights, metadata)))


def _with_notes_in_order(content: bytes) -> bytes:
    """Sorts the notes in the header of a safetensors file's bytes, which the library writes in an order drawn anew.

    Results name the weights that they depend on by the hash of the file: a training done again has the same one.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the weights begin at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text + content[end:]


def read_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Reads what `write_weights` wrote.

    Returns:
        Weights by name, float32, whole numbers as they are; the spec and the facts, empty where the file holds none.

    Raises:
        ValueError: If it is no safetensors file, or a weight is not finite.
    """
    with intact(file, HINT):
        try:
            with safe_open(file, framework="pt") as opened:
                metadata = opened.metadata() or {}
                weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{file} is no readable safetensors file ({error}): {HINT}") from error
        spec, facts = (json.loads(metadata.get(name, "{}")) for name in ("spec", "facts"))
        if not isinstance(spec, dict) or not isinstance(facts, dict):
            raise ValueError("what it says of its network are no names with values")
        weights = _checked(_unwrapped(weights), file)
        _check_sizes(spec, weights)
    return weights, spec, facts


def read_pickled_weights(file: Path, key: str | None = None) -> dict[str, Tensor]:
    """Reads a state dictionary that others have pickled, with a loader that runs no code.

    Args:
        file: What `torch.save` wrote.
        key: Where in a dictionary the state dictionary stands; one that stands alone is taken too.

    Returns:
        Weights by name, float32, whole numbers as they are.

    Raises:
        ValueError: If the file is damaged, of another kind, holds code, or has no weights there, or a weight is not
            finite or larger than the file.
    """
    _check_archive(file)
    with file.open("rb") as stream:
        try:
            content = torch.load(stream, map_location="cpu", weights_only=True)
        except Exception as error:  # a pickle is a program, and stumbles wherever the damage leads it
            raise ValueError(
                f"{file} is no file of weights alone: it is damaged, of another kind, or holds code, which is never run"
            ) from error
    if key is not None and isinstance(content, Mapping) and key in content:
        content = content[key]
    if not isinstance(content, Mapping) or not content or not all(isinstance(w, Tensor) for w in content.values()):
        at = "" if key is None else f", under {key} or alone"
        holds = f" (its keys: {', '.join(map(str, list(content)[:_NAMED]))})" if isinstance(content, Mapping) else ""
        raise ValueError(f"{file} holds no state dictionary, weights by name{at}, as published checkpoints do{holds}")
    with intact(file, HINT):
        return _checked(_unwrapped({str(name): w.detach() for name, w in content.items()}), file)


def _unwrapped(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Takes off what torch's wrappers for many devices and for compiling put before the name of every weight."""
    while wrapper := next((w for w in _WRAPPERS if weights and all(name.startswith(w) for name in weights)), None):
        weights = {name.removeprefix(wrapper): weight for name, weight in weights.items()}
    return weights


def find_weights(path: str | Path, names: Sequence[str] = (WEIGHTS,)) -> Path:
    """Returns the file of weights that a path means: itself, or the first name in a training's folder.

    Raises:
        ValueError: If there is no such file.
    """
    check_path("weights", path)
    file = find_result(path)
    if file.is_dir():
        found = [file / name for name in names if (file / name).is_file()]
        if not found:
            raise ValueError(f"no weights at {file}: the folder holds no {' or '.join(names)}")
        file = found[0]
    if not file.is_file():
        raise ValueError(
            f"no weights at {file}: give a .safetensors file, the folder of a training run or a published checkpoint"
        )
    return file


def weight_differences(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Says how many names and shapes differ from those of the weights wanted, and names some; empty if none do."""
    pairs = {name: (tuple(given[name].shape), tuple(wanted[name].shape)) for name in wanted if name in given}
    shapes = [f"{name} {found} for {right}" for name, (found, right) in pairs.items() if found != right]
    problems = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another shape": shapes,
    }
    return "; ".join(f"{len(names)} {what} ({_some(names)})" for what, names in problems.items() if names)


def _checked(weights: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Returns weights in float32, whole numbers as they are; raises ValueError for what cannot be a network's."""
    size = file.stat().st_size
    large = [name for name, w in weights.items() if w.numel() * w.element_size() > size]
    if sum(w.numel() * w.element_size() for w in weights.values()) > 2 * size:  # views of one tensor, again and again
        large = large or list(weights)
    if large:
        raise ValueError(f"{file} is damaged: {_some(large)} would be larger than the file itself")
    broken = [name for name, w in weights.items() if w.is_floating_point() and not bool(w.isfinite().all())]
    if broken:
        raise ValueError(
            f"{file} holds weights that are not finite ({_some(broken)}): its training has failed, or the file is "
            "damaged; take other weights"
        )
    return {name: w.float() if w.is_floating_point() else w for name, w in weights.items()}


def _check_sizes(spec: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Refuses, by a ValueError, settings of a network that is larger than its weights, before it is built."""
    widest = max([_USUAL_WIDTH, *(4 * side for w in weights.values() for side in w.shape)])

    def check(name: str, value: object) -> None:
        if isinstance(value, Mapping):
            for key, one in value.items():
                check(str(key), one)
        elif isinstance(value, list):
            if len(value) > max(_FEW, len(weights)):
                raise ValueError(f"its network would have {len(value)} {name} and {len(weights)} weights")
            for one in value:
                check(name, one)
        elif isinstance(value, int | float):
            most = max(_FEW, len(weights)) if name in _DEPTHS else widest
            if not -most <= value <= most:
                raise ValueError(f"{name} of its network would be {value:g}, which does not fit its weights")

    for part in _NETWORKS:
        check(part, spec.get(part, {}))


def _check_archive(file: Path) -> None:
    """Refuses a file of `torch.save` that is compressed, which its own never are, by a ValueError."""
    with intact(file, HINT):
        if not zipfile.is_zipfile(file):
            return
        with zipfile.ZipFile(file) as archive:
            if any(entry.file_size > entry.compress_size for entry in archive.infolist()):
                raise ValueError("it is compressed, as weights never are")


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}"
