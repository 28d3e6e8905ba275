import numpy as np
import pytest

from einthoven.ecg.leads import LEADS
from evaluation.generation.measured import COLUMNS, compare_measures, compare_rhythms, measure_ecgs
from preprocessing.cohorts.simulator import simulate_records


def columns_of(names):
    return [COLUMNS.index(name) for name in names]


def test_ecgs_are_measured_and_silent_ones_have_no_measures():
    ecgs = simulate_records(2, 100.0, seed=1, rhythm="sinus")[0]
    found = measure_ecgs(np.concatenate([ecgs, np.zeros_like(ecgs[:1])]), 100.0, "some")
    assert found.shape == (3, len(COLUMNS)) and np.isnan(found[2]).all()
    rate, sd, cv = found[:2, columns_of(["heart_rate", "rr_sd", "rr_cv"])].T
    np.testing.assert_allclose(cv, sd / (60_000 / rate))
    assert (found[:2, COLUMNS.index("has_p_waves")] == 1).all()


def test_distances_of_measures_are_in_standard_deviations():
    rng = np.random.default_rng(0)
    real, training = rng.standard_normal((30, len(COLUMNS))), rng.standard_normal((60, len(COLUMNS)))
    found = compare_measures(real, real + 0.5, training, 40, 0).set_index("measure")
    assert found.loc["qrs", "w1"] == pytest.approx(0.5 / real[:, COLUMNS.index("qrs")].std())
    leads = columns_of(f"p_amplitude {lead}" for lead in LEADS)
    assert found.loc["p_amplitude", "w1"] == pytest.approx((0.5 / real[:, leads].std(axis=0)).mean())
    assert (found["lower"] <= found["w1"]).all() and (found["n_generated"] == 30).all()


def test_rhythms_are_compared_by_statement():
    statements = [frozenset({"NORM", "SR"})] * 4 + [frozenset({"AFIB"})] * 5 + [frozenset({"SR", "PVC"})] * 2
    real = np.zeros((11, len(COLUMNS)))
    real[:, COLUMNS.index("has_p_waves")] = 1
    generated = real.copy()
    generated[:, COLUMNS.index("rr_cv")] = [0.01] * 4 + [0.2] * 5 + [9.0] * 2
    generated[4:6, COLUMNS.index("has_p_waves")] = 0
    found = compare_rhythms(real, generated, statements, 20, 0).set_index("rhythm")
    assert list(found.index) == ["NORM, SR", "AFIB"] and list(found["n_records"]) == [4, 5]
    np.testing.assert_allclose(found["difference"], [0.01, 0.2])
    assert found.loc["AFIB", "generated_p"] == pytest.approx(0.6)
