"""Hashes of files and of plain values, for manifests."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def hash_file(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(value: Any) -> str:  # noqa: ANN401 (any plain value)
    """Returns the SHA-256 of a plain value's JSON form, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def differing_keys(first: Mapping[str, Any], second: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Names the keys, with dots, under which two nested dictionaries differ."""
    differing = set()
    for key in first.keys() | second.keys():
        one, other = first.get(key), second.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            differing |= differing_keys(one, other, f"{prefix}{key}.")
        elif key not in first or key not in second or one != other:
            differing.add(f"{prefix}{key}")
    return differing
