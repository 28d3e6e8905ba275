"""The decoupled sampler against its own exact law on a linear-Gaussian problem, and its bias against the posterior."""

import pytest
import torch

from einthoven.randomness import record_generators, seeded_generator
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import WhiteNoise
from reconstruction.measurement.operators import LeadSelection, Mask
from reconstruction.samplers.base import Calls
from reconstruction.samplers.decoupled import DecoupledSampler
from tests.reconstruction.samplers.affine import LEADS, PROBLEMS, Law, check_law, make_problem


def exact_law(problem, n_steps, eta=4.0, order=2, n_corrections=0, look_ahead=False):
    """The law of the state x, the trend and the clean signal before, one upon the other, then that of x at the end."""
    law, n = Law(problem, n_steps), problem.n
    everything = torch.eye(3 * n, dtype=torch.float64)
    x, trend, before = everything.split(n)
    law.mean, law.covariance = x.T @ law.mean, x.T @ law.covariance @ x

    def guided(t, s):
        slope, offset = law.denoiser(t)
        move, shift, noise = guided_step(law, t, s, eta, look_ahead, x, trend)
        law.apply(x.T @ move + trend.T @ trend + before.T @ slope @ x, x.T @ shift + before.T @ offset, x.T @ noise @ x)

    for step, (t, s) in enumerate(zip(law.times[:-1], law.times[1:], strict=True)):
        guided(t, s)
        for _ in range(n_corrections):
            scale, variance = law.forward(s, t)
            law.apply(everything + (scale - 1) * x.T @ x, 0.0, variance * x.T @ x)
            guided(t, s)
        if order == 2 and step + 2 < len(law.times):
            alpha, sigma = law.schedule(law.times[step : step + 3])
            earlier, later = (alpha / sigma).log().diff()
            (slope, offset), weight = law.denoiser(s), later / earlier / 2
            change = weight * (slope @ x - before)
            law.apply(x.T @ x + trend.T @ change, trend.T @ (weight * offset), 0.0)
    law.mean, law.covariance = x @ law.mean, x @ law.covariance @ x.T
    return law.end()


def guided_step(law, t, s, eta, look_ahead, x, trend):
    """Slope, offset and noise of the next state."""
    problem, identity = law.problem, law.problem.identity
    (alpha_t, sigma_t), (alpha_s, sigma_s) = law.schedule(t), law.schedule(s)
    slope, offset = law.denoiser(t)
    kept = alpha_t * sigma_s / (alpha_s * sigma_t)
    std, clean = sigma_s * (1 - kept ** (2 * eta)).sqrt(), alpha_s * (1 - kept ** (1 + eta))
    mu, mu_0 = sigma_s / sigma_t * kept**eta * x + clean * (slope @ x + trend), clean * offset
    z_hat, z_0, drawn = (x - alpha_t * slope @ x) / sigma_t, -alpha_t * offset / sigma_t, 0 * identity
    if look_ahead:
        slope_s, offset_s = law.denoiser(s)
        left = (identity - alpha_s * slope_s) / sigma_s
        z_hat, z_0, drawn = left @ mu, left @ mu_0 - alpha_s * offset_s / sigma_s, std * left
    gain = problem.gain(std / alpha_s)
    guided = gain @ problem.operator
    rest, drawn = identity - guided, sigma_s * guided @ drawn
    return (
        rest @ mu + sigma_s * guided @ z_hat,
        rest @ mu_0 + sigma_s * guided @ z_0 + alpha_s * gain @ problem.y,
        std**2 * rest + drawn @ drawn.T,
    )


@pytest.mark.parametrize("look_ahead", [False, True])
@pytest.mark.parametrize("name", PROBLEMS)
def test_samples_follow_the_exact_law_of_the_algorithm(gaussian, truth, observed, name, look_ahead):
    problem = make_problem(name, gaussian, truth, observed)
    settings = {"eta": 1.5, "n_corrections": 1, "look_ahead": look_ahead}
    sampler = DecoupledSampler(problem.prior, 6, conditional=False, **settings)
    calls = check_law(sampler, problem, *exact_law(problem, 6, **settings))
    assert calls == Calls(13 + 12 * look_ahead)


@pytest.mark.parametrize(
    ("settings", "shift", "width"),
    [
        ({}, 0.024, 1.02),
        ({"eta": 1.0}, 0.054, 1.01),
        ({"order": 1}, 0.032, 0.87),
        ({"n_corrections": 3}, 0.005, 1.12),
        ({"look_ahead": True}, 0.063, 1.02),
    ],
)
def test_bias_against_the_true_posterior_is_known(gaussian, truth, observed, settings, shift, width):
    problem = make_problem("mask", gaussian, truth, observed)
    found_shift, found_width = problem.ratio_to_posterior(*exact_law(problem, 60, **settings))
    assert found_shift == pytest.approx(shift, abs=0.005)
    assert found_width == pytest.approx(width, abs=0.01)


def test_the_channels_make_the_law_that_of_the_posterior(gaussian, truth):
    n_samples, observed = 120, torch.zeros_like(truth, dtype=torch.bool)
    observed[0] = True
    y = torch.where(observed, truth, 0.0)[None]
    likelihood = GaussianLikelihood(Mask(observed), y, 1e-3)
    sampler = DecoupledSampler(gaussian, 15, spread=1.0)
    draws = sampler(likelihood, n_samples, torch.Generator().manual_seed(1))
    samples = draws.samples[:, 0]
    selected = torch.eye(observed.numel(), dtype=torch.float64)[observed.flatten()]
    mean, covariance = gaussian.posterior(selected, y.flatten()[observed.flatten()], 0.0)
    missing, variance = ~observed, covariance.diagonal().reshape(observed.shape)
    z = (samples.mean(0) - mean)[missing] / (variance[missing] / n_samples).sqrt()
    assert z.abs().max() < 4.5
    # 15 steps make the spread of a Gaussian wrong by a few percent.
    assert (samples.var(0) / variance)[missing].mean() == pytest.approx(1, abs=0.2)
    torch.testing.assert_close(samples.mean(0)[observed], truth[observed], rtol=0, atol=2e-3)
    torch.testing.assert_close(draws.mean[0], mean, rtol=0, atol=2e-3)
    assert draws.calls.network == 16
    narrow, wide = (
        DecoupledSampler(gaussian, 5, spread=spread)(likelihood, 2, seeded_generator(0)).samples
        for spread in (1.0, 1.5)
    )
    # The centre is the estimate from noise alone of each sample, near the posterior mean.
    torch.testing.assert_close((wide - mean)[..., missing], 1.5 * (narrow - mean)[..., missing], rtol=0, atol=0.02)


@pytest.mark.parametrize(("sigma_y", "leads"), [(0.01, ["aVF"]), (0.2, ["I", "V1"])])
def test_what_the_channels_cannot_take_is_left_to_the_guidance(gaussian, truth, sigma_y, leads):
    operator = LeadSelection(leads, LEADS)
    likelihood = GaussianLikelihood(operator, operator(truth[None]), sigma_y)
    both = [
        DecoupledSampler(gaussian, 6, conditional=conditional)(likelihood, 3, torch.Generator().manual_seed(1)).samples
        for conditional in (True, False)
    ]
    torch.testing.assert_close(*both)


def test_a_record_with_channels_changes_nothing_for_one_without(gaussian, truth, observed):
    rows = torch.stack([observed, torch.zeros_like(observed)])
    rows[1, 2, :4] = True
    noise = WhiteNoise(torch.tensor([[0.01, 0.01, 0.01], [0.2, 0.2, 0.2]], dtype=torch.float64))
    y = torch.where(rows, truth, 0.0)
    both, generators = GaussianLikelihood(Mask(rows), y, noise), record_generators(0, [7, 8], 2)
    together = DecoupledSampler(gaussian, 5)(both, 2, generators).samples
    for row, key in enumerate((7, 8)):
        alone = GaussianLikelihood(Mask(rows[row]), y[row : row + 1], WhiteNoise(noise.sigma[row]))
        result = DecoupledSampler(gaussian, 5)(alone, 2, record_generators(0, [key], 2)).samples
        torch.testing.assert_close(result[:, 0], together[:, row])


def test_settings_are_checked(gaussian):
    for wrong in ({"n_steps": 0}, {"eta": 0.0}, {"order": 3}, {"n_corrections": -1}):
        with pytest.raises(ValueError, match="order 1 or 2|n_steps >= 1"):
            DecoupledSampler(gaussian, **wrong)


def test_short_gaps_alone_are_bridged(tiny_denoiser):
    observed = torch.ones(2, 8, 64, dtype=torch.bool)
    observed[0, 2, 30:32] = observed[1, 3, 20:24] = False
    y = 0.2 * torch.randn(2, 8, 64, generator=torch.Generator().manual_seed(0))
    bridged, plain, noisy, noisy_plain = (
        DecoupledSampler(tiny_denoiser, 3, bridge=bridge)(
            GaussianLikelihood(Mask(observed), y, sigma), 3, torch.Generator().manual_seed(1)
        )
        for sigma in (0.01, 0.05)
        for bridge in (True, False)
    )
    changed = (bridged.samples != plain.samples).any(dim=0)
    expected = torch.zeros_like(observed)
    expected[0, 2, 30:32] = True
    assert torch.equal(changed, expected)
    torch.testing.assert_close(bridged.mean, bridged.samples.mean(dim=0))
    assert torch.equal(noisy.samples, noisy_plain.samples)
