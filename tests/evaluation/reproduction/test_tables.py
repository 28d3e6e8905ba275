import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from einthoven.report.page import HtmlPage
from einthoven.run.files import write_json
from einthoven.run.run_folder import RunFolder
from evaluation.reproduction.plan import TABLES, Plan
from evaluation.reproduction.report import write_report
from evaluation.reproduction.tables import REPORTED, reported_grid, write_tables

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)


def rows(method: str, **values: float) -> list[dict[str, object]]:
    return [
        {"method": method, "metric": name, "value": value, "lower": value - 0.1, "upper": value + 0.1, "n_records": 5}
        for name, value in values.items()
    ]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan with one finished evaluation, one of which nothing is there, and one that was never asked for."""
    plan = Plan(tmp_path, {"name": "test", "simulated_records": None})
    for name in ("evaluated", "missing"):
        plan.add(name, "evaluation.evaluate_reconstruction", ["x=1"], "table.csv", is_derived=True)
        plan.show("lead_i", "reconstruction", f"section {name}", name, "*.png")
    folder = plan.folder("evaluated")
    RunFolder.create(folder, {}, seed=0, device="cpu")
    found = rows("ours <b>", mae_mean=0.5, mae_sample=0.6, coverage=89.0) + rows("ridge", mae_mean=0.7, mae_sample=0.7)
    pd.DataFrame(found).to_csv(folder / "table.csv", index=False)
    (folder / "picture.png").write_bytes(PIXEL)
    record = {"command": plan.stages["evaluated"].command, "exit_status": 0, "seconds": 12.3, "ended_at": "2026"}
    write_json(plan.stages["evaluated"].record_path, {**record, "machine": "a machine of two cores"})
    return plan


def test_tables_have_a_row_a_method_and_what_papers_report_beside(plan, tmp_path):
    grids = write_tables(plan, tmp_path / "tables")
    assert list(grids) == ["lead_i"]
    own, reported = grids["lead_i"]
    assert own.header[:2] == ("method", "MAE of the mean (mV)")
    assert own.rows[0] == ("ours <b>", "0.5000 (0.4000-0.6000)", "0.6000 (0.5000-0.7000)", "89.0 (88.9-89.1)")
    assert own.rows[1][2:] == ("-", "-")  # a method without samples has neither single ones nor a band
    assert reported.section is None and any("MCMA" in row for row in reported.rows)
    numbers = pd.read_csv(tmp_path / "tables" / "lead_i.csv")
    assert numbers.set_index(["method", "metric"]).loc[("ridge", "mae_mean"), "value"] == 0.7
    assert "| ours" in (tmp_path / "tables" / "lead_i.md").read_text()
    latex = (tmp_path / "tables" / "lead_i.tex").read_text()
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    assert r"ours \textless{}b\textgreater{} & 0.5000" in latex


def test_page_needs_no_other_file(plan, tmp_path):
    *_, results, page = write_report(plan, {"evaluated": "done", "missing": "failed"}, 3.0)
    assert "| ours" in results.read_text() and "python -m evaluation.evaluate_reconstruction" in results.read_text()
    text = page.read_text()
    assert "data:image/png;base64,iVBORw0" in text
    assert not re.search(r'(src|href)="(?!data:|#)', text) and "http" not in text
    assert "ours &lt;b&gt;" in text and "ours <b>" not in text
    assert (
        "12.3" in text and "a machine of two cores" in text and "python -m evaluation.evaluate_reconstruction" in text
    )
    assert "Not everything ended well: missing" in text


@pytest.mark.parametrize("records", [None, 45])
def test_page_of_simulated_records_warns_that_its_numbers_mean_nothing(plan, records):
    plan = replace(plan, settings={**plan.settings, "simulated_records": records})
    *_, results, page = write_report(plan, {"evaluated": "done"}, 3.0)
    for text in (results.read_text(), page.read_text()):
        assert ("simulated data: the numbers mean nothing" in text) == (records is not None)


def test_reported_results_belong_to_tables_and_name_their_source():
    reported = pd.read_csv(REPORTED)
    assert set(reported["table"]) == set(TABLES)
    assert reported.notna().all().all()
    assert all(reported_grid(table) is not None for table in TABLES)


def test_headings_are_linked_from_the_top(tmp_path):
    page = HtmlPage("A & B")
    page.heading("First")
    page.heading("below", level=3)
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert '<a href="#part0">First</a>' in text and '<h2 id="part0">First</h2>' in text and "A &amp; B" in text
