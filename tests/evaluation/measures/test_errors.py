import numpy as np
import pytest

from einthoven.ecg.leads import LEADS
from evaluation.measures.errors import OVER_LEADS, PER_LEAD, STATISTICS, report_errors
from evaluation.scores import Estimate
from preprocessing.cohorts.simulator import simulate_ecg

RATE = 100.0
N = 3


@pytest.fixture(scope="module")
def truth():
    return simulate_ecg(N, RATE, rhythm="sinus", seed=3).astype(np.float64)


@pytest.fixture(scope="module")
def reported(truth):
    rng = np.random.default_rng(0)
    samples = truth[:, None] * rng.normal(1.0, 0.05, (N, 4, 1, 1))
    scored = np.ones(truth.shape, bool)
    estimates = {
        "itself": Estimate(truth, truth, scored, RATE),
        "larger": Estimate(1.1 * truth, truth, scored, RATE),
        "samples": Estimate(samples.mean(axis=1), truth, scored, RATE, samples=samples),
    }
    return report_errors(estimates, ["II", "V5"], n_records=N, n_resamples=20, seed=0)


def statistic(table, method, measure, name):
    row = table[(table["method"] == method) & (table["measure"] == measure) & (table["statistic"] == name)]
    return float(row["value"].iloc[0])


def test_an_ecg_has_its_own_measures(reported):
    table = reported[0]["measures.csv"]
    assert len(table) == 3 * len(STATISTICS) * len((*OVER_LEADS, *PER_LEAD))
    own = table[table["method"] == "itself"]
    assert (own.loc[own["statistic"].isin(["bias", "sd", "lost"]), "value"].dropna() == 0).all()
    assert own.loc[own["statistic"] == "coverage", "value"].isna().all()


def test_amplitudes_err_as_the_gain_does_and_intervals_do_not(reported, truth):
    table = reported[0]["measures.csv"]
    heights = truth[:, [LEADS.index("II"), LEADS.index("V5")]].max(axis=-1)
    assert statistic(table, "larger", "r_amplitude", "bias") == pytest.approx(0.1 * heights.mean(), rel=0.2)
    for measure in ("heart_rate", "qrs", "qt", "qrs_axis"):
        assert abs(statistic(table, "larger", measure, "bias")) < 2.0
    bias, sd = (statistic(table, "samples", "r_amplitude", name) for name in ("bias", "sd"))
    assert statistic(table, "samples", "r_amplitude", "upper_limit") == pytest.approx(bias + 1.96 * sd)
    assert 0 <= statistic(table, "samples", "r_amplitude", "coverage") <= 100


def test_the_section_has_a_row_for_each_measure_and_method(reported):
    text = reported[1]
    assert text.startswith("## Measures") and f"{N} records" in text
    assert sum("heart rate (1/min)" in line for line in text.splitlines()) == 3
    assert report_errors({}, ["II"], n_records=0, n_resamples=20, seed=0) == ({}, "")
