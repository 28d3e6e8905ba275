"""DPS on a linear-Gaussian problem: its steps in closed form, and its bias against the posterior."""

import pytest
import torch

from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.samplers.base import Calls
from reconstruction.samplers.dps import DPS
from tests.reconstruction.samplers.affine import PROBLEMS, Law, make_problem

SIGMA_DATA = 0.3


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_step_is_the_one_of_the_paper(gaussian, truth, observed, name):
    problem = make_problem(name, gaussian, truth, observed)
    law, sampler = Law(problem, 4), DPS(problem.prior, 4, 0.05, SIGMA_DATA)
    t, s = torch.tensor([0.6, 0.4], dtype=torch.float64)
    x_t = torch.randn(5, 1, 3, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    generator = torch.Generator().manual_seed(4)
    found = sampler.step(sampler.begin(problem.likelihood, 5, generator), x_t, t, s)
    z = torch.randn(5, 24, generator=torch.Generator().manual_seed(4), dtype=torch.float64)

    slope, offset = law.denoiser(t)
    clean, old, std = law.bridge(t, s)
    estimate = x_t.flatten(1) @ slope.T + offset
    misfit = problem.y - estimate @ problem.operator.T
    weighted = misfit @ torch.linalg.inv(problem.noise)
    smallest = problem.likelihood.noise.variances(problem.likelihood.y).min().sqrt()
    norm = (misfit * weighted).sum(dim=1, keepdim=True).sqrt()
    gradient = -smallest * (weighted / norm) @ problem.operator @ slope
    # Between the paper's states of unit data and those of the schedule.
    (alpha_t, sigma_t), (alpha_s, sigma_s) = law.schedule(t), law.schedule(s)
    to_paper_t, to_paper_s = (
        (alpha**2 + (sigma / SIGMA_DATA) ** 2) ** -0.5 for alpha, sigma in ((alpha_t, sigma_t), (alpha_s, sigma_s))
    )
    step = 0.05 * len(problem.y) ** 0.5 * gradient / to_paper_t / to_paper_s
    expected = clean * estimate + old * x_t.flatten(1) + std * z - step
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-6, atol=1e-8)


def run(problem, n_steps, step_size, n_samples=400):
    sampler = DPS(problem.prior, n_steps, step_size, SIGMA_DATA)
    draws = sampler(problem.likelihood, n_samples, torch.Generator().manual_seed(1))
    samples = draws.samples[:, 0].flatten(1)
    assert draws.calls == Calls(n_steps + 1, n_steps)
    return samples


@pytest.mark.parametrize("name", ["mask", "mask, VP"])
def test_bias_against_the_true_posterior_is_known(gaussian, truth, observed, name):
    problem = make_problem(name, gaussian, truth, observed, sigma_y=0.02)
    samples = run(problem, 100, 0.05)
    shift, width = problem.ratio_to_posterior(samples.mean(0), samples.T.cov())
    # Measured: 0.08 and 0.12 posterior standard deviations, and spreads of 0.94 and 0.91 of the true ones.
    assert shift < 0.12 + 3 * len(samples) ** -0.5
    assert 0.8 < width < 1.05


def test_the_noise_level_does_not_enter_but_the_step_size_does(gaussian, truth, observed):
    low, high = (make_problem("mask", gaussian, truth, observed, sigma_y=level) for level in (0.02, 0.2))
    high.likelihood = GaussianLikelihood(low.likelihood.operator, low.likelihood.y, 0.2)
    samples = run(low, 20, 0.05, 50)
    torch.testing.assert_close(samples, run(high, 20, 0.05, 50))
    # The samples keep off the measurement by about half a step (measured: 0.027 and 0.255 mV), not by the noise.
    for step_size, x in ((0.05, samples), (0.5, run(low, 20, 0.5, 50))):
        misfit = (x @ low.operator.T - low.y).square().mean().sqrt()
        assert 0.4 * step_size < misfit < 0.7 * step_size


def test_tiny_steps_give_the_prior(gaussian, truth, observed):
    n_samples = 600
    samples = run(make_problem("mask", gaussian, truth, observed), 150, 1e-9, n_samples)
    variance = gaussian.covariance.diagonal()
    z = (samples.mean(0) - gaussian.mean.flatten()) / (variance / n_samples).sqrt()
    assert z.abs().max() < 4.5
    # The ancestral sampler's own loss of spread, and chance.
    assert (samples.var(0) / variance).mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("wrong", [{"n_steps": 0}, {"step_size": 0.0}, {"sigma_data": -1.0}])
def test_settings_are_checked(gaussian, wrong):
    with pytest.raises(ValueError, match="step_size|n_steps >= 1"):
        DPS(gaussian, **wrong)
