import pytest
import torch

from diffusion_prior.schedule import EDMSchedule, VPSchedule


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
