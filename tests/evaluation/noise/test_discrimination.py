import numpy as np
import pytest
from scipy.stats import spearmanr, wasserstein_distance
from sklearn.metrics import roc_auc_score

from evaluation.noise.discrimination import (
    MACRO,
    Comparison,
    compare_groups,
    dose_response,
    largest_w1,
    mean_curve,
    record_curves,
    spearman_rows,
)


def simulated(n=400, seed=0):
    rng = np.random.default_rng(seed)
    is_clean = rng.random(n) < 0.3
    return np.round(rng.standard_normal(n) + is_clean, 1), is_clean, rng.integers(0, 60, n)


def standardised_w1(scores, is_clean):
    z = (scores - scores.mean()) / scores.std()
    return wasserstein_distance(z[is_clean], z[~is_clean])


def test_known_values():
    scores, is_clean = np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True])
    comparison = Comparison(scores, is_clean)
    assert comparison.auroc() == 1.0
    assert comparison.w1() == pytest.approx(2.0 / np.std(scores))
    assert Comparison(-scores, is_clean).auroc() == 0.0
    assert Comparison(np.zeros(4), is_clean).auroc() == 0.5
    assert np.isnan(Comparison(np.zeros(4), is_clean).w1())


def test_agrees_with_libraries_with_ties_and_weights():
    scores, is_clean, records = simulated()
    comparison = Comparison(scores, is_clean, records)
    assert comparison.auroc() == pytest.approx(roc_auc_score(is_clean, scores), abs=1e-12)
    assert comparison.w1() == pytest.approx(standardised_w1(scores, is_clean), abs=1e-12)
    counts = np.random.default_rng(1).integers(0, 4, 60)
    repeated = np.repeat(np.arange(len(scores)), counts[records])
    assert comparison.auroc(counts) == pytest.approx(roc_auc_score(is_clean[repeated], scores[repeated]), abs=1e-12)
    assert comparison.w1(counts) == pytest.approx(standardised_w1(scores[repeated], is_clean[repeated]), abs=1e-12)


def test_unusable_leads_rank_lowest_and_do_not_enter_w1():
    scores, is_clean, _ = simulated()
    lowest = np.where(np.arange(len(scores)) % 7 == 0, -np.inf, scores)
    usable = np.isfinite(lowest)
    finite = np.where(usable, scores, -100.0)
    assert Comparison(lowest, is_clean).auroc() == pytest.approx(roc_auc_score(is_clean, finite), abs=1e-12)
    assert Comparison(lowest, is_clean).w1() == pytest.approx(standardised_w1(scores[usable], is_clean[usable]))
    with pytest.raises(ValueError, match="NaN"):
        Comparison(np.array([np.nan, 1.0]), np.array([True, False]))


def test_no_leads_of_a_kind_give_nan():
    comparison = Comparison(np.array([1.0, 2.0]), np.array([True, True]))
    assert np.isnan(comparison.auroc()) and np.isnan(comparison.w1())
    assert np.isnan(Comparison(np.zeros(0), np.zeros(0, dtype=bool)).auroc())


def test_largest_w1_is_reached_and_is_that_of_the_paper():
    is_clean = np.arange(100) < 17
    assert Comparison(is_clean * 1.0, is_clean).w1() == pytest.approx(largest_w1(17, 83))
    published = [largest_w1(23_369, noisy) for noisy in (21_795, 4_569, 3_098)]
    assert published == pytest.approx([2.00, 2.70, 3.10], abs=0.015)


def test_correlated_leads_widen_the_interval_over_records():
    rng = np.random.default_rng(3)
    records = np.repeat(np.arange(80), 12)
    is_clean = records % 2 == 0
    scores = 0.8 * is_clean + rng.standard_normal(80)[records] + 0.1 * rng.standard_normal(len(records))
    widths = []
    for unit, n in ((records, 80), (np.arange(len(records)), len(records))):
        interval = compare_groups({"static": Comparison(scores, is_clean, unit)}, n, 200)["auroc", "static"]
        widths.append(interval.upper - interval.lower)
    assert widths[0] > 2 * widths[1]


def test_macro_average_is_the_mean_over_groups_on_the_same_draws():
    scores, is_clean, records = simulated()
    groups = {"a": Comparison(scores, is_clean, records), "b": Comparison(-scores, is_clean, records)}
    found = compare_groups(groups, 60, 100)
    assert found["auroc", MACRO].estimate == pytest.approx(0.5)
    # What one group gains in a draw the other loses, so their mean does not vary.
    assert found["auroc", MACRO].upper - found["auroc", MACRO].lower < 1e-12
    again = compare_groups(groups, 60, 100)
    assert found == again


def test_spearman_agrees_with_scipy():
    rng = np.random.default_rng(0)
    levels = [-6.0, 0.0, 6.0, 12.0, 18.0, 24.0]
    curves = np.round(rng.standard_normal((5, 3, 6)), 1)
    expected = [[spearmanr(levels, curve).statistic for curve in rows] for rows in curves]
    np.testing.assert_allclose(spearman_rows(levels, curves), expected, atol=1e-12)
    assert spearman_rows(levels, np.zeros(6)) == 0.0
    assert np.isnan(spearman_rows(levels, np.array([0, 1, np.nan, 2, 3, 4.0])))


def test_dose_response_tells_monotone_from_constant_curves():
    levels = [0.0, 6.0, 12.0]
    rising = np.broadcast_to(np.array(levels), (10, 4, 3)).copy()
    assert all(found.estimate == pytest.approx(1.0) for found in dose_response(levels, rising, 20).values())
    falling_records = rising.copy()
    falling_records[:5] *= -1
    found = dose_response(levels, falling_records, 20)
    assert found["within records"].estimate == pytest.approx(0.0)
    assert found["within leads"].estimate == pytest.approx(0.0)


def test_offsets_of_records_lower_the_pooled_correlation_only():
    levels = [0.0, 6.0, 12.0]
    offsets = 30.0 * np.arange(10)[:, None, None]
    found = dose_response(levels, np.array(levels) + offsets + np.zeros((10, 4, 3)), 20)
    assert found["within records"].estimate == pytest.approx(1.0)
    assert found["mean curve"].estimate == pytest.approx(1.0)
    assert found["pooled over records"].estimate < 0.2


def test_unusable_leads_rank_lowest_within_leads_and_leave_the_mean():
    scores = np.array([[[-np.inf, 5.0, 6.0], [4.0, 4.5, 7.0]]])
    np.testing.assert_allclose(record_curves(scores)[0], [4.0, 4.75, 6.5])
    assert dose_response([0, 6, 12], scores, 5)["within leads"].estimate == pytest.approx(1.0)
    assert np.isneginf(record_curves(np.full((1, 2, 3), -np.inf))).all()
    assert np.isnan(record_curves(np.full((1, 2, 3), np.nan))).all()
    assert [mean.estimate for mean in mean_curve(scores, 5)] == pytest.approx([4.0, 4.75, 6.5])
