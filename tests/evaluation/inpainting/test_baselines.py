from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, NINE_REPORTED, lead_matrix, to_twelve
from evaluation.inpainting.baselines import MeanEcg, RidgeLeads
from preprocessing.store.store import Store, write_store

RATE = 100.0


def make_store(path: Path, twelve: np.ndarray, n_val: int = 6) -> Store:
    n = len(twelve)
    table = pd.DataFrame({"ecg_id": np.arange(n), "split": ["train"] * (n - n_val) + ["val"] * n_val})
    return write_store(path, twelve.astype(np.float32), table, RATE, LEADS)


@pytest.fixture
def filtered_store(tmp_path: Path) -> Store:
    """Every lead is a filtered lead I (filter within the window) plus an offset: ridge must find the filter."""
    rng = np.random.default_rng(0)
    one = rng.standard_normal((26, 300))
    kernels = rng.standard_normal((7, 21)) / 5.0
    padded = np.pad(one, ((0, 0), (10, 10)), mode="symmetric")
    filtered = [np.stack([np.convolve(row, kernel, mode="valid") for row in padded]) for kernel in kernels]
    stacked = np.stack([one, *filtered], axis=1)
    stacked[:, 1:] += 0.3
    return make_store(tmp_path / "filtered", to_twelve(stacked))


def test_ridge_recovers_a_linear_filter(filtered_store: Store):
    ridge = RidgeLeads.fit(filtered_store)
    assert ridge.weights.shape == (52, 7)
    rows = filtered_store.rows("val")
    truth = filtered_store.read(rows, LEADS)
    predicted = ridge.predict(truth[:, :1])
    assert np.abs(predicted - truth).max() < 0.01
    np.testing.assert_array_equal(predicted[:, 0], truth[:, 0])
    independent = predicted[:, [LEADS.index(lead) for lead in INDEPENDENT_LEADS]]
    np.testing.assert_allclose(predicted, np.matmul(lead_matrix(LEADS), independent), atol=1e-5)


def test_ridge_solves_the_regression_that_scikit_learn_solves(filtered_store: Store):
    ridge = RidgeLeads.fit(filtered_store)
    train = filtered_store.read(filtered_store.rows("train"), ["I", "V3"]).astype(np.float64)
    padded = np.pad(train[:, 0], ((0, 0), (25, 25)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 51, axis=-1).reshape(-1, 51)
    alpha = ridge.strength * (windows**2).sum() / 51
    reference = Ridge(alpha=alpha).fit(windows, train[:, 1].ravel())
    column = ridge.weights[:, ridge.targets.index("V3")]
    np.testing.assert_allclose(column[:-1], reference.coef_, atol=1e-6)
    assert column[-1] == pytest.approx(reference.intercept_, abs=1e-6)


def test_strength_is_the_best_on_the_validation_records(tmp_path: Path):
    rng = np.random.default_rng(1)
    independent = rng.standard_normal((14, 8, 200))
    independent[:, 1:] = 0.2 * independent[:, :1] + independent[:, 1:]
    store = make_store(tmp_path / "noisy", to_twelve(independent), n_val=4)
    ridge = RidgeLeads.fit(store)
    assert min(ridge.validation_mae) == ridge.validation_mae[ridge.strengths.index(ridge.strength)]
    leads = [LEADS.index(lead) for lead in NINE_REPORTED]
    truth = store.read(store.rows("val"), LEADS)
    error = np.abs(ridge.predict(truth[:, :1]) - truth)[:, leads].mean(dtype=np.float64)
    assert error == pytest.approx(min(ridge.validation_mae))


@pytest.mark.parametrize("observed", [("I", "II"), ("V2", "I"), ("III",)])
def test_ridge_from_other_leads_keeps_what_it_was_given(filtered_store: Store, observed: tuple[str, ...]):
    ridge = RidgeLeads.fit(filtered_store, observed)
    given = filtered_store.read(filtered_store.rows("val"), observed)
    predicted = ridge.predict(given)
    assert predicted.shape == (6, 12, 300)
    np.testing.assert_array_equal(predicted[:, [LEADS.index(lead) for lead in observed]], given)


def test_ridge_survives_its_file(filtered_store: Store, tmp_path: Path):
    ridge = RidgeLeads.fit(filtered_store)
    ridge.save(tmp_path / "ridge.npz")
    again = RidgeLeads.load(tmp_path / "ridge.npz")
    given = filtered_store.read([0, 1], ["I"])
    np.testing.assert_array_equal(again.predict(given), ridge.predict(given))
    assert (again.observed_leads, again.targets, again.strengths) == (("I",), ridge.targets, ridge.strengths)


def test_ridge_errors_are_reported(filtered_store: Store, tmp_path: Path):
    with pytest.raises(ValueError, match="nothing to regress"):
        RidgeLeads.fit(filtered_store, INDEPENDENT_LEADS)
    with pytest.raises(ValueError, match="train and val"):
        RidgeLeads.fit(make_store(tmp_path / "no_val", np.zeros((3, 12, 100)), n_val=0))
    with pytest.raises(ValueError, match="no fitted ridge"):
        RidgeLeads.load(tmp_path / "absent.npz")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(ValueError, match="lacks"):
        RidgeLeads.load(tmp_path / "other.npz")


def test_mean_ecg_is_the_mean_of_the_training_records(filtered_store: Store):
    train = filtered_store.read(filtered_store.rows("train"), LEADS)
    predicted = MeanEcg.fit(filtered_store).predict(3)
    np.testing.assert_allclose(predicted, np.repeat(train.mean(axis=0)[None], 3, axis=0), atol=1e-5)
