import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from evaluation.classification.scores import (
    AUROC,
    AVERAGE_PRECISION,
    MACRO,
    Predictions,
    compare_predictions,
    score_predictions,
)

CLASSES = ("a", "b", "absent", "everywhere")


def predictions(n=60, noise=0.5, seed=0, first_id=100):
    rng = np.random.default_rng(seed)
    labels = (np.random.default_rng(1).uniform(size=(n, 4)) < 0.3).astype(float)
    labels[:, 2], labels[:, 3] = 0, 1
    # Ties on purpose: rounded to tenths.
    probabilities = np.round(np.clip(0.5 * labels + noise * rng.uniform(size=(n, 4)), 0, 1), 1)
    return Predictions(CLASSES, np.arange(first_id, first_id + n), labels, probabilities)


def test_values_are_those_of_sklearn_over_the_classes_present():
    found = predictions(noise=0.9)
    table = score_predictions(found, (AUROC, AVERAGE_PRECISION), n_resamples=50).set_index(["metric", "class"])
    for metric, reference in ((AUROC, roc_auc_score), (AVERAGE_PRECISION, average_precision_score)):
        expected = [reference(found.labels[:, k], found.probabilities[:, k]) for k in (0, 1)]
        assert table.loc[metric].index.tolist() == ["a", "b", MACRO]
        np.testing.assert_allclose(table.loc[metric]["value"], [*expected, np.mean(expected)], atol=1e-12)
    macro = table.loc[(AUROC, MACRO)]
    assert macro["n_classes"] == 2 and macro["n_records"] == 60
    assert macro["lower"] < macro["value"] < macro["upper"]
    assert (table["lower"] <= table["value"]).all() and (table["value"] <= table["upper"]).all()


def test_the_interval_covers_the_spread_over_fresh_records():
    # 95 % intervals from one set of records, against the estimates of many other sets.
    estimates = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        labels = np.tile([[1.0], [0.0]], (40, 1))
        found = Predictions(("a",), np.arange(80), labels, labels + rng.standard_normal((80, 1)))
        table = score_predictions(found, n_resamples=100, seed=seed)
        estimates.append(table[table["class"] == MACRO][["value", "lower", "upper"]].to_numpy()[0])
    value, lower, upper = np.array(estimates).T
    truth = 0.7602  # Phi(1 / sqrt(2))
    assert 0.85 <= np.mean((lower < truth) & (truth < upper)) <= 1.0
    assert abs(value.mean() - truth) < 4 * value.std() / np.sqrt(40)


def test_a_draw_without_a_positive_leaves_the_class_out():
    labels = np.zeros((30, 2))
    labels[:15, 0], labels[0, 1] = 1, 1  # one positive of the second class: a third of the draws have none
    rng = np.random.default_rng(0)
    found = Predictions(("often", "once"), np.arange(30), labels, rng.uniform(size=(30, 2)))
    table = score_predictions(found, (AUROC, AVERAGE_PRECISION), n_resamples=100)
    assert np.isfinite(table[["value", "lower", "upper"]].to_numpy()).all()


def test_no_class_present_has_no_score():
    found = Predictions(("a",), np.arange(5), np.zeros((5, 1)), np.zeros((5, 1)))
    table = score_predictions(found, n_resamples=10)
    assert table["class"].tolist() == [MACRO] and np.isnan(table["value"]).all() and table["n_classes"].tolist() == [0]


def test_a_comparison_is_paired_and_by_key():
    good, bad = predictions(noise=0.6), predictions(noise=1.2, seed=5)
    shuffled = bad.select(np.random.default_rng(2).permutation(bad.ecg_ids)[:50])
    table = compare_predictions(good, shuffled, n_resamples=200).set_index("statistic")
    assert (table["n_records"] == 50).all() and (table["n_classes"] == 2).all()
    expected = []
    for found in (good.select(shuffled.ecg_ids), shuffled):
        expected.append(np.mean([roc_auc_score(found.labels[:, k], found.probabilities[:, k]) for k in (0, 1)]))
    one, other = expected
    assert table["value"].tolist() == pytest.approx([one, other, one / other, one - other], abs=1e-12)
    assert table.loc["difference", "lower"] > 0 and table.loc["ratio", "lower"] > 1
    same = compare_predictions(good, good, n_resamples=20).set_index("statistic")
    assert same.loc["ratio", ["value", "lower", "upper"]].tolist() == [1, 1, 1]
    assert same.loc["difference", ["value", "lower", "upper"]].tolist() == [0, 0, 0]


def test_what_cannot_be_compared_is_refused():
    first = predictions()
    with pytest.raises(ValueError, match="other classes"):
        compare_predictions(first, Predictions(("a", "b", "c", "d"), first.ecg_ids, first.labels, first.probabilities))
    with pytest.raises(ValueError, match="no record in common"):
        compare_predictions(first, predictions(first_id=1000))
    with pytest.raises(ValueError, match="other statements"):
        compare_predictions(first, Predictions(CLASSES, first.ecg_ids, 1 - first.labels, first.probabilities))
