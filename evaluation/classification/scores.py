"""How well probabilities separate classes: AUROC and average precision, macro averages, and paired comparisons.

A macro average is that over the classes present: those with a positive and a negative record in the data set. That set
of classes is kept in the bootstrap; a draw of records without a positive (or a negative) of a class leaves it out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.extras import extra
from einthoven.statistics import bootstrap_intervals, finite_mean
from evaluation.noise.discrimination import Comparison

with extra("train"):
    from sklearn.metrics import average_precision_score

AUROC = "auroc"
AVERAGE_PRECISION = "average_precision"
MACRO = "macro"


@dataclass(frozen=True)
class Predictions:
    """Probabilities (N, K) of N records for K classes beside their keys (N,) and labels, zeros and ones (N, K)."""

    classes: tuple[str, ...]
    ecg_ids: NDArray[np.int64]
    labels: NDArray[np.floating]
    probabilities: NDArray[np.floating]

    def select(self, ecg_ids: Sequence[int] | NDArray[np.int64]) -> "Predictions":
        """Returns the predictions of some records, in the order asked for."""
        rows = pd.Index(self.ecg_ids).get_indexer(pd.Index(ecg_ids))
        assert (rows >= 0).all()
        return Predictions(self.classes, self.ecg_ids[rows], self.labels[rows], self.probabilities[rows])

    def present(self) -> NDArray[np.bool_]:
        """Tells which classes have a positive and a negative record, shape (K,)."""
        positives = (self.labels > 0.5).sum(axis=0)
        return (positives > 0) & (positives < len(self.labels))


class _Class(Comparison):
    """Probabilities (N,) of one class beside which records belong to it (N,), sorted once."""

    def __init__(self, probabilities: NDArray[np.floating], positive: NDArray[np.bool_]) -> None:
        super().__init__(probabilities, positive)
        self.probabilities, self.positive = probabilities, positive

    def average_precision(self, counts: NDArray[np.integer]) -> float:
        """Returns the area under the steps of precision against recall; NaN without positive or negative records."""
        if not 0 < counts[self.positive].sum() < counts.sum():
            return np.nan
        return float(average_precision_score(self.positive, self.probabilities, sample_weight=counts))


METRICS: dict[str, tuple[str, Callable[[_Class, NDArray[np.integer]], float]]] = {
    AUROC: ("AUROC", _Class.auroc),
    AVERAGE_PRECISION: ("average precision", _Class.average_precision),
}
"""By name, what people read, and a function of a class and how often each record counts."""


class _Scorer:
    """Metrics of the classes present, for any counts of the records."""

    def __init__(self, predictions: Predictions, metrics: Sequence[str]) -> None:
        places = np.flatnonzero(predictions.present())
        self.metrics, self.names = tuple(metrics), [predictions.classes[place] for place in places]
        self.classes = [_Class(predictions.probabilities[:, k], predictions.labels[:, k] > 0.5) for k in places]

    def values(self, counts: NDArray[np.integer]) -> NDArray[np.float64]:
        """Returns the value of each metric and class, shape (metrics, classes present)."""
        table = [[METRICS[metric][1](one, counts) for one in self.classes] for metric in self.metrics]
        return np.array(table, dtype=np.float64).reshape(len(self.metrics), len(self.classes))

    def macro(self, counts: NDArray[np.integer]) -> NDArray[np.float64]:
        """Returns the macro average of each metric, shape (metrics,)."""
        return finite_mean(self.values(counts), axis=-1)


def score_predictions(
    predictions: Predictions, metrics: Sequence[str] = (AUROC,), n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Scores predictions by some of `METRICS`, with 95 % bootstrap intervals over records.

    Returns:
        One row per metric and class present, and the averages in the class `MACRO`: `class`, `metric`, `value`,
        `lower`, `upper`, `n_records`, `n_classes` (of an average), `n_positives` (of a class).
    """
    scorer, n_records = _Scorer(predictions, metrics), len(predictions.ecg_ids)

    def statistic(drawn: NDArray[np.integer]) -> NDArray[np.float64]:
        values = scorer.values(np.bincount(drawn, minlength=n_records))
        return np.concatenate([values, finite_mean(values, axis=-1)[:, None]], axis=1).ravel()

    intervals = bootstrap_intervals(np.arange(n_records), statistic, n_resamples, seed)
    positives = {name: int(one.positive.sum()) for name, one in zip(scorer.names, scorer.classes, strict=True)}
    keys = [(metric, name) for metric in metrics for name in (*scorer.names, MACRO)]
    sizes = {name: (1, count) for name, count in positives.items()} | {MACRO: (len(positives), sum(positives.values()))}
    rows = [
        (name, metric, found.estimate, found.lower, found.upper, n_records, *sizes[name])
        for (metric, name), found in zip(keys, intervals, strict=True)
    ]
    columns = ["class", "metric", "value", "lower", "upper", "n_records", "n_classes", "n_positives"]
    return pd.DataFrame(rows, columns=columns)


def compare_predictions(
    first: Predictions,
    reference: Predictions,
    metrics: Sequence[str] = (AUROC,),
    n_resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compares the macro averages of two predictions on the records that both have, drawn together in the bootstrap.

    Returns:
        One row per metric and statistic (`value`, `reference`, their `ratio` and `difference`): `metric`, `statistic`,
        `value`, `lower`, `upper`, `n_records`, `n_classes`.

    Raises:
        ValueError: If the classes differ, no record is common, or a record has other labels.
    """
    if first.classes != reference.classes:
        raise ValueError("the two classifiers have other classes: compare runs of the same evaluate.classes")
    ids = pd.Index(first.ecg_ids)
    common = ids[ids.isin(reference.ecg_ids)].to_numpy()
    if len(common) == 0:
        raise ValueError("the two data sets have no record in common: evaluate both on the same records")
    first, reference = first.select(common), reference.select(common)
    if not np.array_equal(first.labels, reference.labels):
        raise ValueError("a record has other statements in the two data sets: they come from different stores")
    scorers = [_Scorer(predictions, metrics) for predictions in (first, reference)]

    def statistic(drawn: NDArray[np.integer]) -> NDArray[np.float64]:
        counts = np.bincount(drawn, minlength=len(common))
        one, other = (scorer.macro(counts) for scorer in scorers)
        return np.stack([one, other, one / other, one - other], axis=1).ravel()

    intervals = bootstrap_intervals(np.arange(len(common)), statistic, n_resamples, seed)
    keys = [(metric, name) for metric in metrics for name in ("value", "reference", "ratio", "difference")]
    rows = [(*key, found.estimate, found.lower, found.upper) for key, found in zip(keys, intervals, strict=True)]
    table = pd.DataFrame(rows, columns=["metric", "statistic", "value", "lower", "upper"])
    return table.assign(metric=f"{MACRO}_" + table["metric"], n_records=len(common), n_classes=len(scorers[0].classes))
