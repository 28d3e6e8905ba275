import numpy as np
import pandas as pd
import pytest
import wfdb

from einthoven.ecg.leads import LEADS, to_twelve
from einthoven.ecg.statements import STATEMENTS
from evaluation.repairing.marks import lawful, read_marks
from evaluation.repairing.report import write_marks
from evaluation.repairing.statements import find_classifier, score_statements


def test_marks_of_a_lead_are_read(tmp_path):
    samples, symbols = np.array([90, 100, 110, 150, 200, 250, 300, 350]), ["(", "p", ")", "(", "N", ")", "(", "t"]
    wfdb.wrann("1", "ii", samples, symbols, fs=500, write_dir=str(tmp_path))
    marks = read_marks(tmp_path / "1", "II")
    assert {name: times.tolist() for name, times in marks.items()} == {
        "P": [0.2], "QRS": [0.4], "T": [0.7], "QRS on": [0.3], "QRS off": [0.5],
    }  # fmt: skip


def test_limb_leads_are_scaled_to_einthovens_law():
    rng = np.random.default_rng(0)
    ecg = to_twelve(rng.standard_normal((8, 500)))
    wrong = ecg * np.linspace(0.5, 2.0, 12)[:, None]
    scaled = lawful(wrong)
    np.testing.assert_allclose(scaled[2], scaled[1] - scaled[0], atol=1e-9)
    np.testing.assert_allclose(scaled[3], -(scaled[0] + scaled[1]) / 2, atol=1e-9)
    np.testing.assert_array_equal(scaled[6:], wrong[6:])


def test_distances_to_marks_are_summed_up(tmp_path):
    rows = [
        {"method": name, "wave": "QRS", "true": 4, "found": 4, "matched": 4, "error_ms": error, "record": str(key)}
        for key in range(3)
        for name, error in (("damaged", 40.0), ("repaired", 8.0))
    ]
    report = write_marks(pd.DataFrame(rows), tmp_path, 20, 0, ["a note"])
    assert "3 records" in report.markdown
    assert "2.0 (2.0-2.0)" in report.markdown


class Reader:
    classes, leads, spec = STATEMENTS, LEADS, {"classes": "statements"}

    def predict(self, ecgs):
        return np.tile(np.abs(ecgs[:, 0, :1]), (1, len(STATEMENTS)))


def test_statements_are_scored_for_each_version(tmp_path):
    lines = ["ecg_id,scp_codes"] + [f"{key},\"{{'{'NORM' if key < 4 else 'AFIB'}': 100.0}}\"" for key in range(8)]
    (tmp_path / "ptbxl_database.csv").write_text("\n".join(lines))
    ecgs = {key: np.full((4, 12, 10), float(key) + 1, dtype=np.float32) for key in range(8)}
    table = score_statements(Reader(), ecgs, tmp_path, 20, 0)
    assert table["ecg"].tolist() == ["clean", "damaged", "repaired", "band-pass"]
    assert (table["n_records"] == 8).all()
    assert (table["to_clean_value"] == 0).all()


def test_what_is_no_classifier_is_refused(tmp_path):
    with pytest.raises(ValueError, match=str(tmp_path)):
        find_classifier(tmp_path / "none.safetensors")
