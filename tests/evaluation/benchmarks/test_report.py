"""The benchmark's table and slopes."""

import math

import pandas as pd
import pytest

from evaluation.benchmarks.report import fit_slopes, write_report

ROWS = [
    *(("scaling", "score", "leads", n, 0.1 * n, 400.0 + 2 * n) for n in (3, 6, 12)),
    *(("engine", "score", "workers", n, 1.8 / (1.8 if n == 2 else 1.0), math.nan) for n in (1, 2)),
    ("samplers", "amortised", "", math.nan, 1.2345, 500.0),
]
TABLE = pd.DataFrame(ROWS, columns=["part", "case", "axis", "size", "seconds", "peak_memory_mb"]).assign(n_records=8)


def test_slopes_are_those_of_the_logarithms():
    slopes = fit_slopes(TABLE).set_index("axis")
    assert slopes["slope"].to_dict() == pytest.approx({"leads": 1.0, "workers": -math.log2(1.8)})
    assert slopes.loc["leads", "memory_mb_per_unit"] == pytest.approx(2.0)
    assert slopes.loc["leads", "seconds_per_record"] == pytest.approx(0.15)


@pytest.mark.usefixtures("pictures")
def test_report_is_written(tmp_path):
    text = write_report(TABLE, tmp_path, "a machine")
    assert text == (tmp_path / "benchmark.md").read_text()
    assert "1.23" in text and "- a machine" in text and "workers" in text
    assert len(pd.read_csv(tmp_path / "benchmark.csv")) == len(TABLE)
    assert len(pd.read_csv(tmp_path / "scaling.csv")) == 2
    assert (tmp_path / "scaling.png").stat().st_size > 10_000


def test_what_was_not_measured_is_a_dash(tmp_path):
    table = pd.concat([TABLE.tail(1), TABLE.tail(1).assign(case="dps", seconds=math.nan, note="why")])
    text = write_report(table.astype({"note": object}).where(table.notna(), None), tmp_path, "a machine")
    assert "None" not in text and "nan" not in text and "why" in text


def test_what_did_not_grow_has_no_picture(tmp_path):
    write_report(TABLE.tail(1), tmp_path, "a machine")
    assert {file.name for file in tmp_path.iterdir()} == {"benchmark.csv", "benchmark.md"}
