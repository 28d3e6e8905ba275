"""A second device for tests, on machines that have none: its tensors hold numbers, but mix with the CPU's no more than
a GPU's do, and every wait of the host for it is noted.

A tensor of it says that its device is "meta", and is computed on the CPU: results are those of the CPU to the bit.
"""

import sys
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_map_only

from tests.paths import ROOT

ELSEWHERE = torch.device("meta")
CPU = torch.device("cpu")
_aten = torch.ops.aten
_WAITS = {
    *(_aten._local_scalar_dense.default, _aten.is_nonzero.default, _aten.equal.default, _aten.nonzero.default),
    *(_aten.unique_dim.default, _aten._unique2.default, _aten.masked_select.default),
}
"""Operations whose result, or its size, the host has to know."""
_TAKE_CPU = {
    _aten.index.Tensor: 1,
    _aten.index_put.default: 1,
    _aten.index_put_.default: 1,
    _aten._index_put_impl_.default: 1,
}
"""Operations that take indices of the CPU, and where these stand."""
_PLAIN = {_aten._conj.default: _aten.conj_physical.default, _aten._neg_view.default: _aten.neg.default}
_COPIES = {_aten.copy_.default, _aten._to_copy.default}


class Remote(Tensor):
    """A tensor of the second device; `value` is the CPU's that it stands for."""

    value: Tensor

    @staticmethod
    def __new__(cls, value: Tensor) -> "Remote":
        made = Tensor._make_wrapper_subclass(
            cls,
            value.shape,
            strides=value.stride(),
            storage_offset=value.storage_offset(),
            dtype=value.dtype,
            device=ELSEWHERE,
            requires_grad=value.requires_grad,
        )
        made.value = value
        return made

    def __repr__(self) -> str:
        return f"Remote({self.value!r})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError("a tensor of the second device is used outside of its block")


class SecondDevice(TorchDispatchMode):
    """The block in which there is the device.

    Attributes:
        waits: How often the host waited for it, by place in our code.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self._patches = pytest.MonkeyPatch()

    def __enter__(self) -> "SecondDevice":
        autocast, tensor = torch.autocast, torch.tensor

        def make(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
            made = data.clone().to(dtype or data.dtype) if isinstance(data, Tensor) else tensor(data, dtype=dtype)
            return (made if device is None else made.to(device)).requires_grad_(requires_grad)

        def make_like(like: Tensor, data: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
            return make(data, dtype=dtype or like.dtype, device=device or like.device)

        # torch fills tensors of this name of a device with nothing, and knows no autocast for it.
        self._patches.setattr(torch, "tensor", make)
        self._patches.setattr(torch, "as_tensor", lambda data, **how: make(data, **how))
        self._patches.setattr(Tensor, "new_tensor", make_like)
        self._patches.setattr(
            torch, "autocast", lambda kind, *rest, **how: autocast("cpu" if kind == "meta" else kind, *rest, **how)
        )
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._patches.undo()
        super().__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        flat = torch.utils._pytree.tree_leaves((args, kwargs))
        remote = [one for one in flat if isinstance(one, Remote)]
        assert not any(isinstance(one, Tensor) and one.is_meta and not isinstance(one, Remote) for one in flat), func
        wanted = kwargs.get("device")
        wanted = None if wanted is None else torch.device(wanted)
        if not remote and wanted != ELSEWHERE:
            return func(*args, **kwargs)
        if wanted == ELSEWHERE:
            kwargs["device"] = CPU
        if func not in _COPIES:
            self._check_devices(func, args, flat, bool(remote))
        to_cpu = wanted == CPU or (func is _aten.copy_.default and not isinstance(args[0], Remote))
        if remote and (func in _WAITS or to_cpu):
            self.waits[_place()] += 1
        plain_args, plain_kwargs = tree_map_only(Remote, lambda one: one.value, (args, kwargs))
        # What a tensor is the conjugate or the negative of only by a mark would be forgotten down here.
        func = _PLAIN.get(func, func)
        found = func(*plain_args, **plain_kwargs)
        if to_cpu:
            return found.clone() if func is _aten._to_copy.default and found is args[0] else found
        found = tree_map_only(Tensor, lambda one: one if isinstance(one, Remote) else Remote(one), found)
        return return_and_correct_aliasing(func, args, kwargs, found) if remote else found

    @staticmethod
    def _check_devices(func: Any, args: Any, flat: list[Any], any_remote: bool) -> None:
        allowed = torch.utils._pytree.tree_leaves(args[_TAKE_CPU[func]]) if func in _TAKE_CPU else []
        for one in flat:
            if isinstance(one, Tensor) and not isinstance(one, Remote) and one.ndim:
                if not any(one is other for other in allowed):
                    raise RuntimeError(f"{func}: a tensor of shape {tuple(one.shape)} is on the CPU, others are not")


def remote(x: Tensor) -> Tensor:
    """Returns a copy of a tensor on the second device; only inside its block."""
    return x.to(ELSEWHERE)


def local(x: Tensor) -> Tensor:
    """Returns what a tensor of the second device stands for; of another one it fails."""
    assert isinstance(x, Remote), f"{type(x)} on {x.device} is not on the second device"
    return x.value.detach()


def _place() -> str:
    """Names the innermost function of our packages that is being called."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(str(ROOT)) and not file.startswith((str(ROOT / "tests"), str(ROOT / ".venv"))):
            return f"{file[len(str(ROOT)) + 1 :]}: {frame.f_code.co_qualname}"
        frame = frame.f_back
    return "elsewhere"
