"""docs/scaling.md: its commands fit their configs, its Python runs, its tables can be renewed."""

import importlib.util
import re
import shlex
from pathlib import Path

import hydra
import numpy as np
import pandas as pd
import pytest
import wfdb
from hydra.core.override_parser.overrides_parser import OverridesParser

from noise_quant.sources import ptbxl_source
from preprocessing.launch import CONFIGS
from preprocessing.leads import LEADS
from preprocessing.ptbxl_store import prepare_ptbxl
from preprocessing.store import Store
from preprocessing.synthetic import simulate_ecg

PAGE = CONFIGS.parent / "docs" / "scaling.md"
TEXT = PAGE.read_text(encoding="utf-8")


def commands():
    for block in re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:2] == ["python", "-m"]:
                yield words[2], [word for word in words[3:] if word != "--multirun"]


@pytest.mark.parametrize(("module", "words"), list(commands()), ids=lambda value: str(value)[:60])
def test_command_fits_its_config(module, words):
    assert importlib.util.find_spec(module) is not None
    overrides = [
        f"{override.key_or_group}={next(override.sweep_string_iterator())}" if override.is_sweep_override() else word
        for word, override in zip(words, OverridesParser.create().parse_overrides(words), strict=True)
    ]
    overrides = [f"+{word}" if word.startswith("shard=") else word for word in overrides]
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        hydra.compose(module.rpartition(".")[2], overrides)


def test_the_archive_becomes_folders_that_the_scripts_take(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = tmp_path / "data" / "mimic-iv-ecg" / "files"
    files.mkdir(parents=True)
    for key, ecg in enumerate(simulate_ecg(3, 500)):
        wfdb.wrsamp(f"e{key}", 500, ["mV"] * 12, list(LEADS), np.float64(ecg).T, fmt=["16"] * 12, write_dir=str(files))
    listed = {"subject_id": [1, 2, 3], "study_id": [41, 42, 43], "path": [f"files/e{key}" for key in range(3)]}
    pd.DataFrame(listed).to_csv(files.parent / "record_list.csv", index=False)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    exec(code.replace("64", "2"), {})
    done = prepare_ptbxl("data/mimic/0", "store", n_workers=1)
    assert done.n_done == 2
    store = Store.open("store")
    assert store.table["ecg_id"].tolist() == [41, 43] and len(store.rows("test")) == 2
    assert [item.columns["ecg_id"] for item in ptbxl_source("data/mimic/1", include_all_folds=True).items] == [42]


def test_tables_can_be_renewed():
    for name in ("plan", "growth"):
        assert re.search(rf"<!-- {name} -->\n.*<!-- /{name} -->", TEXT, flags=re.DOTALL)


def test_pictures_exist():
    for name in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert Path(PAGE.parent, name).exists()
