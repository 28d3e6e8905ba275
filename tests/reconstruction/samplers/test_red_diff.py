"""RED-diff on a linear-Gaussian problem: the mode it seeks in closed form, and a spread that is too narrow."""

import pytest
import torch

from diffusion_prior.model.schedule import EDMSchedule
from reconstruction.samplers.base import Calls
from reconstruction.samplers.red_diff import REDDiff
from tests.gaussian import GaussianDenoiser
from tests.reconstruction.samplers.affine import PROBLEMS, Problem, make_problem


def run(sampler, problem, n_samples):
    draws = sampler(problem.likelihood, n_samples, torch.Generator().manual_seed(1))
    return draws.samples[:, 0].flatten(1), draws.calls


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name != "mask, VP"])
def test_at_one_noise_level_it_comes_to_the_mode_of_its_loss(gaussian, truth, observed, name):
    problem = make_problem(name, gaussian, truth, observed)
    sigma, weight = 0.3, 0.5
    prior = GaussianDenoiser(gaussian.mean, gaussian.covariance, EDMSchedule(sigma, sigma * (1 + 1e-6)))
    sampler = REDDiff(prior, 500, learning_rate=3e-3, weight=weight)
    found, calls = run(sampler, Problem(prior, problem.likelihood), 16)
    # mu - E[D] = sigma^2 (C + sigma^2 I)^-1 (mu - m).
    smallest = problem.likelihood.noise.variances(problem.likelihood.y).min()
    pull = weight * sigma**2 * torch.linalg.inv(prior.covariance + sigma**2 * problem.identity)
    weighted = smallest * problem.operator.T @ torch.linalg.inv(problem.noise)
    mode = torch.linalg.solve(pull + weighted @ problem.operator, pull @ prior.mean.flatten() + weighted @ problem.y)
    # In mV, of a prior of 0.3: what 500 steps leave of the start, and the noise of their gradients (measured: 0.024).
    assert (found.mean(0) - mode).abs().max() < 0.04
    assert calls == Calls(500)


@pytest.mark.parametrize(
    ("n_steps", "learning_rate", "width"), [(400, 0.005, 0.15), (400, 0.02, 0.34), (150, 0.2, 1.25)]
)
def test_the_mean_is_right_and_the_spread_that_of_adam(gaussian, truth, observed, n_steps, learning_rate, width):
    problem = make_problem("mask", gaussian, truth, observed, sigma_y=0.02)
    samples, _ = run(REDDiff(problem.prior, n_steps, learning_rate), problem, 200)
    found = problem.ratio_to_posterior(samples.mean(0), samples.T.cov())
    # A mode seeker: at the mean of a Gaussian posterior (measured: 0.08 to 0.12 of its standard deviations), and the
    # samples fall together as the learning rate falls.
    assert found[0] < 0.17
    assert found[1] == pytest.approx(width, abs=0.06)


@pytest.mark.parametrize("wrong", [{"n_steps": 0}, {"weight": 0.0}, {"learning_rate": -1.0}, {"sigma_data": 0.0}])
def test_settings_are_checked(gaussian, wrong):
    with pytest.raises(ValueError, match="learning_rate|n_steps >= 1"):
        REDDiff(gaussian, **wrong)
