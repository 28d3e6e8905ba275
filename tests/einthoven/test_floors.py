"""The floors of `einthoven.ecg`: recordings draw themselves, so they stand above the drawing, and signals below it."""

import tomllib

from tests.paths import ROOT


def test_every_module_has_its_floor():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = [layer.split(" : ") for layer in project["tool"]["importlinter"]["contracts"][0]["layers"]]
    named = [name for layer in layers for name in layer if name.startswith("einthoven.ecg.")]
    folder = ROOT / "einthoven" / "ecg"
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert sorted(named) == sorted(f"einthoven.ecg.{module}" for module in modules - {"__init__"})
