import numpy as np
import pytest
import torch

from diffusion_prior.model.schedule import DiscreteSchedule, EDMSchedule, VPSchedule


@pytest.mark.parametrize("schedule", [EDMSchedule(0.01, 30.0), VPSchedule()])
def test_inverse_undoes_the_schedule(schedule):
    t = torch.linspace(0.01, 1, 50, dtype=torch.float64)
    alpha, sigma = schedule(t)
    torch.testing.assert_close(schedule.inverse(sigma / alpha), t, atol=1e-6, rtol=0)


@pytest.mark.parametrize("schedule", [EDMSchedule(), VPSchedule()])
def test_noise_to_signal_ratio_rises_with_time(schedule):
    alpha, sigma = schedule(torch.linspace(0, 1, 100, dtype=torch.float64))
    assert (torch.diff(sigma / alpha) > 0).all()


def test_edm_grid_is_that_of_karras():
    n, rho, low, high = 18, 7.0, 0.002, 80.0
    i = torch.arange(n, dtype=torch.float64)
    expected = (high ** (1 / rho) + i / (n - 1) * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    _, sigma = EDMSchedule(low, high, rho)(torch.linspace(1, 0, n, dtype=torch.float64))
    torch.testing.assert_close(sigma, expected)


def test_vp_preserves_variance_and_follows_rhythmdiffs_steps():
    steps = torch.arange(1, 1001, dtype=torch.float64)
    product = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    alpha, sigma = VPSchedule()(steps / 1000)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(1000, dtype=torch.float64))
    torch.testing.assert_close((alpha**2)[100:600], product[100:600], rtol=0.03, atol=0)


def test_impossible_levels_are_refused():
    with pytest.raises(ValueError, match="sigma_min"):
        EDMSchedule(1.0, 0.5)


ALPHA_BAR = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
"""Of RhythmDiff's steps, in float64."""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_step_has_its_noise_level_and_the_network_is_told_that_step(dtype):
    schedule, steps = DiscreteSchedule(), torch.arange(1000, dtype=dtype)
    t = schedule.time(steps)
    alpha, sigma = schedule(t)
    assert alpha.dtype == sigma.dtype == t.dtype == dtype
    assert float(t[0]) == 0 and float(t[-1]) == 1
    np.testing.assert_allclose(alpha**2, ALPHA_BAR, rtol=1e-6)
    np.testing.assert_allclose(sigma**2, 1 - ALPHA_BAR, rtol=1e-6)
    assert torch.equal(schedule.network_step(t), steps)
    off_the_grid = (t + 0.4 / 999).clamp(max=1)
    assert torch.equal(schedule.network_step(off_the_grid), steps)
    assert torch.equal(schedule(off_the_grid)[0], alpha)


def test_with_the_published_offset_the_level_is_one_step_behind():
    schedule, told = DiscreteSchedule(published_offset=True), torch.arange(1.0, 1000.0)
    t = schedule.time(told)
    assert schedule.n_levels == 999 and float(t[0]) == 0 and float(t[-1]) == 1
    assert torch.equal(schedule.network_step(t), told)
    np.testing.assert_allclose(schedule(t)[0] ** 2, ALPHA_BAR[told.long() - 1], rtol=1e-6)
    assert DiscreteSchedule().n_levels == 1000


@pytest.mark.parametrize("published_offset", [False, True])
def test_inverse_gives_the_step_of_the_nearest_level(published_offset):
    schedule = DiscreteSchedule(published_offset=published_offset)
    t = torch.linspace(0, 1, schedule.n_levels)
    alpha, sigma = schedule(t)
    assert torch.equal(schedule.network_step(schedule.inverse(sigma / alpha)), schedule.network_step(t))
    nearly = sigma[5] / alpha[5] * 0.4 + sigma[6] / alpha[6] * 0.6
    assert float(schedule.network_step(schedule.inverse(nearly))) == 6 + published_offset
    for ratio, step in ((1e-9, 0.0), (1e9, 999.0 - published_offset)):
        assert float(schedule.network_step(schedule.inverse(torch.tensor(ratio)))) == step + published_offset


def test_impossible_steps_are_refused():
    for settings in ({"n_steps": 2}, {"beta_min": 0.0}, {"beta_max": 1.0}, {"beta_min": 0.5}):
        with pytest.raises(ValueError, match="n_steps >= 3"):
            DiscreteSchedule(**settings)
