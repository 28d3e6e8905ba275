"""Einthoven: restores and judges electrocardiograms with diffusion models.

What is named here is loaded when it is first asked for, so that `import einthoven` takes no time.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from einthoven.stray import check_stray_modules

if TYPE_CHECKING:
    from diffusion_prior.api import generate
    from einthoven.ecg.folders import find_recordings
    from einthoven.ecg.measures.measuring import measure
    from einthoven.ecg.reading import DEMO_ECG, read
    from einthoven.ecg.recording import Recording
    from einthoven.ecg.writing import write
    from noise_quant.api import score
    from reconstruction.api import denoise, reconstruct
    from reconstruction.electrodes.checking import check_electrodes
    from reconstruction.electrodes.few_leads.naming import name_lead
    from reconstruction.repairs.repairing import repair

__all__ = [
    "DEMO_ECG",
    "Recording",
    "check_electrodes",
    "denoise",
    "find_recordings",
    "generate",
    "measure",
    "name_lead",
    "read",
    "reconstruct",
    "repair",
    "score",
    "write",
]

check_stray_modules()

try:
    __version__ = version("einthoven")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"

_PLACES = {
    "DEMO_ECG": "einthoven.ecg.reading",
    "Recording": "einthoven.ecg.recording",
    "check_electrodes": "reconstruction.electrodes.checking",
    "denoise": "reconstruction.api",
    "find_recordings": "einthoven.ecg.folders",
    "generate": "diffusion_prior.api",
    "measure": "einthoven.ecg.measures.measuring",
    "name_lead": "reconstruction.electrodes.few_leads.naming",
    "read": "einthoven.ecg.reading",
    "reconstruct": "reconstruction.api",
    "repair": "reconstruction.repairs.repairing",
    "score": "noise_quant.api",
    "write": "einthoven.ecg.writing",
}


def __getattr__(name: str) -> object:
    """Loads what the package offers (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module 'einthoven' has no attribute '{name}'")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*_PLACES, *(name for name in globals() if name.startswith("__"))])
