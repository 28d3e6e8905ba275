"""The baseline's rules, and the report, on evidence made up so that the answers are known."""

from dataclasses import replace

import numpy as np
import pytest

import einthoven
from evaluation.electrodes.report import write_report
from evaluation.electrodes.rules import rule_scores
from evaluation.electrodes.scoring import compared, decision_table, opposite, score_table
from reconstruction.electrodes.calibration import Calibration
from reconstruction.electrodes.eight_leads import eight_leads
from reconstruction.electrodes.evidence import Evidence
from reconstruction.electrodes.fitting import calibrating
from reconstruction.electrodes.fitting.calibrating import Settings, calibrate, cross_fitted, other_records
from reconstruction.electrodes.fitting.trials import Trial, Trials, drawn_swaps, swapped
from reconstruction.electrodes.maps import AS_RECORDED, hypotheses

KNOWN = [one for one in hypotheses().values() if one.undo is not None]
NAMES = [one.name for one in KNOWN]
TRUTHS = (AS_RECORDED, "RA/LA", "LA/LL", "V2/V3", "V4 inverted", "leads I and V1 exchanged", "RA/V1", "V1/V4")


@pytest.fixture(scope="module")
def ecg():
    return eight_leads(einthoven.read(einthoven.DEMO_ECG), 100.0).ecg.numpy()


@pytest.fixture(scope="module")
def trials(ecg):
    """Five records whose true hypothesis has the smallest loss."""
    rng, found = np.random.default_rng(0), []
    for record in range(5):
        for truth in TRUTHS:
            loss = 100 * np.exp(0.1 * rng.random((len(KNOWN), 1)) + np.zeros((1, 8)))
            loss[NAMES.index(truth)] = 80.0
            evidence = Evidence(np.ones(len(KNOWN)), loss)
            found.append(Trial(f"{record:05d}_lr", truth, swapped(ecg, hypotheses()[truth]), evidence))
    return found


def test_the_rules_see_gross_swaps_of_a_normal_ecg(ecg):
    right = rule_scores(ecg)
    assert set(right) >= set(compared())
    for name in ("RA/LA", "RA/LL", "LA/LL", "V1-V6 reversed", "V3 inverted"):
        assert rule_scores(swapped(ecg, hypotheses()[name]))[name] > right[name] + 0.1
    assert rule_scores(np.zeros_like(ecg)) == {}


def test_what_undoes_a_swap():
    assert opposite("RA/LA") == "RA/LA"
    assert opposite("RA>LA>LL rotated") == "RA>LL>LA rotated"


def test_a_calibration_is_fitted_and_reported(trials, tmp_path):
    fitted = calibrate(trials, np.eye(8), Settings(10, 5, [], 5, [], 2, 0.98, 0))
    decisions = decision_table(trials, fitted)
    told = np.where(decisions["as_recorded"] < fitted.limit, decisions["other"], AS_RECORDED)
    assert (told == decisions["truth"]).mean() > 0.9
    path = tmp_path / "calibration.json"
    path.write_text(fitted.to_json(), encoding="utf-8")
    assert np.allclose(decision_table(trials, Calibration.load(path))["as_recorded"], decisions["as_recorded"])
    settings = {"specificity": 0.98, "n_resamples": 3, "seed": 0}
    scores = score_table([one for one in trials if one.record == "00000_lr"])
    report = write_report(scores, decisions, {"00000_lr": "NORM"}, fitted, settings, ["a note"], tmp_path)
    for words in ("RA/LA", "NORM, as recorded", "False alarms", "a note"):
        assert words in report.markdown
    assert (tmp_path / "decisions.csv").is_file()


def test_a_rare_kind_of_mistake_starts_from_its_share(trials, monkeypatch):
    settings = Settings(10, 5, [], 5, [], 2, 0.98, 0)
    usual = calibrate(trials, np.eye(8), settings).terms["lead names exchanged"]
    monkeypatch.setitem(calibrating.SHARES, "lead names exchanged", 10 * calibrating.SHARES["lead names exchanged"])
    more = calibrate(trials, np.eye(8), settings).terms["lead names exchanged"]
    assert more[0] == usual[0]
    assert more[1] - usual[1] == pytest.approx(np.log(10), abs=0.01)


def test_each_record_is_judged_by_a_fit_on_others(trials):
    judged = cross_fitted(trials, Settings(10, 5, [], 5, [], 5, 0.98, 0))
    assert sorted(id(one) for one, _ in judged) == sorted(map(id, trials))


def test_other_records_are_drawn_by_seed(tmp_path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / f"{name}.hea").touch()
    drawn = other_records(tmp_path, 3, ["a"], 0)
    assert drawn == other_records(tmp_path, 3, ["a"], 0)
    assert {path.name for path in other_records(tmp_path, 4, ["a"], 1)} == {"b", "c", "d"}
    with pytest.raises(ValueError, match="n_others=0"):
        other_records(tmp_path / "none", 3, [], 0)
    assert other_records(tmp_path / "none", 0, [], 0) == []


def test_trials_are_drawn_from_the_name_and_kept(ecg, tmp_path):
    class Counting:
        denoiser = type("Rate", (), {"sampling_rate": 100.0})
        calls = 0

        def __call__(self, x, measured, known, key):
            self.calls += 1
            return Evidence(np.ones(len(known)), np.ones((len(known), 8)))

    judge = Counting()
    recording = replace(einthoven.read(einthoven.DEMO_ECG), name="demo")
    found = Trials(judge, tmp_path).of(recording)
    assert [one.truth for one in found] == [AS_RECORDED, *drawn_swaps("demo", 0)]
    assert len(found) == judge.calls == 5
    again = Trials(judge, tmp_path).of(recording)
    assert judge.calls == 5
    np.testing.assert_array_equal(again[1].ecg, found[1].ecg)
    lacking = replace(recording, signal=recording.signal[:6], leads=recording.leads[:6], name="few")
    with pytest.raises(ValueError, match="was not measured"):
        Trials(judge, tmp_path).of(lacking)
