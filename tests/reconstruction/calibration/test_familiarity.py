"""The note on what the prior has not seen, with the bundled weights and limits."""

import numpy as np
import pytest
import torch

from diffusion_prior.checkpoint import shared_denoiser
from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from reconstruction import reconstruct
from reconstruction.calibration.familiarity import Familiarity, prior_of, unlike_training, weights_digest
from reconstruction.calibration.fitting import exceeding, fit_limits
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
    assert set(known.limits) == {str(number) for number in range(1, 9)}


def test_noise_is_unlike_the_training_data_and_an_ecg_is_not(denoiser, noise):
    ecg = read(duration=5)
    assert unlike_training(ecg.signal, ecg.sampling_rate, ecg.leads, denoiser) == ()
    assert unlike_training(ecg.signal[:1], ecg.sampling_rate, ecg.leads[:1], denoiser) == ()
    (note,) = unlike_training(noise, 100.0, LEADS, denoiser)
    assert note.startswith("unlike the training data: the prior's denoising loss is")
    assert unlike_training(noise[:1], 100.0, LEADS[:1], denoiser)
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
    result = reconstruct(noise[:1], 100.0, ["I"], 2, sampler=sampler)
    assert sum("unlike the training data" in note for note in result.notes) == 1
    ecg = read(duration=3)
    assert not any("unlike" in note for note in reconstruct(ecg, leads="I", n_samples=2, sampler=sampler).notes)


def test_limits_are_the_percentile(denoiser):
    losses = {1: np.arange(101.0), 8: np.arange(101.0) / 10}
    fitted = fit_limits(denoiser, losses, "numbers")
    assert fitted.limits == {"1": 99.0, "8": 9.9}
    assert exceeding(fitted, {8: np.array([1.0, 10.0, 9.0, 20.0])}) == {8: 0.5}
