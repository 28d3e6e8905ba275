"""The wheel, installed where nothing is but what the core needs."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.paths import ROOT

pytestmark = pytest.mark.slow

PACKAGES = ("configs", "diffusion_prior", "einthoven", "evaluation", "noise_quant", "preprocessing", "reconstruction")


def core_packages() -> set[str]:
    """Names of all packages that the core needs, and those need in turn; each extra is left out."""
    found, todo = set(), ["einthoven"]
    while todo:
        for line in distribution(todo.pop()).requires or ():
            needed = Requirement(line)
            if needed.name not in found and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
                found.add(needed.name)
                todo.append(needed.name)
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built of a copy, as a build writes beside the code and takes what an older one left there."""
    source, built = tmp_path_factory.mktemp("source") / "einthoven", tmp_path_factory.mktemp("wheel")
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", built, source]
    subprocess.run(command, check=True)
    (file,) = built.glob("einthoven-*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The command `einthoven` of an environment that holds the wheel and the core's packages, as links to ours."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in core_packages():
        package = distribution(name)
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            place = packages / top
            if not place.exists():
                place.symlink_to(package.locate_file(top))
    options = ["install", "-q", "--no-index", "--no-deps", "--no-compile", wheel]
    subprocess.run([sys.executable, "-m", "pip", "--python", folder, *options], check=True)
    return folder / "bin" / "einthoven"


def run(*command, folder: Path) -> subprocess.CompletedProcess[str]:
    hidden = {"PYTHONPATH", "ECG_DATA", "ECG_RUNS"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_wheel_holds_configs_weights_and_the_demo_ecg(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    weights = {"diffusion_prior/pretrained/ptbxl_8leads_100Hz.safetensors", "noise_quant/pretrained/small.safetensors"}
    assert {"configs/inpaint.yaml", "einthoven/ecg/demo/demo_ecg.npz"} | weights < names
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)


def test_the_installed_command_runs_the_demo_in_any_folder(installed, tmp_path):
    answer = run(installed, "inpaint", "data=demo", "algo.n_samples=2", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "12 leads from I" in answer.stdout
    assert list((tmp_path / "runs" / "inpaint").glob("*/*.png"))


def test_python_gets_every_door_from_the_core(installed, tmp_path):
    code = """
import einthoven
ecg = einthoven.read()
assert einthoven.reconstruct(ecg.ordered(("I",)), 500, ["I"], n_samples=2).mean.shape == ecg.signal.shape
assert len(einthoven.score(ecg).psnr) == 12
assert len(einthoven.generate(n=1, n_steps=2)) == 1
assert einthoven.repair(ecg, n_samples=2).recording.signal.shape == ecg.signal.shape
einthoven.write(ecg, "ecg.csv")
assert einthoven.read("ecg.csv").leads == ecg.leads
"""
    answer = run(installed.with_name("python"), "-c", code, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr


def test_a_file_that_hides_a_package_of_ours_is_named(installed, tmp_path):
    file = tmp_path / "preprocessing.py"
    file.write_text("")
    answer = run(installed.with_name("python"), "-c", "import einthoven; einthoven.read()", folder=tmp_path)
    assert answer.returncode != 0
    assert str(file) in answer.stderr.splitlines()[-1]
    assert run(installed, "--version", folder=tmp_path).returncode == 0  # which does not look there
