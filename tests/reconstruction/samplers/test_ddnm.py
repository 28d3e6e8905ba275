"""DDNM and DDNM+ against their own exact law on a linear-Gaussian problem, and their bias against the posterior."""

import pytest
import torch

from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.operators import Mask
from reconstruction.samplers.base import Calls
from reconstruction.samplers.ddnm import DDNM
from tests.reconstruction.samplers.affine import PROBLEMS, Law, check_law, make_problem


def exact_law(problem, n_steps):
    law, identity = Law(problem, n_steps), problem.identity
    for t, s in zip(law.times[:-1], law.times[1:], strict=True):
        (slope, offset), (share, kept, std) = law.denoiser(t), law.bridge(t, s)
        gain = problem.gain(std / share)
        rest = identity - gain @ problem.operator
        # The measurement's noise and the added one are together as large as the step's own.
        added = std**2 * identity - share**2 * gain @ problem.noise @ gain.T
        law.apply(share * rest @ slope + kept * identity, share * (rest @ offset + gain @ problem.y), added)
    return law.end()


@pytest.mark.parametrize("name", PROBLEMS)
def test_samples_follow_the_exact_law_of_the_algorithm(gaussian, truth, observed, name):
    problem = make_problem(name, gaussian, truth, observed)
    sampler = DDNM(problem.prior, 8)
    calls = check_law(sampler, problem, *exact_law(problem, 8))
    assert calls == Calls(9)


@pytest.mark.parametrize("sigma_y", [1e-3, 0.05])
def test_bias_against_the_true_posterior_is_known(gaussian, truth, observed, sigma_y):
    problem = make_problem("mask", gaussian, truth, observed, sigma_y)
    shift, width = problem.ratio_to_posterior(*exact_law(problem, 100))
    assert shift == pytest.approx(0.13, abs=0.01)
    assert width == pytest.approx(1.01, abs=0.01)


def test_an_exact_measurement_replaces_the_range_space(gaussian, truth, observed):
    y = torch.where(observed, truth, 0.0)[None]
    draws = DDNM(gaussian, 10)(GaussianLikelihood(Mask(observed), y, 1e-6), 2, torch.Generator().manual_seed(0))
    samples = draws.samples
    torch.testing.assert_close(samples[..., observed], y[..., observed].expand(2, 1, -1), rtol=0, atol=1e-5)


def test_time_travel_repeats_steps(gaussian, truth, observed):
    y = torch.where(observed, truth, 0.0)[None]
    sampler = DDNM(gaussian, 10, n_travels=3, travel_length=4)
    draws = sampler(GaussianLikelihood(Mask(observed), y, 0.01), 2, torch.Generator().manual_seed(0))
    assert draws.samples.isfinite().all()
    assert draws.calls.network == 31


def test_settings_are_checked(gaussian):
    with pytest.raises(ValueError, match="n_steps"):
        DDNM(gaussian, 0)
