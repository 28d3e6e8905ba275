"""The main job on real recordings: from PTB-XL as downloaded to a table of scores, by the README's scripts."""

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import LEADS
from tests.scripts import run_script


def run(module, *arguments):
    return run_script(module, *arguments, check=True).stdout


@pytest.fixture(scope="module")
def subset(ecg_data, tmp_path_factory):
    """A copy of PTB-XL with a few records of each split."""
    source, folder = ecg_data / "ptb-xl", tmp_path_factory.mktemp("ptb-xl")
    table = pd.read_csv(source / "ptbxl_database.csv")
    numbers = {"train": 30, "val": 6, "test": 3}
    split = np.select([table["strat_fold"] <= 8, table["strat_fold"] == 9], ["train", "val"], "test")
    few = pd.concat([table[split == name].head(n) for name, n in numbers.items()])
    few.to_csv(folder / "ptbxl_database.csv", index=False)
    (folder / "scp_statements.csv").write_bytes((source / "scp_statements.csv").read_bytes())
    for name in ("records100", "records500"):
        (folder / name).symlink_to((source / name).resolve())
    return folder


@pytest.mark.data
@pytest.mark.slow
def test_lead_i_to_twelve_from_download_to_table(subset, tmp_path):
    store, result = tmp_path / "store", tmp_path / "run"
    said = run("preprocessing.prepare_ptbxl", f"dataset.raw_path={subset}", f"dataset.database_path={store}")
    assert "train 30, val 6, test 3" in said
    few = ["dataset.split=val", "algo.n_samples=2"]
    run("reconstruction.inpaint", f"dataset.store={store}", *few, f"inpaint.results_path={result}")
    said = run("evaluation.evaluate_reconstruction", f"run={result}", f"paths.runs={tmp_path}")
    assert "ridge" in said
    truth, mean = np.load(result / "truth.npy"), np.load(result / "mean.npy")
    unobserved = [lead for lead in range(len(LEADS)) if lead != 0]
    np.testing.assert_allclose(mean[:, 0], truth[:, 0], atol=1e-5)
    error = np.abs(mean - truth)[:, unobserved].mean()
    assert error < 0.9 * np.abs(truth)[:, unobserved].mean()  # nothing is known of leads that were not measured: zero
