"""Every root config and every experiment composes and resolves.

An experiment `configs/experiment/<root>_<name>.yaml` belongs to the root config `configs/<root>.yaml`.
"""

from pathlib import Path

import hydra
import pytest
from omegaconf import OmegaConf

from einthoven.run.launch import CONFIGS

ROOTS = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))
SHARED = {"settings", "paths"}


def compose(root, overrides=()):
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return hydra.compose(root, overrides=list(overrides))


def root_of(experiment):
    roots = [root for root in ROOTS if experiment.startswith(f"{root}_")]
    assert roots, f"configs/experiment/{experiment}.yaml: its name must begin with that of a root config and _"
    return max(roots, key=len)


@pytest.mark.parametrize("root", ROOTS)
def test_root_composes_and_resolves(root):
    cfg = compose(root)
    settings = OmegaConf.to_container(cfg, resolve=True)
    assert settings["seed"] == 0
    assert {"data", "runs", "stores"} <= settings["paths"].keys()


@pytest.mark.parametrize("root", ROOTS)
def test_root_takes_the_shared_settings(root):
    defaults = OmegaConf.load(CONFIGS / f"{root}.yaml").get("defaults", [])
    groups = {key for entry in defaults if OmegaConf.is_dict(entry) for key in entry}
    assert groups >= SHARED


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiment_composes_and_resolves(experiment):
    root = root_of(experiment)
    defaults = OmegaConf.load(CONFIGS / f"{root}.yaml").get("defaults", [])
    listed = any(OmegaConf.is_dict(entry) and "experiment" in str(next(iter(entry))) for entry in defaults)
    cfg = compose(root, [f"experiment={experiment}" if listed else f"+experiment={experiment}"])
    OmegaConf.to_container(cfg, resolve=True)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.relative_to(CONFIGS).as_posix())
def test_config_names_no_place_of_a_machine(path: Path):
    text = path.read_text(encoding="utf-8")
    for place in ("/home/", "/Users/", "/mnt/", "/scratch/", "/work/", "/tmp/", "~/"):
        assert place not in text
