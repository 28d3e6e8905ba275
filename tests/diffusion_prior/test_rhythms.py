"""Rhythms of training records: which are similar, what is drawn, and what weights keep of them."""

import math

import numpy as np
import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser, save_denoiser
from diffusion_prior.rhythms import draw_rhythm, fit_rhythms, load_told, rhythm_kind, similar_rhythms
from einthoven.randomness import seeded_generator
from preprocessing.cohorts.simulator import simulate_store
from tests.diffusion_prior.training.test_objective import TINY

TABLE = {
    "": [[900, 30]] * 10,
    "NORM+SR": [[860, 20 + place] for place in range(40)],
    "SR": [[800, 15]] * 30,
    "AFIB": [[700, 120 + place] for place in range(9)],
    "PVC+TRIGU": [[850, 240]],
    "SR+TRIGU": [[860, 250]],
}


def test_rhythms_are_those_of_the_same_statements_or_of_similar_rare_ones():
    assert len(similar_rhythms(TABLE, ["NORM", "SR"])) == 40
    assert len(similar_rhythms(TABLE, ["LVH"])) == 10 and len(similar_rhythms(TABLE, [])) == 91
    assert sorted(similar_rhythms(TABLE, ["TRIGU"])[:, 1]) == [240, 250]  # and none of the many of SR alone
    assert similar_rhythms(TABLE, ["PACE"]).shape == (0, 2)
    assert rhythm_kind(["SR", "LVH", "NORM"]) == "NORM+SR"


def test_what_is_told_stays_and_the_other_is_of_the_nearest_records():
    def draw(statements, mean=math.nan, sd=math.nan, seed=0):
        return draw_rhythm(TABLE, statements, (mean, sd), seeded_generator(seed))

    assert draw(["AFIB"], seed=3) == draw(["AFIB"], seed=3)
    sds = {draw(["AFIB"], seed=seed)[1] for seed in range(20)}
    assert len(sds) > 4 and all(0.12 <= sd <= 0.128 for sd in sds)
    assert draw(["AFIB"], 0.5, 0.2) == (0.5, 0.2)
    assert draw(["NORM", "SR"], sd=0.02)[0] == 0.86 and draw(["NORM", "SR"], mean=0.5)[0] == 0.5
    assert np.isnan(draw(["PACE"])).all()


def test_rhythms_are_measured_in_the_training_records_of_a_store(tmp_path):
    store = simulate_store(tmp_path / "store", n_records=12, seed=0)
    assert sum(map(len, fit_rhythms(store).values())) == len(store.rows("train"))


def test_weights_that_cannot_be_told_a_rhythm_are_refused(tmp_path):
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_denoiser(weights, build_denoiser({**TINY, "covariates": ["age", "rr_mean"]}))
    with pytest.raises(ValueError, match="cannot be told a rhythm"):
        load_told(weights)
