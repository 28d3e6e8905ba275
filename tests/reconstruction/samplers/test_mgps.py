"""MGPS against two exact references on a linear-Gaussian problem.

The method has a bias by construction, so there are two: its own law, in which every step is an affine map (the fit of
the Gaussian at the midpoint has a closed form), and the true posterior, from which that law differs by a pinned amount.
"""

import pytest
import torch

from diffusion_prior.model.schedule import EDMSchedule, VPSchedule
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.operators import Mask
from reconstruction.samplers.base import Calls
from reconstruction.samplers.mgps import MGPS, GradientSchedule
from tests.gaussian import GaussianDenoiser

LAW_SIGMA_Y = 0.05
SIGMA_Y = 0.01


def matrix_of(operator, shape):
    basis = torch.eye(shape.numel(), dtype=torch.float64).reshape(-1, *shape)
    return operator(basis).flatten(1).T


def between(schedule, s, t):
    """Scale and variance of the forward step from s to t."""
    (a_s, s_s), (a_t, s_t) = schedule(s), schedule(t)
    return a_t / a_s, s_t**2 - (a_t / a_s) ** 2 * s_s**2


def product(scale_from, var_from, scale_to, var_to, start, end):
    """Mean weights (of start, of end) and variance of the middle of start -> middle -> end, by Bayes' rule."""
    precision = 1 / var_from + scale_to**2 / var_to
    return scale_from / var_from / precision, scale_to / var_to / precision, 1 / precision


def exact_law(prior, operator, y, sigma_y, n_steps, midpoint=0.5):
    """Mean and covariance of MGPS's samples when each fit has converged."""
    schedule, n = prior.schedule, prior.mean.numel()
    identity, a_matrix = torch.eye(n, dtype=torch.float64), matrix_of(operator, prior.mean.shape)
    m, covariance, y = prior.mean.flatten(), prior.covariance, y.flatten()

    def denoiser(t):
        alpha, sigma = schedule(t)
        gain = alpha * covariance @ torch.linalg.inv(alpha**2 * covariance + sigma**2 * identity)
        return gain, m - alpha * gain @ m

    times = schedule.grid(n_steps, y)
    law_mean, law_cov = torch.zeros(n, dtype=torch.float64), schedule(times[0])[1] ** 2 * identity
    for t, s in zip(times[:-1], times[1:], strict=True):
        middle = torch.minimum(midpoint * t, s)
        alpha, sigma = schedule(middle)
        w_start, w_end, v = product(alpha, sigma**2, *between(schedule, middle, t), None, None)
        (gain_t, offset_t), (gain_l, offset_l) = denoiser(t), denoiser(middle)
        jacobian = a_matrix @ gain_l
        hessian = identity / v + jacobian.T @ jacobian / sigma_y**2
        inverse = torch.linalg.inv(hessian)
        slope = inverse @ (w_start * gain_t + w_end * identity) / v
        offset = inverse @ (w_start * offset_t / v + jacobian.T @ (y - a_matrix @ offset_l) / sigma_y**2)
        noise = torch.diag(1 / hessian.diagonal())
        if schedule(middle)[1] < schedule(s)[1]:
            u_start, u_end, u = product(*between(schedule, middle, s), *between(schedule, s, t), None, None)
            slope, offset = u_start * slope + u_end * identity, u_start * offset
            noise = u_start**2 * noise + u * identity
        law_mean, law_cov = slope @ law_mean + offset, slope @ law_cov @ slope.T + noise
    gain, offset = denoiser(times[-1])
    return gain @ law_mean + offset, gain @ law_cov @ gain.T


def measure(truth, operator, sigma_y=SIGMA_Y):
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y = operator(truth)
    return (y + sigma_y * noise[: y.shape[0]])[None]


@pytest.mark.parametrize("schedule", [EDMSchedule(0.01, 10.0), VPSchedule()], ids=["EDM", "VP"])
def test_samples_follow_the_exact_law_of_the_algorithm(gaussian, truth, observed, schedule):
    prior = GaussianDenoiser(gaussian.mean, gaussian.covariance, schedule)
    operator, n_samples, n_steps = Mask(observed), 600, 8
    y = torch.where(observed, measure(truth, operator, LAW_SIGMA_Y), 0.0)
    mean, covariance = exact_law(prior, operator, y, LAW_SIGMA_Y, n_steps)
    sampler = MGPS(prior, n_steps, GradientSchedule(120, 120, 0, 0.05))
    draws = sampler(GaussianLikelihood(operator, y, LAW_SIGMA_Y), n_samples, torch.Generator().manual_seed(1))
    samples = draws.samples[:, 0].flatten(1)
    variance = covariance.diagonal()
    z = (samples.mean(0) - mean) / (variance / n_samples).sqrt()
    assert z.abs().max() < 4.5
    ratio = samples.var(0) / variance
    # In standard errors of a variance of 600 Gaussian samples.
    assert (ratio - 1).abs().max() < 4.5 * (2 / n_samples) ** 0.5
    assert draws.calls == Calls(121 * n_steps + 1, 120 * n_steps)


def test_bias_against_the_true_posterior_is_known(gaussian, truth, observed):
    y = torch.where(observed, measure(truth, Mask(observed)), 0.0)
    selected = torch.eye(observed.numel(), dtype=torch.float64)[observed.flatten()]
    mean, covariance = gaussian.posterior(selected, y.flatten()[observed.flatten()], SIGMA_Y)
    law_mean, law_cov = exact_law(gaussian, Mask(observed), y, SIGMA_Y, 64)
    std, missing = covariance.diagonal().sqrt(), ~observed.flatten()
    shift = ((law_mean - mean.flatten()) / std)[missing]
    assert shift.square().mean().sqrt() < 0.12
    widths = (law_cov.diagonal().sqrt() / std)[missing]
    assert 0.9 < widths.square().mean().sqrt() < 1.2


def test_default_settings_come_near_the_true_posterior(gaussian, truth, observed):
    n_samples = 400
    y = torch.where(observed, measure(truth, Mask(observed)), 0.0)
    selected = torch.eye(observed.numel(), dtype=torch.float64)[observed.flatten()]
    mean, covariance = gaussian.posterior(selected, y.flatten()[observed.flatten()], SIGMA_Y)
    likelihood = GaussianLikelihood(Mask(observed), y, SIGMA_Y)
    samples = MGPS(gaussian)(likelihood, n_samples, torch.Generator().manual_seed(1)).samples[:, 0].flatten(1)
    std, missing = covariance.diagonal().sqrt(), ~observed.flatten()
    standard_error = n_samples**-0.5
    shift = ((samples.mean(0) - mean.flatten()) / std)[missing]
    # Bias in posterior standard deviations, by construction and by few gradient steps (measured: 0.17), and chance.
    assert shift.square().mean().sqrt() < 0.15 + 3 * standard_error
    assert 0.9 < (samples.var(0) / std.square())[missing].mean().sqrt() < 1.3
    misfit = (samples.mean(0) - y.flatten())[observed.flatten()]
    assert misfit.square().mean().sqrt() < SIGMA_Y


def test_without_information_the_samples_are_the_prior(gaussian):
    n_samples = 600
    likelihood = GaussianLikelihood(Mask(torch.ones(3, 8)), torch.zeros(1, 3, 8, dtype=torch.float64), 1e4)
    sampler = MGPS(gaussian, 150, GradientSchedule(1, 1, 0))
    samples = sampler(likelihood, n_samples, torch.Generator().manual_seed(1)).samples[:, 0].flatten(1)
    variance = gaussian.covariance.diagonal()
    z = (samples.mean(0) - gaussian.mean.flatten()) / (variance / n_samples).sqrt()
    assert z.abs().max() < 4.5
    assert (samples.var(0) / variance).mean() == pytest.approx(1, abs=0.1)


def test_settings_are_checked(gaussian):
    with pytest.raises(ValueError, match="midpoint"):
        MGPS(gaussian, midpoint=1.0)
    with pytest.raises(ValueError, match="n_steps"):
        MGPS(gaussian, 0)
