"""Damage to bytes, texts and trees of plain values, as generators decide."""

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.attack.attempt import ODD_VALUES, ODD_WORDS, pick

Generator = np.random.Generator
EXTREMES = (
    b"\0",
    b"\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\x7f\xff",
    b"\x80\0",
)


def damage_bytes(content: bytes, generator: Generator) -> tuple[bytes, str]:
    """Returns damaged bytes, and what was done to them; headers are hit as often as the rest."""
    done = []
    for _ in range(int(generator.integers(1, 3))):
        content, what = pick(generator, _BYTES)(content, generator)
        done.append(what)
    return content, ", ".join(done)


def _place(content: bytes, generator: Generator) -> int:
    reach = max(1, len(content)) ** (generator.random() if generator.random() < 0.6 else 1.0)
    return int(generator.integers(max(1, min(len(content), int(reach) + 1))))


def _flip(content: bytes, generator: Generator) -> tuple[bytes, str]:
    data = bytearray(content)
    for _ in range(int(generator.integers(1, 9))):
        if data:
            data[_place(content, generator)] ^= 1 << int(generator.integers(8))
    return bytes(data), "flipped bits"


def _cut(content: bytes, generator: Generator) -> tuple[bytes, str]:
    at = _place(content, generator)
    return content[:at], f"cut to {at} of {len(content)} bytes"


def _drop(content: bytes, generator: Generator) -> tuple[bytes, str]:
    at, n = _place(content, generator), int(generator.integers(1, 200))
    return content[:at] + content[at + n :], f"{n} bytes lost at {at}"


def _insert(content: bytes, generator: Generator) -> tuple[bytes, str]:
    at, n = _place(content, generator), int(generator.integers(1, 200))
    return content[:at] + generator.bytes(n) + content[at:], f"{n} bytes more at {at}"


def _extreme(content: bytes, generator: Generator) -> tuple[bytes, str]:
    at, value = _place(content, generator), pick(generator, EXTREMES)
    return content[:at] + value + content[at + len(value) :], f"{value!r} at {at}"


def _blank(content: bytes, generator: Generator) -> tuple[bytes, str]:
    at, n = _place(content, generator), int(generator.integers(1, 2000))
    n = min(n, len(content) - at)
    return content[:at] + bytes(n) + content[at + n :], f"{n} zeros at {at}"


def _double(content: bytes, generator: Generator) -> tuple[bytes, str]:
    at, n = _place(content, generator), int(generator.integers(1, 2000))
    return content[: at + n] + content[at:], f"{n} bytes twice at {at}"


_BYTES: tuple[Callable[[bytes, Generator], tuple[bytes, str]], ...] = (
    *(_flip, _flip, _cut, _drop, _insert, _extreme, _extreme, _blank, _double),
)


def damage_text(content: str, generator: Generator) -> tuple[str, str]:
    """Returns a text with numbers, words or lines that are others, and what was done to it."""
    done = []
    for _ in range(int(generator.integers(1, 3))):
        content, what = pick(generator, _TEXTS)(content, generator)
        done.append(what)
    return content, ", ".join(done)


def _word(content: str, generator: Generator) -> tuple[str, str]:
    words = list(re.finditer(r"[-+\w.]+", content[:4000] if generator.random() < 0.7 else content))
    if not words:
        return content, "nothing"
    found, odd = pick(generator, words), pick(generator, ODD_WORDS)
    return content[: found.start()] + odd + content[found.end() :], f"{odd[:30]!r} for {found[0][:30]!r}"


def _line(content: str, generator: Generator) -> tuple[str, str]:
    lines = content.split("\n")
    at = int(generator.integers(len(lines)))
    kind = int(generator.integers(3))
    changed = [
        lines[:at] + lines[at + 1 :],
        lines[: at + 1] + lines[at:],
        [*lines[:at], lines[at][::-1], *lines[at + 1 :]],
    ]
    return "\n".join(changed[kind]), f"line {at} {('lost', 'twice', 'turned')[kind]}"


def _character(content: str, generator: Generator) -> tuple[str, str]:
    at = int(generator.integers(len(content) + 1))
    odd = pick(generator, ("\0", "\r", "\n", "<", ">", "&", '"', ",", ";", "/", "\ufeff", "\x1b", "é", "#", " ", "-"))
    return content[:at] + odd + content[at + int(generator.integers(2)) :], f"{odd!r} at {at}"


_TEXTS = (_word, _word, _word, _line, _character)


def damage_tree(content: Any, generator: Generator) -> tuple[Any, str]:
    """Returns plain data in which a value is another, lacks, or is one too many, and what was done to it."""
    content = copy.deepcopy(content)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in list(items):
            places.append((node, key))
            walk(value)

    walk(content)
    if not places or generator.random() < 0.03:
        return pick(generator, ODD_VALUES), "another root"
    node, key = pick(generator, places)
    kind = generator.random()
    if kind < 0.2:
        del node[key]
        return content, f"no {key}"
    if kind < 0.25 and isinstance(node, dict):
        node["another"] = pick(generator, ODD_VALUES)
        return content, "a key more"
    node[key] = pick(generator, ODD_VALUES)
    return content, f"{key}: {str(node[key])[:40]!r}"
