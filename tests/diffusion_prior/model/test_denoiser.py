import pytest
import torch
from torch import nn

from diffusion_prior.model.denoiser import Conditions
from diffusion_prior.model.epsilon import EpsilonDenoiser
from diffusion_prior.model.preconditioned import PreconditionedDenoiser
from diffusion_prior.model.schedule import DiscreteSchedule, EDMSchedule, VPSchedule
from einthoven.ecg.leads import INDEPENDENT_LEADS, NINE_LEADS, lead_matrix


class Recorder(nn.Module):
    """A backbone that answers a constant and remembers its input."""

    def __init__(self, answer=0.0, label_gain=0.0):
        super().__init__()
        self.answer, self.label_gain = answer, label_gain

    def forward(self, x, c_noise, label):
        self.x, self.c_noise, self.label = x, c_noise, label
        return self.answer + self.label_gain * label.sum(1)[:, None, None] + torch.zeros_like(x[:, : x.shape[1] // 3])


def make(schedule=None, **kwargs):
    return PreconditionedDenoiser(
        Recorder(**kwargs), schedule or EDMSchedule(), ("I", "II"), sigma_data=0.5, n_labels=3
    )


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
    x = denoiser(x_t, torch.tensor(0.5), Conditions(y=y_with_gaps, observed=observed))
    assert x.isfinite().all()
    assert torch.equal(x[observed], y[observed])
    assert torch.equal(denoiser.backbone.x[:, 4:].bool(), observed)


def test_a_noisy_measured_sample_is_a_second_noised_signal():
    denoiser = make(answer=1.0)
    x_t, y, t = torch.randn(4, 2, 8), torch.randn(4, 2, 8), torch.tensor(0.6)
    observed = torch.rand(4, 2, 8) < 0.5
    level = torch.tensor([0.1, 0.3]).expand(4, 2)
    x = denoiser(x_t, t, Conditions(None, y, observed, level))
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
    exact = denoiser(x_t, t, Conditions(None, y, observed))
    torch.testing.assert_close(denoiser(x_t, t, Conditions(None, y, observed, torch.zeros(3, 2))), exact)
    nearly = denoiser(x_t, t, Conditions(None, y, observed, torch.full((3, 2), 1e-4)))
    torch.testing.assert_close(nearly, exact, rtol=0, atol=1e-3)


def test_halves_of_a_condition_are_refused():
    with pytest.raises(ValueError, match="belong together"):
        Conditions(y=torch.zeros(1, 2, 8))
    with pytest.raises(ValueError, match="belong together"):
        Conditions(sigma_y=torch.zeros(1, 2))
    with pytest.raises(ValueError, match="takes 3 labels"):
        make()(torch.zeros(1, 2, 8), torch.tensor(0.5), Conditions(torch.zeros(1, 71)))


def test_fixed_conditions_stay():
    conditional = make().given()
    assert conditional.given() is conditional and not conditional.takes_measurements
    with pytest.raises(ValueError, match="are fixed"):
        conditional.given(Conditions(torch.zeros(1, 3)))


def test_guidance_extrapolates_from_the_unlabelled_estimate():
    denoiser = make(label_gain=1.0)
    x_t, t, label = torch.randn(2, 3, 2, 8), torch.tensor(0.3), torch.tensor([1.0, 0, 1])
    plain = denoiser.given()(x_t, t)
    labelled = denoiser.given(Conditions(label))(x_t, t)
    guided = denoiser.given(Conditions(label), guidance_scale=3.0)
    torch.testing.assert_close(guided(x_t, t), plain + 3 * (labelled - plain))
    assert guided.n_calls == 2


def test_conditions_belong_to_the_record_axis():
    denoiser = make()
    y = torch.arange(3.0)[:, None, None].expand(3, 2, 8)
    conditional = denoiser.given(Conditions(y=y, observed=torch.ones(3, 2, 8, dtype=torch.bool)))
    x = conditional(torch.randn(5, 3, 2, 8), torch.tensor(0.5))
    assert torch.equal(x, y.expand(5, 3, 2, 8))


class NoiseFinder(nn.Module):
    """A backbone that finds a multiple of its input and remembers what it was given."""

    stride = 4

    def forward(self, x, step, label):
        self.x, self.step, self.label = x, step, label
        return 0.5 * x + 0.01 * label.sum(1)[:, None, None]


def make_epsilon(leads=NINE_LEADS, record_length=1000, segment_length=1024, **settings):
    return EpsilonDenoiser(
        NoiseFinder(), DiscreteSchedule(**settings), leads, record_length=record_length, segment_length=segment_length
    )


def test_the_estimate_takes_the_noise_away_and_obeys_einthoven():
    denoiser, schedule = make_epsilon(record_length=None, segment_length=64), DiscreteSchedule()
    x_t, t = torch.randn(3, 9, 64, dtype=torch.float64), torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    x = denoiser(x_t, t)
    alpha, sigma = (value[:, None, None] for value in schedule(t))
    plain = (x_t - sigma * 0.5 * x_t) / alpha
    torch.testing.assert_close(x[:, 2], x[:, 1] - x[:, 0], rtol=0, atol=1e-10)
    torch.testing.assert_close(x[:, 3:], plain[:, 3:])
    # The nearest of all ECGs with III = II - I: what is taken away says nothing of any such ECG.
    ecg = torch.from_numpy(lead_matrix(NINE_LEADS)) @ torch.randn(3, 8, 64, dtype=torch.float64)
    torch.testing.assert_close(((plain - x) * ecg).sum(dim=1), torch.zeros(3, 64, dtype=torch.float64))
    assert torch.equal(denoiser.backbone.step, torch.tensor([0.0, 400.0, 999.0], dtype=torch.float64))


def test_eight_leads_cannot_contradict_each_other():
    denoiser = make_epsilon(INDEPENDENT_LEADS, None, 64)
    x_t, t = torch.randn(2, 8, 64), torch.tensor(0.3)
    alpha, sigma = DiscreteSchedule()(t)
    torch.testing.assert_close(denoiser(x_t, t), (x_t - sigma * 0.5 * x_t) / alpha)


@pytest.mark.parametrize(
    ("length", "shown"), [(1000, 1024), (1010, 1024), (1024, 1024), (256, 256), (250, 252), (1030, 1032)]
)
def test_behind_a_record_the_network_is_shown_noised_zeros(length, shown):
    denoiser, t = make_epsilon(), torch.tensor([0.3, 0.9])
    x_t = torch.randn(2, 9, length)
    noise = denoiser.noise(x_t, t)
    assert denoiser.padded_length(length) == shown and noise.shape == x_t.shape
    seen = denoiser.backbone.x
    assert seen.shape[-1] == shown and torch.equal(seen[..., :length], x_t)
    torch.testing.assert_close(noise, 0.5 * x_t)
    behind = seen[..., length:] / DiscreteSchedule()(t)[1][:, None, None]
    torch.testing.assert_close(behind[0], behind[1])
    if length == 1000:
        assert 0.8 < float(behind.std()) < 1.2
        denoiser.noise(torch.randn(1, 9, 1000), t[:1])
        assert torch.equal(denoiser.backbone.x[0, :, 1000:], seen[0, :, 1000:])


def test_in_half_precision_no_step_is_mixed_up():
    denoiser = make_epsilon(record_length=None, segment_length=64)
    t = DiscreteSchedule().time(torch.tensor([333, 998]))
    x = denoiser(torch.randn(2, 9, 64, dtype=torch.bfloat16), t)
    assert denoiser.backbone.step.tolist() == [333, 998] and x.dtype == torch.bfloat16


def test_what_a_noise_finder_cannot_be_told_is_refused():
    denoiser, x, t = make_epsilon(), torch.zeros(1, 9, 64), torch.tensor(0.5)
    assert not denoiser.takes_measurements and make().takes_measurements
    with pytest.raises(ValueError, match="cannot be told measured samples"):
        denoiser(x, t, Conditions(y=x, observed=x.bool()))
    with pytest.raises(ValueError, match="takes 71 labels"):
        denoiser(x, t, Conditions(torch.zeros(1, 3)))
    for lengths in ((1000, 1022), (1028, 1024)):
        with pytest.raises(ValueError, match="segment_length must be a multiple of 4"):
            make_epsilon(NINE_LEADS, *lengths)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_noise_finder_on_a_gpu():
    denoiser = make_epsilon()
    denoiser.set_gain([[0, 1.0], [999, 0.5]])
    x_t, t, label = torch.randn(2, 9, 1000), torch.tensor([0.3, 0.9]), torch.zeros(2, 71)
    expected = denoiser(x_t, t, Conditions(label))
    on_gpu = denoiser.cuda()(x_t.cuda(), t.cuda(), Conditions(label.cuda()))
    torch.testing.assert_close(on_gpu.cpu(), expected, rtol=1e-4, atol=1e-5)
