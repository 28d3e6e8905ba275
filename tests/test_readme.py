"""The commands of the README and of docs/: every one names a script and overrides that its config takes."""

import importlib.util
import re
import shlex
from pathlib import Path

import hydra
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from einthoven.cli import STATEMENTS, find_commands
from einthoven.command.command_line import spell_out
from einthoven.run.launch import CONFIGS

ROOT = CONFIGS.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = (["einthoven"], [".venv/bin/einthoven"])
"""Calls of scripts by name."""
OPENINGS = (
    *NAMES,
    ["python", "-m"],
    [".venv/bin/python", "-m"],
    ["accelerate", "launch", "--multi_gpu", "--num_processes", "2", "-m"],
)
WORDS = {"evaluation.benchmark": "benchmark.parts", "reconstruction.repair": "recordings"}
"""Scripts that take bare words, and what these make up."""


def commands():
    """Yields (module, words) of each call of a script in the pages' shell blocks."""
    modules = {name: command.module for name, command in find_commands().items()}
    for page in PAGES:
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                for opening in OPENINGS:
                    if words[: len(opening)] == opening and len(words) > len(opening):
                        name, *rest = (word for word in words[len(opening) :] if word != "--help")
                        if name in (STATEMENTS, "--completion"):
                            continue
                        module = modules[name] if opening in NAMES else name
                        yield module, [word for word in rest if word != "--multirun"]


@pytest.mark.parametrize(("module", "words"), list(commands()), ids=lambda value: str(value)[:60])
def test_command_fits_its_config(module, words):
    assert importlib.util.find_spec(module) is not None
    words = spell_out(words, WORDS.get(module))
    overrides = [
        f"{override.input_line.partition('=')[0]}={next(override.sweep_string_iterator())}"
        if override.is_sweep_override()
        else word
        for word, override in zip(words, OverridesParser.create().parse_overrides(words), strict=True)
    ]
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
        "evaluation.reproduce",
        "evaluation.downstream_classifier",
        "reconstruction.train_rival",
    }


@pytest.mark.slow
def test_the_snippet_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(snippet.splitlines()) <= 12
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {})
    titles = [line.split()[0].strip(":") for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert titles == ["Recording", "Reconstruction", "Reconstruction", "NoiseScores", "Generation"]
    assert {path.name for path in tmp_path.iterdir()} == {f"{title}.png" for title in titles}


def test_modules_on_the_way_through_the_code_exist():
    modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("[a-z]*/**/*.py")}
    named = re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert len(named) > 30
    assert [name for name in named if not any(f"/{module}".endswith(f"/{name}") for module in modules)] == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_pictures_and_links_exist():
    for page in PAGES:
        targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        assert [target for target in targets if not Path(page.parent, target).exists()] == []
