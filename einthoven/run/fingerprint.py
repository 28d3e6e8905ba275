"""What a result depends on, as plain data: settings as they are, arrays and weights by their content."""

import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from einthoven.run.hashing import hash_json

_COUNTED = ("n_calls",)
"""Attributes that say what has been done, and not what will be."""


def fingerprint(value: object) -> Any:  # noqa: ANN401 (plain data)
    """Turns what work depends on into plain data, so that other settings, data or weights give another fingerprint.

    An object is its class, the fields of a dataclass or else its public attributes (what it counts and keeps for later
    is private), and what its method `depends_on` adds, such as the hash of a file; a network also its weights and what
    its layers are set to. An object that shows no attributes is a TypeError.
    """
    return _Fingerprints().of(value)


class _Fingerprints:
    """Fingerprints of the parts of one value, each made once."""

    def __init__(self) -> None:
        self.known: dict[int, Any] = {}

    def of(self, value: Any) -> Any:  # noqa: ANN401
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Path | torch.dtype | torch.device):
            return str(value)
        if isinstance(value, Mapping):
            return {str(key): self.of(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(part) for part in value]
        if id(value) not in self.known:
            self.known[id(value)] = "itself"  # where a part leads back to the whole
            self.known[id(value)] = self._of_object(value)
        return self.known[id(value)]

    def _of_object(self, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, np.generic | np.ndarray):
            array = np.ascontiguousarray(value)
            return hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + array.tobytes()).hexdigest()
        if isinstance(value, Tensor):
            return _hash_tensors({"": value})
        if isinstance(value, functools.partial):
            return [self.of(part) for part in (value.func, value.args, value.keywords)]
        if inspect.isroutine(value) or isinstance(value, type):
            name = f"{value.__module__}.{value.__qualname__}"
            bound = [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
            bound += [value.__self__] if inspect.ismethod(value) else []
            return [name, *map(self.of, bound)] if bound else name
        name = self.of(type(value))
        public = {key: part for key, part in getattr(value, "__dict__", {}).items() if _is_setting(key)}
        if isinstance(value, nn.Module):
            layers = [[place, self.of(type(layer)), _plain_settings(layer)] for place, layer in value.named_modules()]
            return {"class": name, "weights": _hash_tensors(value.state_dict()), "layers": hash_json(layers)} | {
                key: self.of(part) for key, part in public.items()
            }
        if dataclasses.is_dataclass(value):
            public = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        elif not hasattr(value, "__dict__"):
            raise TypeError(f"a {name} shows nothing that it depends on: give it public attributes")
        more = value.depends_on() if hasattr(value, "depends_on") else {}
        return {"class": name, **self.of({**public, **more})}


def _is_setting(key: str) -> bool:
    return not key.startswith("_") and key != "training" and key not in _COUNTED


def _plain_settings(layer: nn.Module) -> dict[str, Any]:
    plain = (bool, int, float, str, tuple, type(None))
    return {key: repr(part) for key, part in vars(layer).items() if isinstance(part, plain) and _is_setting(key)}


def _hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
