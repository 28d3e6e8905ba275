"""Einthoven: restores and judges electrocardiograms with diffusion models.

What is named here is loaded when it is first asked for, so that `import einthoven` takes no time.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("einthoven")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"

_PLACES = {
    "reconstruct": "reconstruction.api",
}


def __getattr__(name: str) -> object:
    """Loads what the package offers (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module 'einthoven' has no attribute '{name}'")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
