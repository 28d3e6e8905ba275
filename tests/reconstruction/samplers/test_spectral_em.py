"""Spectral EM on a Gaussian prior, with an inner sampler that draws from the exact posterior."""

import pytest
import torch

from diffusion_prior.model.schedule import EDMSchedule
from einthoven.randomness import randn, record_generators
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import SpectralNoise, WhiteNoise, cosine_basis
from reconstruction.measurement.operators import Mask
from reconstruction.samplers.base import Calls, Draws, PosteriorSampler
from reconstruction.samplers.spectral_em import SpectralEM, draw_noise
from tests.gaussian import GaussianDenoiser

LEADS, LENGTH, RECORDS = 2, 48, 12


@pytest.fixture(scope="module")
def prior():
    time = torch.arange(LENGTH, dtype=torch.float64)
    along = torch.exp(-0.5 * ((time[:, None] - time) / 3) ** 2) + 1e-3 * torch.eye(LENGTH)
    between = torch.tensor([[1.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
    mean = torch.zeros(LEADS, LENGTH, dtype=torch.float64)
    return GaussianDenoiser(mean, 0.3**2 * torch.kron(between, along), EDMSchedule(0.01, 10.0))


@pytest.fixture(scope="module")
def spectrum():
    """Noise at all frequencies in the first lead, fast noise in the second."""
    k = torch.arange(LENGTH, dtype=torch.float64) / LENGTH
    return torch.stack([0.3**2 * torch.exp(-2 * k), 0.3**2 * k + 0.05**2])


class ExactPosterior(PosteriorSampler):
    """Draws from the posterior of a Gaussian prior by dense algebra."""

    def __init__(self, prior):
        super().__init__(prior)
        self.prior = prior

    def __call__(self, likelihood, n_samples, generator):
        mean, covariance = posterior(self.prior, likelihood)
        shape = (n_samples, *likelihood.y.shape)
        z = randn(shape, generator, torch.float64).flatten(2)
        factors = torch.linalg.cholesky(covariance)
        samples = (mean + (factors @ z.unsqueeze(-1)).squeeze(-1)).reshape(shape)
        return Draws(samples, samples.mean(dim=0), Calls(network=1))


def posterior(prior, likelihood):
    """Mean (B, n) and covariance (B, n, n) for a mask."""
    basis = cosine_basis(LENGTH)
    variances = likelihood.noise.variances(likelihood.y).expand(likelihood.y.shape)
    noises = [torch.block_diag(*((basis.T * row) @ basis for row in record)) for record in variances]
    means, covariances = [], []
    for y, keep, noise in zip(likelihood.y, likelihood.observed.flatten(1), noises, strict=True):
        cross = prior.covariance[:, keep]
        gain = cross @ torch.linalg.inv(cross[keep] + noise[keep][:, keep])
        means.append(gain @ y.flatten()[keep])
        covariances.append(prior.covariance - gain @ cross.T + 1e-12 * torch.eye(len(keep)))
    return torch.stack(means), torch.stack(covariances)


@pytest.fixture(scope="module")
def measured(prior, spectrum):
    generator = torch.Generator().manual_seed(3)
    factor = torch.linalg.cholesky(prior.covariance)
    x = (torch.randn(RECORDS, LEADS * LENGTH, generator=generator, dtype=torch.float64) @ factor.T).reshape(
        RECORDS, LEADS, LENGTH
    )
    noise = SpectralNoise(spectrum).colour(torch.randn(x.shape, generator=generator, dtype=torch.float64))
    return x, x + noise


def likelihood_of(y, noise, observed=None):
    observed = torch.ones(y.shape[-2:], dtype=torch.bool) if observed is None else observed
    return GaussianLikelihood(Mask(observed), y, noise)


def run(prior, likelihood, n_samples=20, **settings):
    exact = {"early": ExactPosterior, "final": ExactPosterior, "n_em_samples": 20, "spread": 1.0}
    sampler = SpectralEM(prior, **exact | settings)
    generator = record_generators(0, range(len(likelihood.y)), n_samples)
    return sampler(likelihood, n_samples, generator)


def test_em_finds_the_spectrum_and_the_posterior(prior, spectrum, measured):
    x, y = measured
    start = SpectralNoise(torch.full_like(spectrum, 0.5**2))
    blind, told = likelihood_of(y, start), likelihood_of(y, SpectralNoise(spectrum))
    draws = run(prior, blind, n_rounds=25, strength=1e-3, reach=3)
    samples, found = draws.samples, draws.noise.variances(y)
    assert found.shape == y.shape
    # The first coefficients hold the ECG. Of the others seven are known of each record: a chance of 0.5, mean over 12.
    ratio = (found / spectrum).log()[..., 12:]
    assert ratio.mean(dim=0).abs().mean() < 0.3
    assert ratio.std(dim=0).mean() < 0.8

    def error(mean):
        return (mean.reshape(x.shape) - x).square().mean().sqrt()

    exact, wrong, here = error(posterior(prior, told)[0]), error(posterior(prior, blind)[0]), error(samples.mean(dim=0))
    assert here < 1.4 * exact  # measured: 1.29
    assert here < 0.9 * wrong
    inside = (samples.mean(0) - x).abs() < 1.645 * samples.std(0)
    assert 0.8 < inside.double().mean() < 0.95


def test_updates_never_make_the_measurement_less_probable(prior, spectrum, measured):
    _, y = measured
    start = SpectralNoise(torch.full_like(spectrum, 0.5**2))
    evidences = []
    for n_rounds in (0, 1, 4):
        draws = run(prior, likelihood_of(y, start), n_rounds=n_rounds, strength=1e-3, reach=0)
        noise = draws.noise.variances(y)
        basis = cosine_basis(LENGTH)
        totals = [prior.covariance + torch.block_diag(*((basis.T * row) @ basis for row in rows)) for rows in noise]
        laws = [torch.distributions.MultivariateNormal(torch.zeros(len(c), dtype=c.dtype), c) for c in totals]
        evidences.append(sum(law.log_prob(row.flatten()) for law, row in zip(laws, y, strict=True)).item())
    assert evidences == sorted(evidences)


def test_a_strong_start_stays(prior, spectrum, measured):
    _, y = measured
    draws = run(prior, likelihood_of(y, SpectralNoise(spectrum)), n_rounds=2, strength=1e9)
    torch.testing.assert_close(draws.noise.spectrum, spectrum.expand(y.shape), rtol=1e-6, atol=0)
    assert draws.calls.network == 3


def test_a_record_does_not_depend_on_its_batch_mates(prior, measured):
    _, y = measured
    together = run(prior, likelihood_of(y[:2], 0.2), 3, n_rounds=2).samples
    settings = {"early": ExactPosterior, "final": ExactPosterior, "spread": 1.0}
    generator = [[row[1]] for row in record_generators(0, range(2), 3)]
    alone = SpectralEM(prior, n_rounds=2, n_em_samples=20, **settings)(likelihood_of(y[1:2], 0.2), 3, generator).samples
    torch.testing.assert_close(together[:, 1], alone[:, 0])


def test_the_usual_inner_samplers_serve(prior, spectrum, measured):
    _, y = measured
    samples = SpectralEM(prior, n_rounds=1)(
        likelihood_of(y, SpectralNoise(spectrum)), 2, torch.Generator().manual_seed(0)
    ).samples
    assert samples.shape == (2, *y.shape)
    assert samples.dtype == torch.float64


def test_spread_moves_the_samples_away_from_their_mean(prior, spectrum, measured):
    _, y = measured
    likelihood = likelihood_of(y, SpectralNoise(spectrum))
    narrow, wider = (run(prior, likelihood, 5, n_rounds=0, spread=spread) for spread in (1.0, 1.5))
    plain, wide = narrow.samples, wider.samples
    torch.testing.assert_close(wide.mean(0), plain.mean(0))
    torch.testing.assert_close(wide.std(0), 1.5 * plain.std(0))
    torch.testing.assert_close(wider.mean, plain.mean(0))


def test_noise_in_gaps_has_its_law(prior, spectrum, measured):
    x, y = measured
    observed = torch.ones(LEADS, LENGTH, dtype=torch.bool)
    observed[0, 10:25] = False
    noise = SpectralNoise(spectrum)
    likelihood = likelihood_of(y[:1], noise, observed)
    drawn = draw_noise(likelihood, x[:1].expand(4000, -1, -1, -1), torch.Generator().manual_seed(0))[:, 0]
    torch.testing.assert_close(drawn[:, observed], (y - x)[0, observed].expand(4000, -1), atol=1e-6, rtol=0)
    basis = cosine_basis(LENGTH)
    covariance = (basis.T * spectrum[0]) @ basis
    keep, gap = observed[0], ~observed[0]
    gain = covariance[gap][:, keep] @ torch.linalg.inv(covariance[keep][:, keep])
    mean = gain @ (y - x)[0, 0, keep]
    rest = covariance[gap][:, gap] - gain @ covariance[keep][:, gap]
    deviation = rest.diagonal().sqrt()
    in_gap = drawn[:, 0, gap]
    assert ((in_gap.mean(0) - mean) / deviation).abs().max() < 4.5 / 4000**0.5
    assert (in_gap.var(0) / deviation.square() - 1).abs().max() < 4.5 * (2 / 4000) ** 0.5


def test_settings_are_checked(prior):
    for wrong in ({"n_rounds": -1}, {"n_em_samples": 0}, {"strength": 0.0}, {"reach": -1}):
        with pytest.raises(ValueError, match="need n_rounds"):
            SpectralEM(prior, **wrong)


def test_white_noise_may_be_the_start(prior, measured):
    _, y = measured
    draws = run(prior, likelihood_of(y, WhiteNoise(0.2)), 2, n_rounds=1)
    assert draws.noise.spectrum.shape == y.shape
