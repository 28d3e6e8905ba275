import numpy as np
import pandas as pd
import pytest
import wfdb
from matplotlib.image import imread

from einthoven.ecg.recording import Recording
from noise_quant.scoring.recording_report import report_recording
from noise_quant.scoring.rules.judge import Judge
from noise_quant.scoring.scorer import Scorer
from noise_quant.scoring.verdict import Thresholds
from preprocessing.cohorts.simulator import simulate_ecg
from tests.scripts import run_script


@pytest.fixture(scope="module")
def recording():
    """Three leads of 14 s: II has a gap in its first window, V1 is flat throughout."""
    ecg = simulate_ecg(1, 250, duration=14.0, rhythm="sinus")[0, [0, 1, 6]].astype(np.float64)
    ecg[1, 500:600] = np.nan
    ecg[2] = 0.1
    return Recording(ecg, 250.0, ("I", "II", "V1"), "patient")


def test_a_report_has_a_table_and_a_picture_of_each_window(recording, tiny_model, tmp_path):
    scorer = Scorer(tiny_model, keep_images=True)
    report = report_recording(recording, tmp_path, scorer, Judge(Thresholds(50.0, 1.0)), dpi=40)
    table = pd.read_csv(tmp_path / "scores.csv", keep_default_na=False)
    assert table[["lead", "segment"]].to_numpy().tolist() == [[lead, k] for lead in ("I", "II", "V1") for k in (0, 1)]
    assert table["reason"].tolist() == ["", "", "1.1 s missing", "", "flat", "flat"]
    assert table["verdict"].tolist() == ["partly noisy"] * 4 + ["unusable"] * 2
    assert [path.name for path in report.pictures] == ["patient_00000s.png", "patient_00004s.png"]
    missing = table["missing_s"].tolist()
    assert missing[2] == pytest.approx(0.4 + 2 * 0.3, abs=0.08)  # the gap, and what is near
    assert missing[:2] + missing[3:] == [0] * 5
    for path in report.pictures:
        picture = imread(path)
        assert picture.shape[1] > picture.shape[0] > 100
        assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 100
    assert "V1     0.0-10.0 s  no score, flat" in report.describe()


def test_windows_beyond_the_limit_are_told(recording, tiny_model, tmp_path):
    report = report_recording(recording, tmp_path, Scorer(tiny_model, keep_images=True), Judge(), max_windows=1, dpi=40)
    assert len(report.pictures) == 1
    assert "1 more windows" in report.describe()


def test_a_tail_too_short_for_a_score_is_left_out(recording, tiny_model, tmp_path):
    longer = Recording(np.pad(recording.signal, ((0, 0), (0, 1505))), 250.0, recording.leads, "longer")
    report = report_recording(longer, tmp_path, Scorer(tiny_model, keep_images=True), Judge(), max_windows=9, dpi=40)
    assert report.n_windows == len(report.pictures) == 2


def test_pictures_need_images(recording, tiny_model, tmp_path):
    with pytest.raises(ValueError, match="keep_images=True"):
        report_recording(recording, tmp_path, Scorer(tiny_model), Judge())


@pytest.mark.slow
def test_plot(tiny_model_file, tmp_path):
    ecg = simulate_ecg(1, 500, rhythm="sinus")[0].T.astype(np.float64)
    names = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    wfdb.wrsamp("mine", 500, ["mV"] * 12, names, ecg, fmt=["16"] * 12, write_dir=str(tmp_path))
    command = ["noise_quant.plot", f"record={tmp_path / 'mine'}", "lead=[II,V2]"]
    command += [f"checkpoint={tiny_model_file}", f"plot.results_path={tmp_path / 'run'}", "plot.dpi=40", "n_threads=1"]
    result = run_script(*command)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "run" / "mine_00000s.png").is_file()
    assert (tmp_path / "run" / "config.yaml").is_file()
    assert pd.read_csv(tmp_path / "run" / "scores.csv")["lead"].tolist() == ["II", "V2"]
    wrong = run_script(*command, "lead=V9")
    assert wrong.returncode == 2
    assert len(wrong.stderr.strip().splitlines()) == 1
