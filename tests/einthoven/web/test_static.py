"""The page's own files: readable in both colour schemes, and complete without a network."""

import re

import pytest

from tests.paths import ROOT

WEB = ROOT / "einthoven" / "web"
WORDS = [
    ("words", "ground"), ("words", "panel"), ("muted", "ground"), ("muted", "panel"), ("accent", "panel"),
    ("on-accent", "accent"), ("error", "error-ground"), ("notice", "panel"), ("caliper", "ground"),
    ("paper", "caliper"), ("paper-words", "paper"), ("measured", "paper"), ("made", "paper"),
]  # fmt: skip
MARKS = [("earlier", "paper"), ("noisy-line", "paper"), ("lost-line", "paper"), ("window", "paper")]


def colours(scheme):
    light, dark = (WEB / "static" / "colours.css").read_text().split("@media")

    def named(text):
        return dict(re.findall(r"--([\w-]+): (#\w+);", text))

    return named(light) if scheme == "light" else named(light) | named(dark)


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_marks_stand_out_from_their_ground_as_wcag_asks(scheme):
    known = colours(scheme)
    for pairs, least in ((WORDS, 4.5), (MARKS, 3.0)):
        for colour, ground in pairs:
            darker, lighter = sorted((luminance(known[colour]), luminance(known[ground])))
            assert (lighter + 0.05) / (darker + 0.05) >= least, (colour, ground)


def test_nothing_comes_from_elsewhere_and_nothing_is_inline():
    files = [path for path in WEB.rglob("*") if path.suffix in (".html", ".js", ".css")]
    assert len(files) > 10
    for path in files:
        text = path.read_text()
        code = re.sub(r"^\s*//.*|\s// .*", "", text, flags=re.MULTILINE).replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//[a-z]", code), path
        assert not re.search(r"innerHTML|insertAdjacentHTML|\beval\(|new Function", text), path
        assert len(text.splitlines()) <= 350, path
    page = (WEB / "templates" / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)


def test_each_element_that_a_script_looks_for_is_on_the_page():
    known = set(re.findall(r'\sid="([\w-]+)"', (WEB / "templates" / "index.html").read_text()))
    for path in (WEB / "static").glob("*.js"):
        assert set(re.findall(r'byId\("([\w-]+)"\)', path.read_text())) <= known, path


def test_all_modules_are_imported():
    texts = [path.read_text() for path in (WEB / "static").glob("*.js")]
    imported = {name for text in texts for name in re.findall(r'from "\./([\w-]+\.js)"', text)}
    assert imported | {"app.js"} == {path.name for path in (WEB / "static").glob("*.js")}
