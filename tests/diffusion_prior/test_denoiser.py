import pytest
import torch
from torch import nn

from diffusion_prior.denoiser import ConditionalDenoiser, Denoiser
from diffusion_prior.schedule import EDMSchedule, VPSchedule


class Recorder(nn.Module):
    """A backbone that answers a constant and remembers its input."""

    def __init__(self, answer=0.0, label_gain=0.0):
        super().__init__()
        self.answer, self.label_gain = answer, label_gain

    def forward(self, x, c_noise, label):
        self.x, self.c_noise, self.label = x, c_noise, label
        return self.answer + self.label_gain * label.sum(1)[:, None, None] + torch.zeros_like(x[:, : x.shape[1] // 3])


def make(schedule=None, **kwargs):
    return Denoiser(Recorder(**kwargs), schedule or EDMSchedule(), ("I", "II"), sigma_data=0.5, n_labels=3)


@pytest.mark.parametrize("schedule", [EDMSchedule(), VPSchedule()])
def test_preconditioning_is_equation_7_of_karras(schedule):
    denoiser = make(schedule, answer=1.0)
    x_t, t = torch.randn(4, 2, 8), torch.tensor(0.6)
    alpha, sigma = schedule(t)
    s, x_s = sigma / alpha, x_t / alpha
    expected = 0.25 / (s**2 + 0.25) * x_s + s * 0.5 / (s**2 + 0.25).sqrt()
    torch.testing.assert_close(denoiser(x_t, t), expected)
    torch.testing.assert_close(denoiser.backbone.x[:, :2], x_s / (s**2 + 0.25).sqrt())
    torch.testing.assert_close(denoiser.backbone.c_noise, (s.log() / 4).expand(4))


def test_measured_samples_are_kept_and_others_are_not_read():
    denoiser = make()
    x_t, y = torch.randn(3, 2, 8), torch.randn(3, 2, 8)
    observed = torch.rand(3, 2, 8) < 0.5
    y_with_gaps = torch.where(observed, y, torch.nan)
    x = denoiser(x_t, torch.tensor(0.5), y=y_with_gaps, observed=observed)
    assert x.isfinite().all()
    assert torch.equal(x[observed], y[observed])
    assert torch.equal(denoiser.backbone.x[:, 4:].bool(), observed)


def test_a_noisy_measured_sample_is_a_second_noised_signal():
    denoiser = make(answer=1.0)
    x_t, y, t = torch.randn(4, 2, 8), torch.randn(4, 2, 8), torch.tensor(0.6)
    observed = torch.rand(4, 2, 8) < 0.5
    level = torch.tensor([0.1, 0.3]).expand(4, 2)
    x = denoiser(x_t, t, y=y, observed=observed, level=level)
    s, sigma_y = EDMSchedule()(t)[1], level[..., None]
    s_u = (1 / s**2 + observed / sigma_y**2) ** -0.5
    u = (x_t / s**2 + observed * y / sigma_y**2) * s_u**2
    expected = 0.25 / (s_u**2 + 0.25) * u + s_u * 0.5 / (s_u**2 + 0.25).sqrt()
    torch.testing.assert_close(x, expected)
    scale = (0.25 + sigma_y**2).sqrt()
    torch.testing.assert_close(denoiser.backbone.x[:, :2], u / (s_u**2 + 0.25).sqrt())
    torch.testing.assert_close(denoiser.backbone.x[:, 2:4], observed * y / scale)
    torch.testing.assert_close(denoiser.backbone.x[:, 4:], observed * 0.5 / scale)
    torch.testing.assert_close(denoiser.backbone.c_noise, s_u.log().mean((1, 2)) / 4)


def test_noise_that_vanishes_makes_samples_exact():
    denoiser = make(answer=1.0)
    x_t, y, t = torch.randn(3, 2, 8), torch.randn(3, 2, 8), torch.tensor(0.5)
    observed = torch.rand(3, 2, 8) < 0.5
    exact = denoiser(x_t, t, y=y, observed=observed)
    torch.testing.assert_close(denoiser(x_t, t, y=y, observed=observed, level=torch.zeros(3, 2)), exact)
    nearly = denoiser(x_t, t, y=y, observed=observed, level=torch.full((3, 2), 1e-4))
    torch.testing.assert_close(nearly, exact, rtol=0, atol=1e-3)


def test_halves_of_a_condition_are_refused():
    with pytest.raises(ValueError, match="belong together"):
        make()(torch.zeros(1, 2, 8), torch.tensor(0.5), y=torch.zeros(1, 2, 8))
    with pytest.raises(ValueError, match="belong together"):
        make()(torch.zeros(1, 2, 8), torch.tensor(0.5), level=torch.zeros(1, 2))
    with pytest.raises(ValueError, match="takes 3 labels"):
        make()(torch.zeros(1, 2, 8), torch.tensor(0.5), torch.zeros(1, 71))


def test_guidance_extrapolates_from_the_unlabelled_estimate():
    denoiser = make(label_gain=1.0)
    x_t, t, label = torch.randn(2, 3, 2, 8), torch.tensor(0.3), torch.tensor([1.0, 0, 1])
    plain = ConditionalDenoiser(denoiser)(x_t, t)
    labelled = ConditionalDenoiser(denoiser, label)(x_t, t)
    guided = ConditionalDenoiser(denoiser, label, guidance_scale=3.0)
    torch.testing.assert_close(guided(x_t, t), plain + 3 * (labelled - plain))
    assert guided.n_calls == 2


def test_conditions_belong_to_the_record_axis():
    denoiser = make()
    y = torch.arange(3.0)[:, None, None].expand(3, 2, 8)
    x = ConditionalDenoiser(denoiser, y=y, observed=torch.ones(3, 2, 8, dtype=torch.bool))(
        torch.randn(5, 3, 2, 8), torch.tensor(0.5)
    )
    assert torch.equal(x, y.expand(5, 3, 2, 8))
