"""Attacks on the page's uploads, through Starlette's client: files of every format, zips, odd names and forms."""

import io
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.attack import arrays, files
from tests.attack.attempt import ODD_WORDS, AttackClass, Attempt, Make, pick
from tests.attack.damage import damage_bytes

Generator = np.random.Generator
MOST = 3_000_000
FORMATS = ("muse", "cardiosoft", "aecg", "philips", "mortara", "scp_huffman", "mfer", "ishne", "kardia")
WORDS = (
    "file",
    "zip",
    "rec",
    "upload",
    "recording",
    "MB",
    "lead",
    "signal",
    "header",
    "known",
    "holds",
    "start",
    "options",
)
"""A refusal names the file as it was called, or says what the form lacks."""


def post(uploads: list[tuple[str, bytes]], fields: dict[str, str]) -> Any:
    """Uploads files to a page of its own; ValueError where they are refused."""
    from starlette.testclient import TestClient

    from einthoven.web.app import make_app
    from einthoven.web.guard import Policy
    from einthoven.web.service import Queues, Service
    from einthoven.web.shelf import Shelf
    from tests.einthoven.web.inline import Inline

    service = Service(Shelf(), Queues(Inline(), Inline(held=("tasks",)), Inline()), MOST)
    app = make_app(service, Policy(max_upload=MOST))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=True) as client:
        answer = client.post("/recordings", files=[("files", upload) for upload in uploads], data=fields)
        if answer.status_code >= 500:
            raise RuntimeError(f"status {answer.status_code}: {answer.text[:300]}")
        if answer.status_code >= 400:
            raise ValueError(str(answer.json().get("detail") or answer.json()))
        found = answer.json()
        for path in (f"/recordings/{found['id']}", f"/recordings/{found['id']}/signal"):
            shown = client.get(path)
            if shown.status_code >= 400:
                raise RuntimeError(f"{path}: status {shown.status_code}: {shown.text[:300]}")
        return found


def case(uploads: list[tuple[str, bytes]], what: str, fields: dict[str, str] | None = None, **more: Any) -> Attempt:
    """An upload."""
    return Attempt(lambda: post(uploads, fields or {}), WORDS, what=what, **more)


def zipped(content: dict[str, bytes], link: bool = False) -> bytes:
    """Returns a zip of files by name, or of links."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            if link:
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def draw(generator: Generator, folder: Path) -> Attempt:
    """A file or a zip of some, sound or damaged, under an odd name."""
    sound = generator.random() < 0.4
    if generator.random() < 0.4:
        content: dict[str, bytes] = {f"rec{suffix}": data for suffix, data in files.written(".hea").items()}
        if generator.random() < 0.5:
            odd = pick(generator, [word for word in ODD_WORDS if word and "\0" not in word])
            content = {f"{odd}/{name}"[-300:]: data for name, data in content.items()}
        data, name = zipped(content), "rec.zip"
    else:
        data, name = files.built(pick(generator, FORMATS)), pick(generator, ("rec.xml", "rec", "rec.dat", *ODD_WORDS))
    what = "sound"
    if not sound:
        data, what = damage_bytes(data, generator)
    fields = {}
    if generator.random() < 0.2:
        fields = {pick(generator, ("options", "start", "unit", "leads")): pick(generator, ODD_WORDS)}
    return case([(name or "rec", data)], f"{name[:30]!r}: {what} {fields}"[:100], fields)


def known() -> list[Make]:
    """Zips that were made to harm."""
    hea = files.written(".hea")
    header = hea[".hea"].replace(b"rec.dat", b"../../outside/secret")
    contents = {
        "names that leave the folder": zipped({"../../../outside/ran": b"x", "rec.csv": arrays.csv()}),
        "an absolute name": zipped({"/tmp/ran": arrays.csv()}),
        "a link": zipped({"rec.csv": b"../../outside/secret"}, link=True),
        "a header that leaves the folder": zipped({"rec.hea": header, "rec.dat": hea[".dat"]}),
        "a bomb": zipped({"rec.csv": b"1" * 200_000_000}),
        "a zip in a zip": zipped({"rec.zip": zipped({"rec.csv": arrays.csv()})}),
        "too large": bytes(MOST + 1),
        "nothing": b"",
    }
    return [
        lambda generator, folder, data=data, what=what: case([("rec.zip", data)], what, refused=True)
        for what, data in contents.items()
    ]


def warm() -> None:
    """Imports what the page imports."""
    import starlette.testclient  # noqa: F401

    import einthoven.web.app
    import einthoven.web.reading  # noqa: F401


def classes() -> list[AttackClass]:
    """The attacks on uploads."""
    return [AttackClass("uploads of the page", draw, known(), 0.7)]
