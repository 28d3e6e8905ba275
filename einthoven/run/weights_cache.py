"""Loaded networks, kept by the content of their file and by their device: a rewritten file is read again."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from einthoven.arguments import check_device
from einthoven.run.hashing import hash_file

MOST = 4
"""So many networks are kept; the one that was used longest ago goes first."""
_SETTLED_S = 2.0
"""A file that changed less long ago is hashed again: a clock's tick may hide that it was written twice."""

ModuleT = TypeVar("ModuleT", bound=nn.Module)

_kept: OrderedDict[tuple[Hashable, ...], nn.Module] = OrderedDict()
_hashes: dict[tuple[Hashable, ...], str] = {}


def load_cached(
    kind: str, load: Callable[[], ModuleT], file: Path, device: str | torch.device, *settings: Hashable
) -> ModuleT:
    """Returns a network from its file, in evaluation mode and without gradients for its weights; not to be changed.

    Args:
        kind: What is loaded; two kinds may read the same file.
        load: Reads it, onto the CPU.
        file: The file of weights.
        device: Device of the network. Networks of two devices share nothing.
        *settings: What else the network depends on.

    Returns:
        The network, the same object as long as the file holds the same bytes.
    """
    check_device(device)
    key = (kind, hash_weights(file), str(torch.device(device)), *settings)
    if key not in _kept:
        _kept[key] = load().to(device).eval().requires_grad_(False)
        while len(_kept) > MOST:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    network: Any = _kept[key]
    return network


def hash_weights(file: Path) -> str:
    """Returns the SHA-256 of a file; one that has not changed since it was asked for is not read again."""
    status = file.stat()
    key = (file.absolute(), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if key in _hashes:
        return _hashes[key]
    digest = hash_file(file)
    if time.time() - max(status.st_mtime, status.st_ctime) > _SETTLED_S:
        _hashes[key] = digest
    return digest


def forget_weights() -> None:
    """Drops all networks that are kept."""
    _kept.clear()
