"""The commands of the README and of docs/ name scripts and overrides that configs take; the README's are run."""

import ast
import importlib.util
import re
import shlex
import tomllib
from functools import partial
from pathlib import Path

import hydra
import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import einthoven
from einthoven.cli import STATEMENTS, find_commands
from einthoven.command.command_line import spell_out
from einthoven.run.launch import CONFIGS
from preprocessing.cohorts.simulator import simulate_ecg
from tests.scripts import run_script
from tests.wfdb_files import write_wfdb

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
WITHOUT_NEXT = {"reconstruction.fit_finder", "reconstruction.fit_spectra"}
"""Scripts after which no command comes."""
WORDS = {
    "evaluation.benchmark": "benchmark.parts",
    "reconstruction.check_electrodes": "recordings",
    "reconstruction.measure": "recordings",
    "reconstruction.name_lead": "recordings",
    "reconstruction.repair": "recordings",
}
"""Scripts that take bare words, and what these make up."""


def shell_lines(page: Path):
    """Yields the words of each line of a page's shell blocks."""
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        yield from (
            words for line in block.replace("\\\n", " ").splitlines() if (words := shlex.split(line, comments=True))
        )


def commands():
    """Yields (module, words) of each call of a script in the pages' shell blocks."""
    modules = {name: command.module for name, command in find_commands().items()}
    for words in (words for page in PAGES for words in shell_lines(page)):
        for opening in OPENINGS:
            if words[: len(opening)] == opening and len(words) > len(opening):
                name, *rest = (word for word in words[len(opening) :] if word != "--help")
                if name in (STATEMENTS, "--completion"):
                    continue
                if name.startswith("tests."):  # not a script with a config
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


@pytest.fixture(scope="module")
def my_record(tmp_path_factory) -> Path:
    """A folder with the record that the README's commands are about: V2 is off for a second."""
    folder = tmp_path_factory.mktemp("mine")
    ecg = simulate_ecg(1, 500, duration=2.5, seed=0, rhythm="sinus")[0].astype(np.float64)
    ecg[7, 600:1100] = 0.0
    write_wfdb(folder, "my_record", ecg, 500)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("words", [words[1:] for words in shell_lines(PAGES[0]) if words[:1] in NAMES], ids="-".join)
def test_the_readmes_command_runs_as_it_stands(words, my_record):
    runs = {"ECG_RUNS": str(my_record / "runs"), "OMP_NUM_THREADS": "1"}
    done = run_script("einthoven", *words, environment=runs, folder=my_record)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    (first,) = (number for number, line in enumerate(lines) if line.startswith("made: "))
    made = [Path(line[6:]) for line in lines[first:-1]]
    assert len(made) >= 2
    assert all(path.is_file() and path.stat().st_size > 0 for path in made)
    assert all(path.is_relative_to(my_record / "runs" / words[0]) for path in made)
    assert lines[-1].startswith("next: einthoven ")


def test_the_readmes_other_lines_are_targets_of_make_and_extras():
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    others = [words for words in shell_lines(PAGES[0]) if words[:1] not in NAMES]
    allowed = [["make", target] for target in targets] + [["pip", "install", f".[{extra}]"] for extra in extras]
    assert others
    assert [words for words in others if words not in allowed] == []


def test_every_script_that_makes_files_names_the_next_command():
    silent = set()
    for command in find_commands().values():
        file = ROOT / f"{command.module.replace('.', '/')}.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Outcome":
                names = {keyword.arg for keyword in node.keywords}
                if len(node.args) == 2 and "then" not in names:
                    silent.add(command.module)
    assert silent == WITHOUT_NEXT


@pytest.mark.slow
def test_the_snippet_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(snippet.splitlines()) <= 12
    monkeypatch.chdir(tmp_path)
    for name, fewer in {
        "reconstruct": {"n_samples": 2},
        "denoise": {"n_samples": 2},
        "generate": {"n_steps": 2},
    }.items():
        monkeypatch.setattr(einthoven, name, partial(getattr(einthoven, name), **fewer))
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
