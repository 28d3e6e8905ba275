from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from einthoven.statistics import Interval
from evaluation.report import (
    Report,
    best_median_worst,
    bullets,
    common_keys,
    distinct_names,
    interval_columns,
    result_cell,
)

TABLE = pd.DataFrame({"method": ["a", "b"], "value": [1.0, 2.0], "lower": [0.5, np.nan], "upper": [1.5, np.nan]})


def test_a_report_writes_its_tables_and_the_text_beside_the_summary(tmp_path: Path):
    report = Report({"scores.csv": TABLE, "details.parquet": TABLE}, "text\n").write(tmp_path)
    assert report.table is TABLE
    assert {file.name for file in tmp_path.iterdir()} == {"scores.csv", "details.parquet", "scores.md"}
    assert (tmp_path / "scores.md").read_text() == "text\n"
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "details.parquet"), TABLE)


def test_a_cell_is_that_of_the_row_asked_for():
    assert result_cell(TABLE, 1, method="a") == "1.0 (0.5-1.5)"
    assert result_cell(TABLE, 1, method="b") == "2.0"
    assert result_cell(TABLE, 1, method="c") == "-" and result_cell(TABLE, 1, method=None) == "-"
    assert interval_columns("x", Interval(1.0, 0.0, 2.0)) == {"x": 1.0, "x_lower": 0.0, "x_upper": 2.0}
    assert bullets(["one", "", "two"]) == "- one\n- two\n"


def test_methods_of_one_name_get_the_name_of_their_folder():
    assert distinct_names(["a", "b", "a"], ["/x/1", "/x/2", "/x/3"]) == ["a 1", "b", "a 3"]
    assert distinct_names(["a", "a"], ["1", "2"], "{name} ({folder})") == ["a (1)", "a (2)"]


def test_common_keys_keep_the_order_of_the_first():
    keys = [np.array([5, 3, 1, 4]), np.array([1, 3, 4]), np.array([4, 9, 3])]
    assert common_keys(keys).tolist() == [3, 4]
    with pytest.raises(ValueError, match="no record in common"):
        common_keys([np.array([1]), np.array([2])])


def test_pictures_are_of_the_best_the_median_and_the_worst_record():
    values = np.array([3.0, np.nan, 1.0, 2.0])
    assert best_median_worst(values) == [("best", 2, 3), ("median", 3, 3), ("worst", 0, 3)]
    assert [row for _, row, _ in best_median_worst(values, highest=True)] == [0, 3, 2]
    assert best_median_worst(np.full(2, np.nan)) == []
