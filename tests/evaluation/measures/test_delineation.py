import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import LEADS
from evaluation.measures.delineation import compare, evaluate_delineators
from evaluation.measures.ludb import COLUMNS, MARKS, beats_of, halves, over_leads, read_marks, record_names

OFFSETS = dict(zip(MARKS, (-160.0, -110.0, -70.0, -45.0, 45.0, 150.0, 250.0, 330.0), strict=True))


def marks_of(record, shift=None, seed=0):
    """Marks of four beats in twelve leads, in ms, each lead a little apart."""
    rng = np.random.default_rng(seed)
    rows = []
    for peak in (1000.0, 1900.0, 2800.0, 3700.0):
        for lead in LEADS:
            rows.append((record, lead, "R", peak))
            for mark, offset in OFFSETS.items():
                rows.append((record, lead, mark, peak + offset + (shift or {}).get(mark, 0.0) + rng.normal(0, 2)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_marks_over_leads_are_those_of_the_beat():
    marks = marks_of("1")
    beats = beats_of(marks)
    np.testing.assert_allclose(beats, [1000, 1900, 2800, 3700])
    found = over_leads(marks, beats)
    for mark, offset in OFFSETS.items():
        assert found[0, mark] == pytest.approx(offset, abs=3)
    beyond = pd.DataFrame([("1", "I", "P on", 100.0), ("1", "II", "P on", 100.0)], columns=list(COLUMNS))
    pd.testing.assert_series_equal(over_leads(pd.concat([marks, beyond]), beats), found)


def test_bias_and_spread_are_those_of_the_marks():
    truth = pd.concat([marks_of("1"), marks_of("2", seed=1)])
    mine = pd.concat([marks_of("1", {"T off": 20.0}, 2), marks_of("2", {"T off": 20.0}, 3)])
    table = compare(mine, truth, ["1", "2"]).set_index(["of", "mark"])
    assert table.loc[("leads", "T off"), "bias_ms"] == pytest.approx(20, abs=1)
    assert table.loc[("over leads", "T off"), "bias_ms"] == pytest.approx(20, abs=1)
    assert table.loc[("leads", "QRS on"), "sd_ms"] == pytest.approx(np.hypot(2, 2), rel=0.2)
    assert (table["found"] == 100).all() and table.loc[("leads", "P"), "n"] == 2 * 4 * 12


def test_mistakes_are_reported(tmp_path):
    with pytest.raises(ValueError, match="no record of LUDB"):
        record_names(tmp_path)
    with pytest.raises(ValueError, match="method"):
        evaluate_delineators(tmp_path, str(tmp_path), ["magic"], None)
    assert halves(["1", "2", "3"]) == {"choose": ["1", "3"], "report": ["2"]}


@pytest.mark.data
def test_ours_is_near_the_cardiologists(ecg_data, tmp_path):
    folder = ecg_data / "ludb"
    names = record_names(folder)[1:9:2]
    assert set(read_marks(folder, names[:1])["mark"]) == {*MARKS, "R"}
    report = evaluate_delineators(tmp_path, str(folder), ["einthoven"], 8)
    table = report.table[report.table["of"] == "over leads"].groupby("mark")[["bias_ms", "sd_ms"]].mean()
    assert (table.loc[["QRS on", "QRS off"], "bias_ms"].abs() < 12).all() and table.loc["T off", "sd_ms"] < 35
    assert "einthoven" in report.markdown and (tmp_path / "table.md").is_file()
