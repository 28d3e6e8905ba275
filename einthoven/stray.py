"""Files of others that Python would take for our packages, because they lie in the folder it was started in."""

from importlib.machinery import PathFinder
from pathlib import Path

PACKAGES = ("diffusion_prior", "evaluation", "noise_quant", "preprocessing", "reconstruction")
ROOT = Path(__file__).resolve().parents[1]
"""Folder that our packages lie in."""


def check_stray_modules() -> None:
    """Refuses to go on where a file or folder, such as a user's own `preprocessing.py`, hides a package of ours.

    Raises:
        ImportError: If there is one; the message names it.
    """
    for name in PACKAGES:
        spec = PathFinder.find_spec(name)
        if spec is None:  # found in another way, as in a checkout that is installed to be edited
            continue
        places = [Path(place).resolve() for place in spec.submodule_search_locations or [spec.origin or ""]]
        if ROOT / name not in places:
            raise ImportError(
                f"{places[0]} hides einthoven's package of the same name: rename it, or start Python in another folder"
            )
