"""Reconstruction: operators, likelihoods, posterior samplers, and `reconstruct`, which uses them on a recording."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconstruction.api import reconstruct
    from reconstruction.result import Reconstruction

__all__ = ["Reconstruction", "reconstruct"]

_PLACES = {"Reconstruction": "reconstruction.result", "reconstruct": "reconstruction.api"}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Imports the interface when it is first asked for: the scripts report mistakes without waiting for torch."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
