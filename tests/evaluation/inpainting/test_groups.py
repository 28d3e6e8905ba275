"""Scores by group of records."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evaluation.inpainting.groups import METRICS, group_lines, group_table

N = 8


@pytest.fixture(scope="module")
def store():
    facts = {
        "source": ["here"] * 4 + ["there"] * 4,
        "sex": [0.0, 1.0] * 4,
        "age": [10.0, 20, 30, 90, 91, 76, 18, np.nan],
    }
    noted = {name: [""] * N for name in ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems")}
    noted["static_noise"] = ["I-V1"] * 3 + [""] * 5
    statements = [np.array(["NORM", "SR"])] * 5 + [np.array(["AFIB"])] * 3
    return SimpleNamespace(table=pd.DataFrame({"ecg_id": np.arange(N), **facts, **noted, "statements": statements}))


@pytest.fixture(scope="module")
def values():
    found = {metric: np.full((N, 13), 0.1) for metric in METRICS}
    found["coverage"][:, -1] = 10 * np.arange(N)  # per cent, as METRICS have it
    found["coverage"][:, 1] = 50
    return found


def test_each_group_has_its_records(store, values):
    ids = np.arange(N)[::-1]
    backwards = {metric: column[::-1] for metric, column in values.items()}
    table = group_table(backwards, ids, store, ["II"], 20, 0)
    found = table[table["metric"] == "coverage"].set_index(["group", "value"])
    assert found.loc[("archive", "here"), "estimate"] == pytest.approx(15)
    assert found.loc[("rhythm", "AFIB"), "estimate"] == pytest.approx(60)
    assert found.loc[("signal", "noise noted"), "estimate"] == pytest.approx(10)
    assert found.loc[("age", "75 to 120"), "n_records"] == 3
    assert found.loc[("lead", "II"), "estimate"] == pytest.approx(50)
    assert ("age", "0 to 17") not in found.index  # one record says nothing
    assert "| archive | here | 4 | 15.0 (" in group_lines("ours", table)


def test_a_method_without_a_band_has_no_lines(store, values):
    table = group_table({**values, "coverage": np.full((N, 13), np.nan)}, np.arange(N), store, ["II"], 5, 0)
    assert group_lines("ridge", table) == ""
    assert "mae_mean" in set(table["metric"])
