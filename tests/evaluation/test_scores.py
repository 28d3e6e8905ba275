import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import LEADS
from evaluation.scores import (
    CHUNK,
    REPORTED,
    Estimate,
    Metric,
    best_of,
    cost_table,
    means,
    pooled,
    record_table,
    record_values,
    summarise,
)

N = CHUNK + 3
LENGTH = 20


def error(estimate: Estimate) -> np.ndarray:
    return np.where(estimate.scored, np.abs(estimate.mean - estimate.truth), 0.0).sum(-1) / estimate.n_scored


@pytest.fixture
def estimate() -> Estimate:
    """Errors of lead k are k + 1; lead II has a quarter of its samples scored."""
    truth = np.random.default_rng(0).standard_normal((N, 12, LENGTH))
    scored = np.ones(truth.shape, bool)
    scored[:, 1, 5:] = False
    return Estimate(truth + np.arange(1.0, 13.0)[:, None], truth, scored, 100.0)


def test_a_metric_is_one_function_and_one_line(estimate: Estimate):
    metrics = [
        Metric("pooled", "", 2, error, pooled),
        Metric("averaged", "", 2, error),
        Metric("root", "", 2, error, pooled, np.sqrt),
        Metric("samples", "", 2, lambda e: np.stack([error(e), 3.0 * error(e)], axis=1)),
        Metric("elsewhere", "", 2),
    ]
    values = record_values(estimate, metrics, ["I", "II"])
    assert list(values) == ["pooled", "averaged", "root", "samples"]
    np.testing.assert_allclose(values["averaged"], np.tile([*range(1, 13), 1.5], (N, 1)))
    np.testing.assert_allclose(values["pooled"][:, -1], (20 * 1 + 5 * 2) / 25)
    np.testing.assert_allclose(values["root"][:, -1], np.sqrt(30 / 25))
    np.testing.assert_allclose(values["samples"], 2.0 * values["averaged"])


def test_nothing_scored_gives_nothing(estimate: Estimate):
    scored = estimate.scored.copy()
    scored[0] = False
    with np.errstate(invalid="ignore"):
        none = Estimate(estimate.mean, estimate.truth, scored, 100.0)
        values = record_values(none, [Metric("error", "", 2, error, pooled)], LEADS)
    assert np.isnan(values["error"][0]).all() and np.isfinite(values["error"][1:]).all()
    table = summarise(means(values), LEADS, 10, 0)
    assert table["lead"].tolist() == [*LEADS, REPORTED] and set(table["n_records"]) == {N - 1}
    assert (table["lower"] <= table["value"]).all() and (table["value"] <= table["upper"]).all()


def test_records_and_costs_are_laid_out_by_key(estimate: Estimate):
    values = record_values(estimate, [Metric("error", "", 2, error)], ["I"])
    table = record_table(values, np.arange(N), method="mine")
    assert list(table) == ["method", "ecg_id", "lead", "error"] and len(table) == 13 * N
    assert table.loc[table["lead"] == "V6", "error"].round(6).eq(12.0).all()
    costs = cost_table(pd.DataFrame({"seconds": [1.0, 3.0], "memory_mb": [10.0, 30.0]})).set_index("metric")
    assert costs.loc["seconds", "value"] == 2.0 and costs.loc["memory_mb", "value"] == 30.0


def test_the_best_method_is_that_of_the_reported_leads():
    values = {name: {"x": np.full((3, 13), value)} for name, value in (("a", 1.0), ("b", 2.0))}
    assert best_of(values, "x", highest=False) == "a" and best_of(values, "x", highest=True) == "b"
    assert best_of({}, "x", highest=True) is None
