"""What generated ECGs are told: what users say, what the rhythms' table says, and nothing with older weights."""

import math

import numpy as np
import pytest
import torch

from diffusion_prior.api import generate
from diffusion_prior.checkpoint import build_denoiser, save_denoiser
from diffusion_prior.choosing import Told, choose_covariates
from diffusion_prior.generation import GenerationSettings, generate_ecgs
from einthoven.ecg.statements import encode
from tests.diffusion_prior.training.test_objective import TINY

NAMES = ["age", "sex", "rr_mean", "rr_sd"]
RHYTHMS = {"SR": [[800, 20]] * 9, "AFIB": [[600, 120]] * 9}
LABELS = np.stack([encode(["SR"]), encode(["AFIB"])])
PEOPLE = np.array([[70.0, 1.0], [math.nan, 0.0]])


def network(covariates=NAMES, facts=None):
    torch.manual_seed(0)
    denoiser = build_denoiser({**TINY, "covariates": covariates}).eval().requires_grad_(False)
    for parameter in denoiser.backbone.parameters():
        parameter += 0.05 * torch.randn(parameter.shape)  # what starts at zero has learnt something
    denoiser.facts = facts or {}
    return denoiser


def test_rhythms_are_drawn_and_people_are_told_with_weights_that_hold_the_table():
    values = choose_covariates(network(facts={"rhythms": RHYTHMS}), LABELS, [1, 2], 0, Told(), PEOPLE)
    np.testing.assert_allclose(values, [[70, 1, 0.8, 0.02], [np.nan, 0, 0.6, 0.12]], rtol=1e-6)
    told = Told(age=20, heart_rate=120.0)
    values = choose_covariates(network(facts={"rhythms": RHYTHMS}), LABELS, [1, 2], 0, told, PEOPLE)
    np.testing.assert_allclose(values, [[20, 1, 0.5, 0.02], [20, 0, 0.5, 0.12]], rtol=1e-6)


def test_without_table_or_covariates_nothing_is_told_unless_asked():
    assert choose_covariates(network(), LABELS, [1, 2], 0, Told(), PEOPLE) is None
    assert choose_covariates(network([], {"rhythms": RHYTHMS}), LABELS, [1, 2], 0, Told(), PEOPLE) is None
    values = choose_covariates(network(), LABELS, [1, 2], 0, Told(sex="female"), PEOPLE)
    np.testing.assert_array_equal(values, [[np.nan, 1, np.nan, np.nan]] * 2)
    with pytest.raises(ValueError, match="trained without heart_rate: leave"):
        choose_covariates(network(["age"]), LABELS, [1, 2], 0, Told(age=3, heart_rate=80))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"age": -1}, "age is -1: give 0 to 120"),
        ({"sex": "f"}, "unknown sex 'f'"),
        ({"heart_rate": 5}, "heart_rate is 5: give 20 to 250"),
        ({"rr_sd": "much"}, "rr_sd is 'much': give a number"),
    ],
)
def test_what_cannot_be_told_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Told(**given)


def test_ecgs_follow_what_they_are_told_alone_and_in_chunks(tmp_path):
    settings = GenerationSettings(n_steps=2, length=64, batch_size=2)
    denoiser = network()
    plain = generate_ecgs(denoiser, LABELS, [1, 2], settings, tmp_path)
    told = np.array([[30, 0, 0.5, 0.01], [np.nan] * 4], dtype=np.float32)
    ecgs = generate_ecgs(denoiser, LABELS, [1, 2], settings, tmp_path, told)
    assert np.abs(ecgs[0] - plain[0]).max() > 1e-3
    np.testing.assert_allclose(ecgs[1], plain[1], atol=1e-5)


def test_the_call_tells_them_too(tmp_path):
    save_denoiser(tmp_path / "told.safetensors", network(), {"rhythms": RHYTHMS})
    save_denoiser(tmp_path / "without.safetensors", network([]))
    few = {"duration": 0.64, "n_steps": 2}
    one, other = (generate("SR", weights=tmp_path / "told.safetensors", age=age, **few).samples for age in (20, 80))
    assert np.abs(one - other).max() > 1e-4
    with pytest.raises(ValueError, match="trained without age, sex"):
        generate("SR", weights=tmp_path / "without.safetensors", age=20, sex="male", **few)
