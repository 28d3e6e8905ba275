"""The README's commands: every one names a script and overrides that its config takes."""

import importlib.util
import re
import shlex
from pathlib import Path

import hydra
import pytest

from preprocessing.launch import CONFIGS

README = CONFIGS.parent / "README.md"


def commands():
    """Yields (module, overrides) of each call of a script in the README's shell blocks."""
    text = README.read_text(encoding="utf-8")
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for opening in (["einthoven"], [".venv/bin/python", "-m"], ["accelerate", "launch", "-m"]):
                if words[: len(opening)] == opening:
                    yield words[len(opening)], words[len(opening) + 1 :]


@pytest.mark.parametrize(("module", "overrides"), list(commands()), ids=lambda value: str(value)[:60])
def test_command_fits_its_config(module, overrides):
    assert importlib.util.find_spec(module) is not None
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        hydra.compose(module.rpartition(".")[2], overrides)


def test_every_script_of_the_foundation_is_shown():
    shown = {module for module, _ in commands()}
    assert shown >= {
        "preprocessing.prepare_ptbxl",
        "diffusion_prior.train",
        "diffusion_prior.generate",
        "reconstruction.inpaint",
        "evaluation.evaluate_reconstruction",
        "evaluation.benchmark",
    }


def test_pictures_and_links_exist():
    targets = re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8"))
    assert targets
    missing = [target for target in targets if not Path(README.parent, target).exists()]
    assert missing == []
