import numpy as np
import pandas as pd
import pytest
import torch

from diffusion_prior.checkpoint import shared_denoiser
from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import LEADS
from evaluation.repairing import runs
from evaluation.repairing.baselines import RidgeFromOthers
from evaluation.repairing.report import write_report
from evaluation.repairing.scoring import REPAIRED, Scored, score_record
from evaluation.repairing.waves import compare_waves, find_waves
from preprocessing.clean_records import CleanRecord
from preprocessing.cohorts.simulator import simulate_ecg
from preprocessing.damage import BAD_SHARE
from reconstruction.repairs.finding.finder import Finder
from reconstruction.repairs.repairing import Tools
from reconstruction.repairs.windows import WindowRepairer

RATE = 100.0


@pytest.fixture(scope="module")
def ecgs():
    return simulate_ecg(6, sampling_rate=RATE, seed=0, rhythm="sinus").astype(np.float64)


@pytest.fixture(scope="module")
def ridge(ecgs):
    return RidgeFromOthers.fit(clean_signal(ecg, RATE, RATE) for ecg in ecgs[:5])


def test_the_regression_takes_limb_leads_by_the_law_and_chest_leads_from_the_others(ecgs, ridge):
    ecg = clean_signal(ecgs[5], RATE, RATE)
    damaged = ecg.copy()
    damaged[[0, 8]] = 0.0
    restored = ridge(damaged, ["I", "V3"])
    np.testing.assert_allclose(restored[0], ecg[0], atol=0.1)
    assert np.square(restored[8] - ecg[8]).mean() < 0.5 * np.square(ecg[8]).mean()
    rows = [row for row in range(12) if row not in (0, 8)]
    np.testing.assert_array_equal(restored[rows], damaged[rows])


def test_waves_match_one_to_one_inside_stretches():
    counts = compare_waves(np.array([1.0, 2.01, 2.05, 5.0]), np.array([1.02, 2.0, 3.0, 8.0]), [(0.5, 3.5)])
    assert counts[:3] == (3, 3, 2)
    assert counts[3] == pytest.approx(30.0)


def test_waves_of_a_simulated_lead_are_found(ecgs):
    waves = find_waves(ecgs[0, 1], RATE)
    assert len(waves["QRS"]) >= 8
    assert find_waves(np.zeros(1000), RATE)["QRS"].size == 0


@pytest.mark.slow
def test_records_are_scored_and_summed_up(ecgs, ridge, tmp_path):
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    noise = {name: rng.standard_normal((2, 4000)).cumsum(axis=-1) for name in ("bw", "em", "ma")}
    tools = Tools(Finder.load(), WindowRepairer(shared_denoiser(), n_samples=2, n_steps=2), None)
    records = [CleanRecord(f"sim/{number}", ecg, RATE) for number, ecg in enumerate(ecgs[:2])]
    scored = [score_record(record, noise, ridge, tools, seed=0) for record in records]
    pieces = scored[0].pieces
    assert len(pieces) == 2 * len(LEADS) * 10
    assert (pieces["hurt"] >= BAD_SHARE).any()
    assert not pieces.loc[~pieces["damaged"], "hurt"].any()
    assert REPAIRED in set(scored[0].errors["method"])
    report = write_report(scored, tmp_path, 20, 0, ["a note"])
    assert "AUROC, all" in report.markdown
    assert "RMSE below" in report.markdown
    table = pd.read_csv(tmp_path / "table.csv")
    assert {"metric", "method", "value", "lower", "upper", "part"} == set(table.columns)


def test_a_record_that_fails_is_left_out_and_told(ecgs, ridge, tmp_path, monkeypatch):
    chosen = [CleanRecord(name, ecgs[0], RATE) for name in ("a", "b")]
    done = Scored(*[pd.DataFrame({"record": ["b"]})] * 3, np.zeros((4, 12, 10), np.float32))

    def score(record, *_rest):
        if record.name == "a" or broken:
            raise ValueError("no beat")
        return done

    monkeypatch.setattr(runs, "score_record", score)
    arguments = (tmp_path, chosen, lambda rate: {}, ridge, None, 0)
    broken = True
    with pytest.raises(ValueError, match="none of the 2 records could be evaluated, e.g. a: no beat"):
        runs._score_all(*arguments)
    broken = False
    scored, told = runs._score_all(*arguments)
    assert list(scored) == ["b"]
    assert told == ["left out, a: no beat"]
