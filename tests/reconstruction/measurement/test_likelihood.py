"""The Gaussian algebra of the likelihood against dense matrices, for all kinds of noise and measurements."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import SpectralNoise, WhiteNoise
from reconstruction.measurement.operators import Compose, LeadSelection, Mask, MeasuredLeads, Resampling

N_RECORDS, N_LEADS, LENGTH = 2, 8, 20
LEADS = ["I", "II", "aVF"]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mask(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) < 0.6


def falling(*shape):
    """Spectra over three orders of magnitude, different for each lead."""
    return (0.5 + draw(*shape, seed=2).square()) * torch.logspace(-1, -4, shape[-1], dtype=torch.float64)


GAP = torch.ones(3, LENGTH, dtype=torch.bool)
GAP[1] = False
OPERATORS = {
    "leads": LeadSelection(LEADS),
    "derived lead": LeadSelection(["aVF"]),
    "a lead without samples": MeasuredLeads(GAP, LEADS),
    "gaps": MeasuredLeads(mask(3, LENGTH), LEADS),
    "gaps of each record": MeasuredLeads(mask(N_RECORDS, 3, LENGTH), LEADS),
    "half the rate": Compose(Resampling(1, 2, LENGTH), LeadSelection(LEADS)),
    "gaps at half the rate": Compose(Mask(mask(3, LENGTH // 2)), Resampling(1, 2, LENGTH), LeadSelection(LEADS)),
}
NOISES = {
    "white": lambda m, _: WhiteNoise(0.1),
    "white of each lead": lambda m, _: WhiteNoise(torch.linspace(0.05, 0.3, m)),
    "white of each record": lambda m, _: WhiteNoise(torch.linspace(0.05, 0.3, N_RECORDS * m).reshape(N_RECORDS, m)),
    "spectrum": lambda m, length: SpectralNoise(falling(m, length)),
    "spectrum of each record": lambda m, length: SpectralNoise(falling(N_RECORDS, m, length)),
}


class Dense:
    """A record's likelihood as matrices over the samples that were measured."""

    def __init__(self, likelihood, record):
        def rows(function, shape):
            basis = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, 1, *shape)
            return function(basis.expand(-1, N_RECORDS, *shape))[:, record].flatten(1).T

        shape = likelihood.y.shape[1:]
        self.keep = likelihood.observed[record].flatten()
        self.operator = rows(likelihood.operator, (N_LEADS, LENGTH))[self.keep]
        self.noise = rows(likelihood.noise.covariance, shape)[self.keep][:, self.keep]
        self.y = likelihood.y[record].flatten()[self.keep]

    def total(self, prior_std):
        return prior_std**2 * self.operator @ self.operator.T + self.noise


@pytest.fixture(params=OPERATORS)
def operator(request):
    return OPERATORS[request.param]


@pytest.fixture(params=NOISES)
def likelihood(request, operator):
    y = operator(draw(N_RECORDS, N_LEADS, LENGTH))
    return GaussianLikelihood(operator, y + 0.1 * draw(*y.shape, seed=3), NOISES[request.param](*y.shape[-2:]))


def test_log_prob_and_its_gradient(likelihood):
    x = draw(3, N_RECORDS, N_LEADS, LENGTH, seed=4).requires_grad_(True)
    log_prob = likelihood.log_prob(x)
    assert log_prob.shape == (3, N_RECORDS)
    (gradient,) = torch.autograd.grad(log_prob.sum(), x)
    for record in range(N_RECORDS):
        dense, flat = Dense(likelihood, record), x.detach()[:, record].flatten(1)
        mean = flat @ dense.operator.T
        expected = MultivariateNormal(mean, dense.noise).log_prob(dense.y)
        torch.testing.assert_close(log_prob[:, record].detach(), expected, rtol=1e-6, atol=1e-6)
        slope = torch.linalg.solve(dense.noise, (dense.y - mean).T).T @ dense.operator
        torch.testing.assert_close(gradient[:, record].flatten(1), slope, rtol=1e-5, atol=1e-5 * float(slope.max()))


@pytest.mark.parametrize("prior_std", [0.0, 0.02, 5.0])
def test_solve(likelihood, prior_std):
    v = torch.where(likelihood.observed, draw(3, *likelihood.y.shape, seed=4), 0.0)
    solved = likelihood.solve(v, prior_std)
    for record in range(N_RECORDS):
        dense = Dense(likelihood, record)
        found = solved[:, record].flatten(1)
        assert not found[:, ~dense.keep].any()
        expected = torch.linalg.solve(dense.total(prior_std), v[:, record].flatten(1)[:, dense.keep].T).T
        size = float(expected.abs().max())
        torch.testing.assert_close(found[:, dense.keep], expected, rtol=1e-5, atol=1e-6 * size)


@pytest.mark.parametrize("prior_std", [0.02, 5.0])
def test_posterior_mean(likelihood, prior_std):
    mean = draw(3, N_RECORDS, N_LEADS, LENGTH, seed=4)
    found = likelihood.posterior_mean(mean, prior_std)
    assert found.shape == mean.shape
    for record in range(N_RECORDS):
        dense, m = Dense(likelihood, record), mean[:, record].flatten(1)
        misfit = (dense.y - m @ dense.operator.T).T
        expected = m + prior_std**2 * (dense.operator.T @ torch.linalg.solve(dense.total(prior_std), misfit)).T
        torch.testing.assert_close(found[:, record].flatten(1), expected, rtol=1e-6, atol=1e-6)


def test_posterior_sample_has_the_mean_and_the_covariance_of_the_posterior(likelihood):
    # The sample is an affine map of its normal numbers, so its law is known without drawing.
    prior_std, n_x, n_y = 0.5, N_LEADS * LENGTH, likelihood.y[0].numel()
    mean = draw(N_RECORDS, N_LEADS, LENGTH, seed=4)
    units = torch.cat([torch.zeros(1, n_x + n_y), torch.eye(n_x + n_y)]).double()[:, None].expand(-1, N_RECORDS, -1)
    z_x = units[..., :n_x].reshape(-1, N_RECORDS, N_LEADS, LENGTH)
    z_y = units[..., n_x:].reshape(-1, *likelihood.y.shape)
    samples = likelihood.posterior_sample(mean.expand(z_x.shape), prior_std, z_x, z_y)
    torch.testing.assert_close(samples[0], likelihood.posterior_mean(mean, prior_std), rtol=1e-6, atol=1e-6)
    slopes = (samples[1:] - samples[0]).flatten(2)
    for record in range(N_RECORDS):
        dense = Dense(likelihood, record)
        gain = prior_std**2 * torch.linalg.solve(dense.total(prior_std), dense.operator).T
        covariance = prior_std**2 * (torch.eye(n_x, dtype=torch.float64) - gain @ dense.operator)
        torch.testing.assert_close(slopes[:, record].T @ slopes[:, record], covariance, rtol=1e-5, atol=1e-6)


def test_the_noise_level_is_the_root_mean_square_over_leads(likelihood):
    power = likelihood.noise.rms(likelihood.y).square().mean(dim=-1)
    assert likelihood.sigma_y.shape == ((N_RECORDS, 1, 1) if power.ndim else ())
    torch.testing.assert_close(likelihood.sigma_y.flatten(), power.sqrt().flatten())


def test_batch_mates_change_nothing(operator):
    if operator.observed is not None and operator.observed.ndim == 3:
        pytest.skip("its mask is one for each record")
    y, mean = operator(draw(N_RECORDS, N_LEADS, LENGTH)), draw(N_RECORDS, N_LEADS, LENGTH, seed=4)
    for make in (NOISES["white"], NOISES["spectrum"]):
        noise = make(*y.shape[-2:])
        together = GaussianLikelihood(operator, torch.cat([y[:1], 1e3 * y[1:]]), noise).posterior_mean(mean, 0.3)
        alone = GaussianLikelihood(operator, y[:1], noise).posterior_mean(mean[:1], 0.3)
        torch.testing.assert_close(together[:1], alone, rtol=1e-9, atol=1e-9)


def test_float32_stays_float32(likelihood):
    single = GaussianLikelihood(likelihood.operator, likelihood.y.float(), likelihood.noise)
    x, z_y = draw(N_RECORDS, N_LEADS, LENGTH).float(), draw(*likelihood.y.shape).float()
    found = (single.residual(x), single.log_prob(x), single.posterior_sample(x, 0.3, x, z_y))
    assert {result.dtype for result in found} == {torch.float32}


def test_what_was_not_measured_is_not_read():
    observed = torch.tensor([[True, False, False]])
    y = torch.tensor([[[0.5, math.nan, 7.0]]])
    likelihood = GaussianLikelihood(Mask(observed), y, 0.1)
    x = torch.tensor([[[0.4, 1.0, 2.0]]])
    expected = torch.distributions.Normal(0.4, 0.1).log_prob(torch.tensor(0.5))
    torch.testing.assert_close(likelihood.log_prob(x), expected[None])
    torch.testing.assert_close(likelihood.residual(x), torch.tensor([[[0.1, 0.0, 0.0]]]))


def test_sigma_must_be_positive():
    with pytest.raises(ValueError, match="sigma_y"):
        GaussianLikelihood(LeadSelection(["I"]), torch.zeros(1, 1, 5), 0.0)
