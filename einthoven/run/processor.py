"""What processors and GPUs can do in bfloat16, and the precision that suits them."""

import functools
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

AUTO = "auto"
"""The precision that is chosen by what the device can do."""
BF16 = "bf16"
FULL = {"precision": "float32", "mixed_precision": "no"}
"""Keys of configs that hold a precision, with the word of each for no bfloat16."""
_UNITS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags of processors that multiply bfloat16 themselves: Intel's and AMD's, and ARM's."""
_CPUINFO = Path("/proc/cpuinfo")


@functools.cache
def processor_flags(file: Path = _CPUINFO) -> frozenset[str]:
    """Returns the flags of this machine's processor as Linux lists them; none elsewhere."""
    try:
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    listed = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(listed, "").split())


def processor_name(file: Path = _CPUINFO) -> str:
    """Returns the processor's name as Linux has it; empty elsewhere."""
    try:
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def has_bfloat16_units(device: str | torch.device = "cpu") -> bool:
    """Tells whether a device multiplies bfloat16 itself, so that it saves time; other devices convert back and forth.

    Args:
        device: The device, such as "cpu" or "cuda:0".
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability(device) >= (8, 0)
    if kind == "cpu":
        flags = processor_flags()
        other = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
        return bool(_UNITS & flags) or (not flags and bool(other()))
    return kind == "xpu"


def choose_precision(precision: str, device: str | torch.device = "cpu", full: str = FULL["precision"]) -> str:
    """Returns the precision to compute in: "auto" is "bf16" where the device has units for it, else full precision.

    Args:
        precision: What is asked for; all but "auto" is returned as it is.
        device: Where it is computed.
        full: The word for full precision.
    """
    if precision != AUTO:
        return precision
    return BF16 if has_bfloat16_units(device) else full


def warn_of_bfloat16(precision: str, device: str | torch.device) -> None:
    """Warns where bfloat16 is asked for and the device has no units for it."""
    if precision == BF16 and not has_bfloat16_units(device):
        warnings.warn(
            f"{torch.device(device).type} has no bfloat16 units: bf16 may be several times slower here than full "
            "precision; auto takes the one that suits",
            stacklevel=3,
        )


def settle_precision(config: dict[str, Any]) -> None:
    """Puts what "auto" means on this machine into a script's config, so that the run notes it and keeps to it.

    Training takes a GPU where there is one; all else runs on the config's `device`.
    """
    for key, value in config.items():
        if isinstance(value, dict):
            settle_precision(value)
        elif value == AUTO and key in FULL:
            config[key] = choose_precision(AUTO, _device(key, config), FULL[key])


def _device(key: str, config: Mapping[str, Any]) -> str:
    if key == "precision" and "device" in config:
        return str(config["device"])
    return "cuda" if torch.cuda.is_available() else "cpu"
