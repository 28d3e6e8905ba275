"""PiGDM against its own exact law on a linear-Gaussian problem, and its bias against the posterior."""

import pytest
import torch

from reconstruction.samplers.base import Calls, Chain
from reconstruction.samplers.pigdm import GuidedDenoiser, PiGDM
from tests.gaussian import GaussianDenoiser
from tests.reconstruction.samplers.affine import PROBLEMS, Law, Problem, check_law, make_problem

SIGMA_DATA = 0.3


def guided(law, t):
    """Slope and offset of the guided denoiser."""
    slope, offset = law.denoiser(t)
    alpha, sigma = law.schedule(t)
    ratio = sigma / alpha
    spread = ratio * SIGMA_DATA / (ratio**2 + SIGMA_DATA**2) ** 0.5
    step = sigma**2 / alpha * slope.T @ law.problem.gain(spread) / spread**2
    rest = law.problem.identity - step @ law.problem.operator
    return rest @ slope, rest @ offset + step @ law.problem.y


def exact_law(problem, n_steps):
    law = Law(problem, n_steps - 1)
    for t, s in zip(law.times[:-1], law.times[1:], strict=True):
        slope, offset = guided(law, t)
        clean, old, std = law.bridge(t, s)
        law.apply(clean * slope + old * problem.identity, clean * offset, std**2 * problem.identity)
    law.apply(*guided(law, law.times[-1]), 0.0)
    return law.mean, law.covariance


def independent(problem):
    """The same problem with a prior of independent samples."""
    covariance = SIGMA_DATA**2 * problem.identity
    return Problem(GaussianDenoiser(problem.prior.mean, covariance, problem.prior.schedule), problem.likelihood)


@pytest.mark.parametrize("name", PROBLEMS)
def test_samples_follow_the_exact_law_of_the_algorithm(gaussian, truth, observed, name):
    problem = make_problem(name, gaussian, truth, observed)
    sampler = PiGDM(problem.prior, 10, eta=1.0, order=1, sigma_data=SIGMA_DATA)
    calls = check_law(sampler, problem, *exact_law(problem, 10))
    assert calls == Calls(10, 10)


@pytest.mark.parametrize("name", PROBLEMS)
def test_guidance_is_exact_where_samples_are_independent(gaussian, truth, observed, name):
    problem = independent(make_problem(name, gaussian, truth, observed))
    t = torch.tensor(0.5, dtype=torch.float64)
    (alpha, sigma), m = problem.prior.schedule(t), problem.prior.mean.flatten()
    x_t = torch.randn(4, 1, 3, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    # The law of x given x_t is a prior as good as any.
    precision = SIGMA_DATA**-2 + (alpha / sigma) ** 2
    means = (m * SIGMA_DATA**-2 + alpha / sigma**2 * x_t.flatten(1)) / precision
    gain = problem.gain(precision**-0.5)
    expected = means + (problem.y - means @ problem.operator.T) @ gain.T
    sampler = PiGDM(problem.prior, 2, sigma_data=SIGMA_DATA)
    chain = Chain(sampler, problem.prior.given(), 2, problem.likelihood, 4, torch.Generator())
    found = GuidedDenoiser(chain, SIGMA_DATA)(x_t, t)
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", PROBLEMS)
def test_many_steps_give_the_posterior_where_samples_are_independent(gaussian, truth, observed, name):
    problem = independent(make_problem(name, gaussian, truth, observed))
    mean, covariance = exact_law(problem, 500)
    true_mean, true_covariance = problem.posterior()
    std = true_covariance.diagonal().sqrt()
    assert ((mean - true_mean) / std).abs().max() < 0.02
    # First order in the step; the uniform grid of the VP schedule is coarse where the noise is low.
    assert (covariance.diagonal().sqrt() / std - 1).abs().max() < 0.15


@pytest.mark.parametrize(("n_steps", "shift", "width"), [(30, 0.110, 0.886), (1000, 0.106, 0.997)])
def test_bias_against_the_true_posterior_is_known(gaussian, truth, observed, n_steps, shift, width):
    problem = make_problem("mask", gaussian, truth, observed)
    # In standard deviations of the posterior; the second is what remains however many the steps.
    found = problem.ratio_to_posterior(*exact_law(problem, n_steps))
    assert found == pytest.approx((shift, width), abs=0.01)


def test_settings_are_checked(gaussian):
    with pytest.raises(ValueError, match="sigma_data"):
        PiGDM(gaussian, sigma_data=0.0)
    with pytest.raises(ValueError, match="n_steps"):
        PiGDM(gaussian, 1)
