"""XML without entities, document types or network; and what the readers of XML formats share."""

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

DEEPEST = 200
"""Elements lie no deeper in each other."""
MISSING = -32768.0
"""The 16-bit number that recorders store where nothing was measured."""
_ROOT = re.compile(r"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)[\s/>]")
_PROLOG = re.compile(r"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*>", re.DOTALL)


def root_of(head: bytes) -> str:
    """Returns the name of the root element of a file that begins as XML does, in lower case, else ""."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head.decode("utf-16", errors="ignore")
    elif head[1:2] == b"\0" or head[:1] == b"\0":
        text = head.decode("utf-16-le" if head[1:2] == b"\0" else "utf-16-be", errors="ignore")
    else:
        text = head.decode("utf-8", errors="ignore").removeprefix("\ufeff")
    if not text.lstrip().startswith("<"):
        return ""
    found = _ROOT.match(_PROLOG.sub("", text).strip())
    return found[1].lower() if found else ""


def read_xml(path: Path) -> Element:
    """Reads an XML file; prefixes of names are left out.

    An external document type, which MUSE names, is not loaded. Bytes that are not in the encoding that the file states
    are taken as Latin-1.

    Raises:
        ValueError: If the file is damaged, or defines entities.
    """
    raw = path.read_bytes()
    try:
        try:
            return _parse(raw, None)
        except (expat.ExpatError, LookupError) as error:
            if getattr(error, "code", 0) != expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]:
                raise
            return _parse(raw, "iso-8859-1")
    except (expat.ExpatError, LookupError, ValueError, AssertionError) as error:
        raise ValueError(f"{path} cannot be read as XML: {error}") from error


def _parse(raw: bytes, encoding: str | None) -> Element:
    builder = TreeBuilder()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"elements lie more than {DEEPEST} deep in each other")
        builder.start(_local(tag), {_local(name): value for name, value in attributes.items()})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(tag))

    def refuse(*_: object) -> None:
        raise ValueError("it defines entities, which no ECG needs")

    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = refuse
    parser.Parse(raw, True)
    return builder.close()


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def text_of(element: Element | None, path: str = ".") -> str:
    """Returns the text of an element below another, "" where there is none."""
    found = None if element is None else element.find(path)
    return "" if found is None else " ".join("".join(found.itertext()).split())


def number_of(text: str, what: str) -> float:
    """Returns a number; ValueError where a text is none."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise ValueError(f"{what} is {text!r}")
    return number


def numbers_in(text: str, what: str) -> NDArray[np.float64]:
    """Returns the numbers of a text, which commas, semicolons or white space separate, shape (L,), NaN for MISSING."""
    words: Iterable[str] = re.split(r"[\s,;]+", text.strip(" \t\r\n,;"))
    try:
        values = np.array(list(words), dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"{what} holds what is no number") from error
    values[values == MISSING] = np.nan
    return values
