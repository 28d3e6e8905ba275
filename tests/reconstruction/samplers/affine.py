"""Exact laws of samplers on a linear-Gaussian problem: each of their steps is an affine map with Gaussian noise."""

from dataclasses import dataclass

import torch

from diffusion_prior.model.bridge import Bridge, transition
from diffusion_prior.model.schedule import EDMSchedule, VPSchedule
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import SpectralNoise
from reconstruction.measurement.operators import LeadSelection, Mask, MeasuredLeads, Resampling
from tests.gaussian import GaussianDenoiser

LEADS = ("I", "II", "V1")
"""Names for the three leads of the Gaussian prior."""
PROBLEMS = ("mask", "mask, VP", "derived lead, coloured noise", "gap, coloured noise", "half the rate")


def matrix_of(function, shape):
    basis = torch.eye(shape.numel(), dtype=torch.float64).reshape(-1, *shape)
    return function(basis).flatten(1).T


@dataclass
class Problem:
    """A prior and a measurement, as objects of the library and as matrices over the measured samples."""

    prior: GaussianDenoiser
    likelihood: GaussianLikelihood

    def __post_init__(self):
        shape, keep = self.likelihood.y.shape[1:], self.likelihood.observed[0].flatten()
        self.n = self.prior.mean.numel()
        self.identity = torch.eye(self.n, dtype=torch.float64)
        self.operator = matrix_of(self.likelihood.operator, self.prior.mean.shape)[keep]
        self.noise = matrix_of(self.likelihood.noise.covariance, shape)[keep][:, keep]
        self.y = self.likelihood.y.flatten()[keep]

    def gain(self, r):
        """K of the update of N(., r^2 I) by the measurement."""
        total = r**2 * self.operator @ self.operator.T + self.noise
        return r**2 * self.operator.T @ torch.linalg.inv(total)

    def posterior(self):
        """Mean and covariance of the true posterior."""
        m, c, a = self.prior.mean.flatten(), self.prior.covariance, self.operator
        gain = c @ a.T @ torch.linalg.inv(a @ c @ a.T + self.noise)
        return m + gain @ (self.y - a @ m), c - gain @ a @ c

    def ratio_to_posterior(self, mean, covariance):
        """Root mean square shift in posterior standard deviations, and mean ratio of these, of what was not measured.

        Components that the measurement leaves wide: those of more than half their prior standard deviation.
        """
        true_mean, true_covariance = self.posterior()
        std = true_covariance.diagonal().sqrt()
        wide = std > 0.5 * self.prior.covariance.diagonal().sqrt()
        shift = ((mean - true_mean) / std)[wide].square().mean().sqrt()
        return float(shift), float((covariance.diagonal().sqrt() / std)[wide].mean())


class Law:
    """Mean and covariance of a sampler's state, step by step."""

    def __init__(self, problem, n_steps):
        self.problem, self.schedule = problem, problem.prior.schedule
        self.times = self.schedule.grid(n_steps, problem.y)
        self.mean = torch.zeros(problem.n, dtype=torch.float64)
        self.covariance = self.schedule(self.times[0])[1] ** 2 * problem.identity

    def denoiser(self, t):
        """Slope and offset of the denoiser."""
        prior, (alpha, sigma) = self.problem.prior, self.schedule(t)
        total = alpha**2 * prior.covariance + sigma**2 * self.problem.identity
        slope = alpha * prior.covariance @ torch.linalg.inv(total)
        return slope, prior.mean.flatten() - alpha * slope @ prior.mean.flatten()

    def apply(self, slope, offset, noise):
        """Goes on to `slope x + offset` plus noise of covariance `noise`."""
        self.mean = slope @ self.mean + offset
        self.covariance = slope @ self.covariance @ slope.T + noise

    def bridge(self, t, s):
        """Of the ancestral step: weight of the clean signal, of the state, and standard deviation."""
        bridge = Bridge(self.schedule, None, s, t)
        return bridge.a * (1 - bridge.gain * bridge.b), bridge.gain, bridge.std

    def forward(self, s, t):
        """Scale and variance of the forward step from s to t."""
        return transition(self.schedule, s, t)

    def renoise(self, s, t):
        scale, variance = self.forward(s, t)
        self.apply(scale * self.problem.identity, 0.0, variance * self.problem.identity)

    def end(self):
        """The last estimate, corrected by the measurement as if as uncertain as the noise level."""
        (slope, offset), (alpha, sigma) = self.denoiser(self.times[-1]), self.schedule(self.times[-1])
        gain = self.problem.gain(sigma / alpha)
        rest = self.problem.identity - gain @ self.problem.operator
        self.apply(rest @ slope, rest @ offset + gain @ self.problem.y, 0.0)
        return self.mean, self.covariance


def make_problem(name, gaussian, truth, observed, sigma_y=0.05):
    """Builds one of PROBLEMS from the fixtures of conftest.py."""
    schedule = VPSchedule() if name.endswith("VP") else EDMSchedule(0.01, 10.0)
    prior = GaussianDenoiser(gaussian.mean, gaussian.covariance, schedule)
    length = truth.shape[-1]
    falling = sigma_y**2 * torch.linspace(4, 0.25, length, dtype=torch.float64).square()
    operator, noise = {
        "mask": (Mask(observed), sigma_y),
        "mask, VP": (Mask(observed), sigma_y),
        "derived lead, coloured noise": (LeadSelection(["aVF"], LEADS), SpectralNoise(falling[None])),
        "gap, coloured noise": (MeasuredLeads(observed[:2], LEADS[:2], LEADS), SpectralNoise(falling.expand(2, -1))),
        "half the rate": (Resampling(1, 2, length), sigma_y),
    }[name]
    y = operator(truth[None])
    likelihood = GaussianLikelihood(operator, y, noise)
    z = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return Problem(prior, GaussianLikelihood(operator, y + likelihood.noise.colour(z), noise))


def check_law(sampler, problem, mean, covariance, n_samples=600):
    """Compares samples with the exact law, in standard errors; returns the calls."""
    draws = sampler(problem.likelihood, n_samples, torch.Generator().manual_seed(1))
    samples = draws.samples[:, 0].flatten(1)
    variance = covariance.diagonal()
    z = (samples.mean(0) - mean) / (variance / n_samples).sqrt()
    assert z.abs().max() < 4.5
    root = torch.linalg.cholesky(covariance + 1e-12 * problem.identity)
    whitened = torch.linalg.solve_triangular(root, (samples - mean).T, upper=False)
    # In standard errors of a variance of so many Gaussian samples.
    assert (whitened.var(1) - 1).abs().max() < 4.5 * (2 / n_samples) ** 0.5
    return draws.calls
