"""The gain of estimates: one where they are perfect, less where the network's error is multiplied."""

import pytest
import torch
from torch import nn

from diffusion_prior.model.epsilon import EpsilonDenoiser
from diffusion_prior.model.schedule import DiscreteSchedule
from diffusion_prior.training.noise_objective import measure_gain
from einthoven.ecg.leads import INDEPENDENT_LEADS

STD = 0.3


class GaussianNoiseFinder(nn.Module):
    """Finds the noise on white Gaussian signals, exactly or with an error of its own."""

    stride = 4

    def __init__(self, error=0.0):
        super().__init__()
        self.error, self.levels = error, DiscreteSchedule()

    def forward(self, x, step, label):
        alpha, sigma = (value[:, None, None] for value in self.levels(self.levels.time(step)))
        error = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
        return sigma * x / (alpha**2 * STD**2 + sigma**2) + self.error * error


def denoiser(error=0.0, gain=None, **settings):
    return EpsilonDenoiser(
        GaussianNoiseFinder(error), DiscreteSchedule(**settings), INDEPENDENT_LEADS, record_length=None,
        segment_length=64, gain=gain,
    )  # fmt: skip


@pytest.fixture(scope="module")
def records():
    generator = torch.Generator().manual_seed(0)
    return STD * torch.randn(40, 8, 64, generator=generator), torch.zeros(40, 71)


def test_perfect_estimates_have_gain_one(records):
    gain = dict(measure_gain(denoiser(), *records))
    assert list(gain) == sorted(gain) and (min(gain), max(gain)) == (0, 999)
    for step, value in gain.items():
        signal = STD * DiscreteSchedule()(torch.tensor(step / 999))[0]
        # In its standard error: an estimate of n samples that is mostly the mean, zero, says little of its gain.
        assert abs(value - 1) < 4 / (40 * 8 * 64) ** 0.5 / float(signal), step


def test_a_network_with_an_error_gets_the_gain_of_least_error(records):
    x, label = records
    failing = denoiser(0.05)
    gain = measure_gain(failing, x, label)
    assert failing.gain is None
    steps = dict(gain)
    assert steps[0] > 0.99 and steps[999] < 0.01 and steps[400] < steps[200]
    repaired = denoiser(0.05, gain)
    assert measure_gain(repaired, x, label) == gain and repaired.gain == gain
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    for step in (200, 450, 800, 999):
        t = failing.schedule.time(torch.tensor(step))
        alpha, sigma = failing.schedule(t)
        errors = [float((d(alpha * x + sigma * noise, t) - x).square().mean()) for d in (denoiser(), repaired, failing)]
        assert 0.95 * errors[0] < errors[1] < errors[2] and errors[1] < 1.05 * STD**2


def test_gain_is_interpolated_and_belongs_to_the_networks_step():
    gain = [[0, 1.0], [100, 0.5], [999, 0.0]]
    for offset in (False, True):
        plain, with_gain = denoiser(published_offset=offset), denoiser(gain=gain, published_offset=offset)
        x_t, t = torch.randn(3, 8, 64), plain.schedule.time(torch.tensor([50, 100, 999]))
        expected = torch.tensor([0.75, 0.5, 0.0])[:, None, None] * plain(x_t, t)
        torch.testing.assert_close(with_gain(x_t, t), expected)
