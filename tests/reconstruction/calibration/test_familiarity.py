"""The note on what the prior has not seen, with the bundled weights and limits."""

import numpy as np
import pytest
import torch

from diffusion_prior.checkpoint import shared_denoiser
from einthoven.ecg.leads import LEADS, to_twelve
from einthoven.ecg.reading import read
from reconstruction import reconstruct
from reconstruction.calibration.familiarity import Familiarity, prior_of, unlike_training, weights_digest
from reconstruction.calibration.fitting import fit_limit
from reconstruction.method_choice import build_sampler
from reconstruction.samplers.amortised import AmortisedSampler


@pytest.fixture(scope="module")
def denoiser():
    torch.set_num_threads(1)
    return shared_denoiser()


@pytest.fixture(scope="module")
def noise():
    return 0.5 * np.random.default_rng(0).standard_normal((12, 500))


def test_the_packaged_limits_are_of_the_bundled_weights(denoiser):
    known = Familiarity.load()
    assert known.weights == weights_digest(denoiser), "run einthoven fit_familiarity for the new weights"
    assert 0 < known.limit < 1


def test_noise_is_unlike_the_training_data_and_an_ecg_is_not(denoiser, noise):
    ecg = read(duration=5)
    assert unlike_training(ecg.signal, ecg.sampling_rate, ecg.leads, denoiser) == ()
    (note,) = unlike_training(noise, 100.0, LEADS, denoiser)
    assert note.startswith("unlike the training data: the prior's denoising loss is")
    assert unlike_training(noise[:1], 100.0, LEADS[:1], denoiser) == ()  # of one lead nobody can tell
    assert unlike_training(noise[:, :100], 100.0, LEADS, denoiser) == ()  # too short to tell


def test_of_other_weights_nothing_is_told(tiny_denoiser, noise):
    assert unlike_training(noise, 100.0, LEADS, tiny_denoiser) == ()
    assert unlike_training(noise, 100.0, LEADS, None) == ()


def test_the_prior_of_every_sampler_is_found(denoiser):
    for method in ("amortised", "decoupled", "mgps"):
        assert prior_of(build_sampler(method)) is denoiser
    assert prior_of(build_sampler("decoupled", blind=True)) is denoiser


def test_a_result_has_the_note_and_the_same_samples(denoiser, noise):
    sampler = AmortisedSampler(denoiser, n_steps=2)
    gap = noise.copy()
    gap[2:6] = to_twelve(noise[[0, 1, *range(6, 12)]])[2:6]
    gap[:, 100:150] = np.nan
    result = reconstruct(gap, 100.0, LEADS, 2, sampler=sampler)
    assert sum("unlike the training data" in note for note in result.notes) == 1
    ecg = read(duration=3)
    assert not any("unlike" in note for note in reconstruct(ecg, n_samples=2, sampler=sampler).notes)


def test_the_limit_is_the_percentile(denoiser):
    assert fit_limit(denoiser, np.arange(101.0), "numbers").limit == 99.0
