"""Fitting on beats that are made up so that they can be told apart, and what the evaluation says of them."""

import numpy as np
import pytest

import einthoven
from einthoven.ecg.leads import LEADS
from evaluation.electrodes import few_leads
from evaluation.electrodes.report import Draws
from reconstruction.electrodes.few_leads.beats import N_SAMPLES
from reconstruction.electrodes.few_leads.limbs import limb_hypotheses
from reconstruction.electrodes.few_leads.networks import FewLeads
from reconstruction.electrodes.fitting.few_leads import (
    Beats,
    Settings,
    fit_few_leads,
    joined,
    look_at_beats,
    split_paths,
)


def made_up(n, seed):
    """Records whose leads are twelve waves, and whose I and II are two of them, with noise."""
    rng, known = np.random.default_rng(seed), limb_hypotheses()
    waves = np.random.default_rng(9).standard_normal((14, N_SAMPLES))
    single = waves[:12] + 0.2 * rng.standard_normal((n, 12, N_SAMPLES))
    pair = waves[12:] + 0.2 * rng.standard_normal((n, 2, N_SAMPLES))
    pairs = np.stack([one.swap[:2, :2] @ pair for one in known], axis=1).reshape(n, len(known), -1)
    own, both = (np.concatenate([x, np.zeros((*x.shape[:2], 2))], axis=-1).astype(np.float32) for x in (single, pairs))
    return Beats(np.array([f"{seed}_{at}" for at in range(n)]), own, both)


@pytest.fixture(scope="module")
def held_out():
    beats = made_up(20, 1)
    beats.single[0, 0], beats.pairs[1] = np.nan, np.nan  # no usable beats
    return beats


@pytest.fixture(scope="module")
def fitted(held_out):
    settings = Settings(2, 16, 0.0, 12, 4, 0.02, 0.9, 0)
    return fit_few_leads(joined([made_up(60, 2), made_up(30, 3)]), held_out, settings)


def test_what_can_be_told_apart_is_told(fitted, tmp_path):
    assert fitted.facts["right"] > 0.9 and fitted.facts["right_without_unit"] > 0.9
    assert min(fitted.facts["told"].values()) > 0.5
    assert (fitted.facts["records"], fitted.facts["held_out"]) == (90, 20)
    np.savez(tmp_path / "few.npz", **fitted.arrays())
    again = FewLeads.load(tmp_path / "few.npz")
    assert again.facts == fitted.facts and again.doubt == fitted.doubt


def test_the_report_says_how_well(fitted, held_out, tmp_path, monkeypatch):
    monkeypatch.setattr(few_leads, "look_at_beats", lambda paths, file: held_out)
    monkeypatch.setattr(few_leads.FewLeads, "load", lambda: fitted)
    report = few_leads.evaluate_few_leads([], tmp_path, ["a note"], 0.9, Draws(3, 0))
    for words in ("20 records", "named rightly", "calibration error", "| aVF |", "RA/LA", "I negative", "a note"):
        assert words in report.markdown
    accuracy = report.tables["accuracy.csv"].set_index(["lead", "what"])["value"]
    assert accuracy["all", "first"] > 0.9
    named = report.tables["named.parquet"]
    assert len(named) == 20 * 12 - 1
    right = named[named["lead"] == named["best"]]
    assert (right["place"] == 0).all() and (named["among"] >= (named["place"] == 0)).all()
    assert set(report.tables["sensitivity.csv"]["method"]) == {"I and II", "I negative"}


def test_the_rule_is_positive_where_lead_one_points_down():
    wave = np.zeros((2, 2, N_SAMPLES))
    wave[0, 0, 32:40], wave[1, 0, 32:40] = 1.0, -1.0
    scores = few_leads.one_negative(wave.reshape(2, -1))
    assert scores[0] < 0 < scores[1]


def test_what_was_looked_at_is_kept(tmp_path):
    demo = einthoven.read(einthoven.DEMO_ECG, duration=5.0)
    paths = [demo.save(tmp_path / "demo.csv"), tmp_path / "broken.csv"]
    paths[1].write_text("nothing", encoding="utf-8")
    found = look_at_beats(paths, tmp_path / "parts" / "beats.npz")
    assert found.single.shape == (1, len(LEADS), N_SAMPLES + 2)
    assert np.isfinite(found.pairs).all()
    paths[0].unlink()
    np.testing.assert_array_equal(look_at_beats(paths, tmp_path / "parts" / "beats.npz").single, found.single)


def test_every_second_record_of_an_archive_is_held_out(tmp_path):
    (tmp_path / "ptbxl_database.csv").write_text(
        "filename_lr,strat_fold\n" + "".join(f"r{fold},{fold}\n" for fold in (1, 8, 9, 10)), encoding="utf-8"
    )
    for name in ("r1", "r8", "r9", "r10", "some/a", "some/b", "some/c", "all/d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.hea").touch()
    fitted, held_out = split_paths(tmp_path, tmp_path, {"some": 2, "all": 1})
    names = [{part: [path.name for path in paths] for part, paths in sets.items()} for sets in (fitted, held_out)]
    assert names[0] == {"ptbxl": ["r1", "r8"], "some": ["a", "c"], "all": ["d"]}
    assert names[1] == {"ptbxl": ["r9"], "some": ["b"]}
    with pytest.raises(ValueError, match="no records of none"):
        split_paths(tmp_path, tmp_path, {"none": 1})
