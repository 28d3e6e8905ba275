"""docs/scaling.md: its Python runs."""

import re

import numpy as np
import pandas as pd
import wfdb

from einthoven.ecg.leads import LEADS
from einthoven.run.launch import CONFIGS
from noise_quant.data.sources import ptbxl_source
from preprocessing.cohorts.cohort import prepare
from preprocessing.cohorts.ptbxl import Ptbxl
from preprocessing.cohorts.simulator import simulate_ecg
from preprocessing.store.store import Store

PAGE = CONFIGS.parent / "docs" / "scaling.md"
TEXT = PAGE.read_text(encoding="utf-8")


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
    done = prepare(Ptbxl(), "data/mimic/0", "store", n_workers=1)
    assert done.n_done == 2
    store = Store.open("store")
    assert store.table["ecg_id"].tolist() == [41, 43] and len(store.rows("test")) == 2
    assert [item.columns["ecg_id"] for item in ptbxl_source("data/mimic/1", include_all_folds=True).items] == [42]
