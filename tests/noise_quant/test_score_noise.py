"""Scores into a run folder: keyed, joined with the labels, the same when the run was killed and taken up again."""

import numpy as np
import pandas as pd
import pytest
import yaml

from einthoven.ecg.leads import LEADS
from einthoven.ecg.recording import Recording
from einthoven.run.run_folder import RunFolder
from noise_quant.data.mixtures import mixture_source
from noise_quant.data.sources import cinc2011_source, ptbxl_source
from noise_quant.scoring.methods import DiffusionScoring, PlainScoring, scoring_method
from noise_quant.scoring.rules.judge import Judge
from noise_quant.scoring.score_table import score_source
from noise_quant.scoring.scorer import Scorer
from noise_quant.scoring.verdict import Thresholds
from tests.scripts import run_script, start_script, wait_for


class Interrupted(BaseException):
    """What ends a process, so that it is no failure of a record."""


@pytest.fixture
def scoring(tiny_model):
    return DiffusionScoring(Scorer(tiny_model, seed=0), Judge(Thresholds(clean=15.0, heavy=10.0)))


class CountedScoring:
    """Means and ranges in the place of a model, which counts its records and stops after some."""

    def __init__(self, stop_after=None):
        self._n_records, self._stop_after = 0, stop_after  # private: no part of the work

    def __call__(self, item, record):
        if self._stop_after is not None and self._n_records >= self._stop_after:
            raise Interrupted
        self._n_records += 1
        scores = {"lead": list(record.leads), "segment": 0, "psnr": np.ptp(record.signal, axis=1)}
        return pd.DataFrame({**scores, "unusable": False, "reason": ""})


def test_table_has_a_row_per_lead_with_scores_and_labels(noisy_ptbxl, scoring, tmp_path):
    source = ptbxl_source(noisy_ptbxl)
    counted = []
    summary = score_source(source, scoring, tmp_path, progress=counted.append)
    table = pd.read_parquet(tmp_path / "scores.parquet").set_index(["ecg_id", "lead", "segment"])
    assert sum(counted) == len(table) == source.n_leads == 34
    assert not table.index.duplicated().any()
    flat = table.loc[(10, "III", 0)]
    assert flat[["unusable", "reason", "verdict"]].tolist() == [True, "flat", "unusable"]
    assert np.isnan(flat["psnr"])
    usable = table[~table["unusable"]]
    assert np.isfinite(usable[["psnr", "ssim", "mse", "mae"]]).all(axis=None)
    assert set(usable["verdict"]) <= {"clean", "partly noisy", "heavily noisy"}
    assert (usable["reason"] == "").all()
    assert table.loc[(1, "I", 0), ["static", "clean", "strat_fold", "split"]].tolist() == [True, False, 1, "train"]
    assert not table["trained"].any()
    assert table[["unusable", "trained", "clean"]].dtypes.eq(bool).all()
    np.testing.assert_allclose(pd.read_csv(tmp_path / "scores.csv")["psnr"], table["psnr"], rtol=1e-5)
    records = pd.read_parquet(tmp_path / "records.parquet")
    assert records["ecg_id"].tolist() == [1, 2, 9, 10, 12]
    assert records["n_leads"].tolist() == [7, 1, 2, 12, 12]
    assert (records["seconds"] > 0).all()
    assert (summary.n_records, summary.n_leads, summary.n_unusable, summary.n_new) == (5, 34, 1, 5)


def test_a_lead_scores_the_same_in_every_choice_and_chunk(noisy_ptbxl, scoring, tmp_path):
    score_source(ptbxl_source(noisy_ptbxl), scoring, tmp_path / "one", chunk_records=1)
    score_source(ptbxl_source(noisy_ptbxl, split="test"), scoring, tmp_path / "two", chunk_records=8)
    one, two = (
        pd.read_parquet(tmp_path / name / "scores.parquet").set_index(["ecg_id", "lead", "segment"])
        for name in ("one", "two")
    )
    both = one.index.intersection(two.index)
    assert len(both) == 24
    pd.testing.assert_frame_equal(one.loc[both], two.loc[both], rtol=1e-5)


def test_stopped_run_goes_on_with_what_it_lacks(noisy_ptbxl, nstdb_folder, tmp_path):
    source = mixture_source(noisy_ptbxl, nstdb_folder, noise_types=["em"])
    whole = CountedScoring()
    score_source(source, whole, tmp_path / "whole", chunk_records=4)
    assert whole._n_records == 6
    with pytest.raises(Interrupted):
        score_source(source, CountedScoring(4), tmp_path / "run", chunk_records=4)
    assert not (tmp_path / "run" / "scores.parquet").exists()
    rest = CountedScoring()
    assert score_source(source, rest, tmp_path / "run", chunk_records=4).n_new == 2
    assert rest._n_records == 2
    pd.testing.assert_frame_equal(*(pd.read_parquet(tmp_path / name / "scores.parquet") for name in ("whole", "run")))
    assert not (tmp_path / "run" / "parts").exists()
    again = CountedScoring()
    assert "nothing to do" in score_source(source, again, tmp_path / "run").describe()
    assert again._n_records == 0
    table = pd.read_parquet(tmp_path / "run" / "scores.parquet")
    assert list(table.columns[:3]) == ["ecg_id", "noise_type", "snr_db"]
    assert table.groupby("snr_db")["psnr"].mean().is_monotonic_decreasing  # here the range: more noise, more range


def test_records_that_cannot_be_read_are_listed(cinc2011_folder, tmp_path):
    source = cinc2011_source(cinc2011_folder)

    def read(item):
        if item.columns["ecg_id"] == 1002:
            raise ValueError("the file is damaged")
        return source.read(item) if item.columns["ecg_id"] != 1004 else Recording(np.zeros((0, 5)), 500.0, (), "")

    broken = type(source)(source.items, source.labels, read)
    summary = score_source(broken, CountedScoring(), tmp_path, chunk_records=2)
    assert summary.problems == {"1002": "the file is damaged", "1004": "no usable lead"}
    assert "2 records failed" in summary.describe()
    table = pd.read_parquet(tmp_path / "scores.parquet")
    assert set(table["ecg_id"]) == {1001, 1003, 1005, 1006, 1007, 1008}
    assert not table.loc[table["ecg_id"] == 1003, "acceptable"].any()
    assert {"half", "trained"} <= set(table)
    none = type(source)(source.items[:1], source.labels, lambda item: Recording(np.zeros((0, 5)), 500.0, (), ""))
    with pytest.raises(ValueError, match="none of the 1 records"):
        score_source(none, CountedScoring(), tmp_path / "none")


def test_records_that_cannot_be_scored_cost_no_other_record_its_scores(cinc2011_folder, tmp_path):
    class Picky(CountedScoring):
        def __call__(self, item, record):
            if item.columns["ecg_id"] == 1003:
                raise IndexError("no such lead")
            return super().__call__(item, record)

    source = cinc2011_source(cinc2011_folder)
    summary = score_source(source, Picky(), tmp_path, chunk_records=4)
    [(name, reason)] = summary.problems.items()
    assert name == "1003"
    assert reason.startswith("IndexError: no such lead (test_score_noise.py:")
    assert set(pd.read_parquet(tmp_path / "scores.parquet")["ecg_id"]) == set(range(1001, 1009)) - {1003}


def test_plain_baseline_has_the_same_keys(cinc2011_folder, tmp_path):
    score_source(cinc2011_source(cinc2011_folder, n_records=2), PlainScoring(), tmp_path)
    table = pd.read_parquet(tmp_path / "scores.parquet")
    assert len(table) == 24
    assert {"ecg_id", "lead", "segment", "plain", "unusable", "reason", "acceptable", "half"} <= set(table)
    assert "psnr" not in table


def test_long_recordings_have_segments_and_partitions(tiny_model):
    rng = np.random.default_rng(0)
    record = Recording(rng.standard_normal((2, 2500)), 100.0, ("II", "V2"), "mine")

    class Item:
        seed_key = "mine"

    table = DiffusionScoring(Scorer(tiny_model), n_partitions=2)(Item(), record)
    assert table["lead"].tolist() == ["II"] * 5 + ["V2"] * 5
    assert table["segment"].tolist() == [0, 1, 2, 3, 4] * 2
    np.testing.assert_allclose(table["stop_s"][:5], [5, 10, 15, 20, 25], atol=0.05)
    assert set(table["verdict"]) == {""}
    plain = PlainScoring()(Item(), record)
    assert plain["segment"].tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "guess"}, "diffusion, baseline"),
        ({"timestep": 31}, "multiple of step_interval"),
        ({"noise_scheduler_type": "pndm"}, "ddim or ddpm"),
        ({"n_partitions": 0}, "between 1 and 256"),
        ({"use_ldm": False}, "a latent model"),
    ],
)
def test_mistakes_are_told_before_any_work(settings, message, tiny_model_file):
    with pytest.raises(ValueError, match=message):
        scoring_method(**{"checkpoint": tiny_model_file, **settings})


def run(tmp_path, *overrides):
    return run_script("noise_quant.score_noise", "n_threads=1", f"paths.runs={tmp_path}", *overrides)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:no thresholds are known")
def test_killed_script_goes_on_to_the_same_scores(noisy_ptbxl, nstdb_folder, tiny_model_file, tmp_path):
    overrides = [
        "n_threads=1",
        f"paths.runs={tmp_path}",
        "source=mixtures",
        f"dataset.raw_path={noisy_ptbxl}",
        f"sources.mixtures.nstdb_path={nstdb_folder}",
        "split=val",
        f"checkpoint={tiny_model_file}",
        "score.chunk_records=1",
    ]
    folder = tmp_path / "killed"
    overrides.append(f"score.results_path={folder}")
    process = start_script("noise_quant.score_noise", *overrides, output=tmp_path)
    wait_for(lambda: list(folder.glob("parts/[0-9]*.parquet")))
    process.kill()
    process.join()
    assert not (folder / "scores.parquet").exists()
    n_done = len(list(folder.glob("parts/[0-9]*.parquet")))
    assert 1 <= n_done < 36
    resumed = run_script("noise_quant.score_noise", *overrides)
    assert resumed.returncode == 0, resumed.stderr
    assert f"36 records ({36 - n_done} of them now)" in resumed.stdout
    assert len(RunFolder.open(folder).provenance()["resumed_at"]) == 1
    source = mixture_source(noisy_ptbxl, nstdb_folder, "val")
    score_source(source, scoring_method(checkpoint=tiny_model_file), tmp_path / "whole", chunk_records=1)
    pd.testing.assert_frame_equal(
        *(pd.read_parquet(place / "scores.parquet") for place in (folder, tmp_path / "whole")), check_exact=True
    )
    assert yaml.safe_load((folder / "config.yaml").read_text())["source"] == "mixtures"


@pytest.mark.slow
def test_script_scores_one_recording_and_tells_mistakes(noisy_ptbxl, tiny_model_file, tmp_path):
    record = noisy_ptbxl / "records100/00000/00004_lr"
    done = run(tmp_path, "source=recording", f"record={record}", f"checkpoint={tiny_model_file}")
    assert done.returncode == 0, done.stderr
    assert "1 records (1 of them now), 12 leads, 0 of them unusable" in done.stdout
    [folder] = (tmp_path / "score_noise").iterdir()
    table = pd.read_parquet(folder / "scores.parquet")
    assert table["ecg_id"].unique().tolist() == ["00004_lr"]
    assert tuple(table["lead"]) == LEADS
    mistake = run(tmp_path, "source=ecg")
    assert mistake.returncode == 2
    assert "choose one of ptbxl, cinc2011, mixtures, recording" in mistake.stderr
