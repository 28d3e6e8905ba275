from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from einthoven.report.tables import Row, format_interval, latex_table, markdown_table, results_table, write_csv
from einthoven.statistics import Interval


def test_markdown_table_is_aligned_and_escaped():
    text = markdown_table(["", "a|b"], [["MAE", "1.0"], ["longer", "22"]])
    lines = text.splitlines()
    assert lines[0] == "|        | a\\|b |"
    assert lines[1] == "| ------ | ---: |"
    assert len({len(line) for line in lines}) == 1
    with pytest.raises(ValueError, match="2 cells"):
        markdown_table(["", "a"], [["only one"]])


def test_intervals_read_well():
    assert format_interval(Interval(0.12345, 0.12, 0.13), 3) == "0.123 (0.120-0.130)"
    assert format_interval(Interval(-0.5, -0.62, -0.4), 1) == "-0.5 (-0.6 to -0.4)"
    assert format_interval(Interval(16.0, np.nan, np.nan), 0) == "16"
    assert format_interval(Interval(np.nan, np.nan, np.nan), 2) == "-"


def test_results_table_has_a_column_per_method_and_no_empty_row():
    rows = [
        ("mgps", "mae_mean", 0.05),
        ("ridge", "mae_mean", 0.06),
        ("mgps", "crps", 0.04),
        ("ridge", "coverage", np.nan),
    ]
    table = pd.DataFrame(rows, columns=["method", "metric", "value"]).assign(lower=np.nan, upper=np.nan)
    shown = [Row(name, label, 4) for name, label in (("mae_mean", "MAE"), ("crps", "CRPS (mV)"), ("coverage", "%"))]
    lines = results_table(table, shown).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[2:-1]] == ["mgps", "ridge"]
    assert len(lines) == 4
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == ["CRPS (mV)", "0.0400", "-"]


def test_latex_has_no_character_that_it_would_read_as_a_command():
    text = latex_table(["", "<x>"], [[r"5 % of a_b & {c} \d", "1"]], "50 %", "tab:x")
    assert r"5 \% of a\_b \& \{c\} \textbackslash{}d & 1 \\" in text
    assert r" & \textless{}x\textgreater{} \\" in text and r"\caption{50 \%}" in text and "{lr}" in text


def test_csv_keeps_six_digits(tmp_path: Path):
    write_csv(pd.DataFrame({"value": [1 / 3]}), tmp_path / "new" / "table.csv")
    assert (tmp_path / "new" / "table.csv").read_text() == "value\n0.333333\n"
