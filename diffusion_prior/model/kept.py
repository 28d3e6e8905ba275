"""Tensors that are computed from weights, kept until a weight changes."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Kept:
    """Keeps tensors that are computed from weights, at most `n_values` of them, until a weight changes.

    What is kept is what would be computed again, bit for bit. A change is seen by the weights' version counters and
    storage: after an optimiser's step, a loaded state dictionary, an assignment in place, another type or device.
    (Writing through `weight.data` is the one change that PyTorch does not count.) Nothing is kept in training mode, nor
    while gradients flow to a weight. Neither copies nor pickles of a module take along what it keeps.

    Compiled code cannot look for changes: whoever runs it calls `refresh` before, as `AcceleratedBackbone` does. Where
    `enabled` is False every value is computed whenever it is asked for.
    """

    def __init__(self, n_values: int = 4) -> None:
        self.n_values, self.enabled = n_values, True
        self._key: tuple[Any, ...] = ()
        self._weights: tuple[Tensor, ...] = ()
        self._values: dict[Hashable, Tensor] = {}

    def __call__(
        self, weights: Sequence[Tensor], training: bool, name: Hashable, compute: Callable[[], Tensor]
    ) -> Tensor:
        """Returns `compute()`, or what it gave the last time; not to be changed in place. Arguments as in `refresh`."""
        if torch.compiler.is_compiling():
            fixed = self.enabled and not training and not any(weight.requires_grad for weight in weights)
            value = self._values.get(name) if fixed else None
        else:
            value = self.refresh(weights, training, name, compute)
        return compute() if value is None else value

    def refresh(
        self, weights: Sequence[Tensor], training: bool, name: Hashable, compute: Callable[[], Tensor]
    ) -> Tensor | None:
        """Forgets what is out of date, and returns the value that is kept; None where it may not be kept.

        Args:
            weights: All weights that `compute` reads.
            training: Whether their module is in training mode.
            name: What else the value depends on.
            compute: Computes the value.
        """
        graph = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights)
        plain = all(type(weight) is nn.Parameter and not weight.is_inference() for weight in weights)
        if graph or training or not plain or not self.enabled:
            self.clear()
            return None
        key = tuple((id(w), w._version, w.data_ptr(), w.dtype, w.device) for w in weights)
        if key != self._key:
            self.clear()
            # Their storage is held, so that no other weight can come to lie at its address.
            self._key, self._weights = key, tuple(weight.detach() for weight in weights)
        if name not in self._values:
            # Not in inference mode: such tensors could not be used in a graph later.
            with torch.inference_mode(False), torch.no_grad():
                value = compute()
            while len(self._values) >= self.n_values:
                self._values.pop(next(iter(self._values)))
            self._values[name] = value
        return self._values[name]

    def clear(self) -> None:
        """Forgets everything."""
        self._key, self._weights, self._values = (), (), {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles the settings only."""
        return Kept, (self.n_values,), {"enabled": self.enabled}
