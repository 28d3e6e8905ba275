import numpy as np
import pandas as pd
import pytest

from evaluation.classification import report
from evaluation.classification.scores import AUROC, AVERAGE_PRECISION, METRICS


@pytest.mark.parametrize("metric", [AUROC, AVERAGE_PRECISION])
def test_chance_is_marked_where_it_is(metric, monkeypatch):
    saved = []
    monkeypatch.setattr(report, "save_figure", lambda figure, path: saved.append(figure))
    found = [
        {"dataset": dataset, "class": name, "n_positives": positives, "n_records": 200}
        for dataset in ("real", "generated")
        for name, positives in (("NORM", 90), ("AFIB", 20))
    ]
    table = pd.DataFrame(found).assign(metric=metric, value=0.7, lower=0.6, upper=0.8)
    report._draw_class_scores("scores.png", table, metric, METRICS[metric][0])
    (axes,) = saved[0].axes
    (chance,) = (line for line in axes.lines if str(line.get_label()).startswith("chance"))
    expected = [0.5, 0.5] if metric == AUROC else [0.1, 0.45]
    assert np.asarray(chance.get_xdata(), dtype=float).tolist() == pytest.approx(expected)
