import copy

import pytest
import torch

from diffusion_prior.model.schedule import EDMSchedule
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.operators import LeadSelection, Mask, MeasuredLeads, Resampling
from reconstruction.samplers.amortised import AmortisedSampler, _EarlyJump, measured_samples
from reconstruction.samplers.base import Calls
from tests.gaussian import GaussianDenoiser


@pytest.mark.parametrize(("preset", "eta", "n_calls"), [("best", 0.0, 17), ("best", 1.0, 17), ("fast", 0.0, 16)])
def test_samples_follow_the_exact_posterior(gaussian, truth, observed, preset, eta, n_calls):
    n_samples = 300
    y = torch.where(observed, truth, 0.0)[None]
    selected = torch.eye(observed.numel(), dtype=torch.float64)[observed.flatten()]
    mean, covariance = gaussian.posterior(selected, y.flatten()[observed.flatten()], 0.0)
    sampler = AmortisedSampler(gaussian, n_steps=16, eta=eta, spread=1.0, preset=preset)
    likelihood = GaussianLikelihood(Mask(observed), y, 0.02)
    draws = sampler(likelihood, n_samples, torch.Generator().manual_seed(1))
    samples = draws.samples[:, 0]
    missing = ~observed
    variance = covariance.diagonal().reshape(observed.shape)[missing]
    z = (samples.mean(0) - mean)[missing] / (variance / n_samples).sqrt()
    assert z.abs().max() < 4
    # 16 steps make the spread of a Gaussian wrong by 0 to 14 % of the variance, measured with 1000 samples.
    ratio = (samples.var(0)[missing] / variance).mean()
    assert 0.85 < ratio < 1.25
    torch.testing.assert_close(samples.mean(0)[observed], truth[observed], rtol=0, atol=2e-3)
    torch.testing.assert_close(draws.mean[0], samples.mean(0))
    assert draws.calls == Calls(n_calls, 0)


@pytest.mark.parametrize(("preset", "tolerance"), [("best", 5e-3), ("fast", 3e-2)])  # other noise, 0.02 a draw
def test_the_mean_of_a_record_without_gaps_is_the_denoisers_own(gaussian, truth, preset, tolerance):
    first_lead = torch.zeros_like(truth, dtype=torch.bool)
    first_lead[0] = True
    selected = torch.eye(truth.numel(), dtype=torch.float64)[first_lead.flatten()]
    mean, _ = gaussian.posterior(selected, truth[0], 0.0)
    likelihood = GaussianLikelihood(Mask(first_lead), truth[None], 0.01)
    plain, wide = (AmortisedSampler(gaussian, n_steps=4, spread=spread, preset=preset) for spread in (1.0, 2.0))
    narrow, wider = (sampler(likelihood, 3, torch.Generator().manual_seed(1)) for sampler in (plain, wide))
    torch.testing.assert_close(narrow.mean[0][~first_lead], mean[~first_lead], rtol=0, atol=tolerance)
    torch.testing.assert_close(wider.samples - narrow.mean, 2 * (narrow.samples - narrow.mean))


def test_the_fast_preset_goes_to_small_noise_at_once(gaussian, truth, observed):
    fast = AmortisedSampler(gaussian, preset="fast")
    draws = fast(GaussianLikelihood(Mask(observed), truth[None], 0.01), 2, torch.Generator().manual_seed(1))
    assert draws.calls == Calls(8, 0)
    times = _EarlyJump(gaussian.given(), 8).times(truth)
    levels = gaussian.schedule(times)[1]
    assert levels[[0, 1, -1]].tolist() == pytest.approx([10.0, 5.0, 0.01])
    assert bool((levels.diff() < 0).all())


def test_amplitudes_of_leads_that_were_not_measured_vary_more(gaussian, truth):
    first_lead = torch.zeros_like(truth, dtype=torch.bool)
    first_lead[0] = True
    likelihood = GaussianLikelihood(Mask(first_lead), truth[None], 0.01)
    fitted = copy.copy(gaussian)
    fitted.facts = {"fitted": {"amortised": {"amplitude_covariance": (0.04 * torch.eye(len(truth))).tolist()}}}
    samplers = [AmortisedSampler(prior, n_steps=4, amplitude_spread=k) for prior, k in ((gaussian, None), (fitted, 0))]
    samplers += [AmortisedSampler(fitted, n_steps=4, amplitude_spread=k) for k in (None, 2.0)]
    plain, none, one, two = (s(likelihood, 3, torch.Generator().manual_seed(1)) for s in samplers)
    torch.testing.assert_close(none.samples, plain.samples)
    torch.testing.assert_close(one.mean, plain.mean)
    torch.testing.assert_close(one.samples[..., 0, :], plain.samples[..., 0, :])
    logs, twice = ((x.samples / plain.samples)[..., 1:, :].log() for x in (one, two))
    torch.testing.assert_close(logs, logs[..., :1].expand_as(logs))
    torch.testing.assert_close(twice, 2 * logs)
    assert logs.std() > 0.05


def test_distilled_weights_are_needed_and_know_no_noise(gaussian, truth):
    with pytest.raises(ValueError, match="needs distilled weights"):
        AmortisedSampler(gaussian, preset="fastest")
    distilled = copy.copy(gaussian)
    distilled.facts = {"distilled": {"levels": [10.0, 2.0]}}
    everything = torch.ones_like(truth, dtype=torch.bool)
    sampler = AmortisedSampler(distilled, preset="fastest")
    with pytest.raises(ValueError, match="know no noise"):
        sampler(GaussianLikelihood(Mask(everything), truth[None], 0.2), 2, torch.Generator().manual_seed(1))


def test_an_unknown_preset_is_refused(gaussian):
    with pytest.raises(ValueError, match="quick"):
        AmortisedSampler(gaussian, preset="quick")


def test_noisy_measurements_follow_the_exact_posterior(gaussian, truth):
    n_samples, sigma_y = 300, 0.2
    everything = torch.ones_like(truth, dtype=torch.bool)
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    y = (truth + sigma_y * noise)[None]
    mean, covariance = gaussian.posterior(torch.eye(truth.numel(), dtype=torch.float64), y.flatten(), sigma_y)
    sampler = AmortisedSampler(gaussian, n_steps=16, spread=1.0, blind_error=None)
    draws = sampler(GaussianLikelihood(Mask(everything), y, sigma_y), n_samples, torch.Generator().manual_seed(1))
    variance = covariance.diagonal().reshape(truth.shape)
    samples = draws.samples
    z = (samples[:, 0].mean(0) - mean) / (variance / n_samples).sqrt()
    assert z.abs().max() < 4
    assert 0.85 < (samples[:, 0].var(0) / variance).mean() < 1.25
    torch.testing.assert_close(draws.mean[0], samples[:, 0].mean(0))


def test_the_noise_level_is_found():
    length, sigma_y = 200, 0.1
    time = torch.arange(length, dtype=torch.float64)
    smooth = torch.exp(-0.5 * ((time[:, None] - time) / 10) ** 2) + 1e-6 * torch.eye(length)
    prior = GaussianDenoiser(torch.zeros(1, length, dtype=torch.float64), 0.1 * smooth, EDMSchedule(0.01, 10.0))
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, length, generator=generator, dtype=torch.float64)
    y = torch.linalg.cholesky(prior.covariance) @ z[0] + sigma_y * z[1]
    everything = torch.ones(1, length, dtype=torch.bool)
    likelihood = GaussianLikelihood(Mask(everything), y[None, None], 5.0)
    sampler = AmortisedSampler(prior, n_steps=2, blind_error=0.03)
    draws = sampler(likelihood, 2, torch.Generator().manual_seed(1))
    assert draws.noise is not None
    assert float(draws.noise.rms(y[None, None])) == pytest.approx(sigma_y, rel=0.15)
    assert draws.calls.network == 1 + 2


@pytest.mark.parametrize("leads", [["II", "V3"], ["III", "aVF", "V6"]])
def test_some_leads_may_be_measured_with_white_noise(tiny_denoiser, leads):
    y = 0.2 * torch.randn(2, len(leads), 64, generator=torch.Generator().manual_seed(0))
    sampler = AmortisedSampler(tiny_denoiser, n_steps=2)
    draws = sampler(GaussianLikelihood(LeadSelection(leads), y, 0.05), 2, torch.Generator().manual_seed(1))
    assert draws.samples.shape == (2, 2, 8, 64)
    assert draws.noise is not None
    assert draws.noise.rms(y).shape == (2, len(leads))


def test_little_noise_counts_as_none(gaussian, truth, observed):
    sampler = AmortisedSampler(gaussian, n_steps=2)
    draws = sampler(GaussianLikelihood(Mask(observed), truth[None], 0.01), 2, torch.Generator().manual_seed(1))
    assert draws.noise is None


def test_two_limb_leads_give_leads_i_and_ii():
    x = torch.randn(1, 8, 5, generator=torch.Generator().manual_seed(0))
    operator = LeadSelection(["aVL", "III", "V4"])
    y, observed = measured_samples(operator, operator(x))
    assert observed[0].all(dim=-1).tolist() == [True, True, False, False, False, True, False, False]
    torch.testing.assert_close(y[0, [0, 1, 5]], x[0, [0, 1, 5]])


@pytest.mark.parametrize("leads", [["III"], ["aVR", "V1"]])
def test_one_derived_limb_lead_is_refused(leads):
    operator = LeadSelection(leads)
    with pytest.raises(ValueError, match='method="decoupled"'):
        measured_samples(operator, torch.zeros(1, len(leads), 5))


def test_a_gap_that_leaves_one_derived_limb_lead_is_refused():
    observed = torch.ones(2, 5, dtype=torch.bool)
    observed[0, 2] = False
    operator = MeasuredLeads(observed, ["I", "III"])
    with pytest.raises(ValueError, match='method="decoupled"'):
        measured_samples(operator, torch.zeros(1, 2, 5))


def test_another_operator_is_refused():
    with pytest.raises(ValueError, match='Resampling: take method="decoupled"'):
        measured_samples(Resampling(1, 2, 10), torch.zeros(1, 8, 5))
