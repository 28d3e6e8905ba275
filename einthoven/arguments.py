"""What callers give: counts, numbers and devices, refused in one line that names the argument before any work."""

import math
from numbers import Integral, Real
from pathlib import Path

_SHOWN = 60
"""Characters."""


def check_count(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """Returns a whole number; ValueError where it is none, or out of its limits.

    Args:
        name: Name of the argument.
        value: What was given; numbers of numpy are taken too.
        least: Smallest value.
        most: Largest value; None: any.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name} is {shown(value)}: give a whole number")
    number = int(value)
    if number < least or (most is not None and number > most):
        limits = f"{least} or more" if most is None else f"{least} to {most}"
        raise ValueError(f"{name} is {shown(value)}: give {limits}")
    return number


def check_number(name: str, value: object, least: float = -math.inf, most: float = math.inf) -> float:
    """Returns a finite number; ValueError where it is none, or out of its limits; arguments as of `check_count`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name} is {shown(value)}: give a number")
    if not least <= float(value) <= most:
        limits = f"{least:g} or more" if math.isinf(most) else f"{least:g} to {most:g}"
        raise ValueError(f"{name} is {shown(value)}: give {limits}")
    return float(value)


def check_path(name: str, path: object) -> Path:
    """Returns a path; ValueError where it is none that a file can have."""
    if not isinstance(path, str | Path) or not str(path).strip() or "\0" in str(path):
        raise ValueError(f"{name} is {shown(path)}: give the path of a file or folder")
    try:
        Path(path).exists()
    except OSError as error:
        raise ValueError(f"{name} is {shown(path)}: {error.strerror}") from error
    return Path(path)


def check_seed(seed: object, key: object = None) -> None:
    """Refuses a seed that is no whole number, or a key that is neither a number nor a name, by a ValueError."""
    check_count("seed", seed, -(1 << 63), (1 << 64) - 1)
    if key is not None and not isinstance(key, str | Integral):
        raise ValueError(f"key is {shown(key)}: give a whole number or a name")


def check_device(device: object) -> None:
    """Refuses a device that torch does not know or have here, by a ValueError."""
    import torch

    try:
        if not isinstance(device, str | torch.device):
            raise TypeError("no name")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(f"device is {shown(device)}: torch finds none such here; give 'cpu' or 'cuda'") from error


def shortened(value: object) -> str:
    """Returns a value as text, of which an error shows no more than the beginning."""
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def shown(value: object) -> str:
    """Returns a value as code would have it, shortened too."""
    return shortened(repr(value))
