"""Packages that only some uses need: what to install where one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Says what to install where an import of the block fails.

    Args:
        name: The extra of this project that brings what the block imports, as `pip install 'einthoven[train]'` does.

    Raises:
        ValueError: If a package is missing.
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or str(error)).partition(".")[0]
        raise ValueError(f"{package} is not installed: pip install 'einthoven[{name}]'") from error
