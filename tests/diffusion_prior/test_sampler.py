"""Samplers against a Gaussian whose denoiser is exact; tolerances are in standard errors of the sample moments."""

import pytest
import torch

from diffusion_prior.model.schedule import DiscreteSchedule, EDMSchedule, VPSchedule
from diffusion_prior.sampler import SAMPLERS, HeunSampler, Sampler
from einthoven.randomness import record_generators
from tests.gaussian import GaussianDenoiser

N = 20_000


def gaussian(schedule=None):
    root = torch.randn(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.2
    mean = torch.linspace(-0.5, 0.5, 6, dtype=torch.float64).reshape(2, 3)
    return GaussianDenoiser(mean, root @ root.T + 0.01 * torch.eye(6), schedule or EDMSchedule(1e-3, 20.0))


def moments(sampler, n=N):
    x = sampler.sample((1, n, 2, 3), torch.Generator().manual_seed(0), torch.float64)[0].reshape(n, 6)
    return x.mean(0), torch.cov(x.T)


def worst_error(denoiser, mean, covariance, n=N):
    """Largest error of the moments in standard errors."""
    truth = denoiser.covariance
    mean_error = (mean - denoiser.mean.reshape(-1)).abs() / (truth.diag() / n).sqrt()
    spread = ((truth**2 + truth.diag()[:, None] * truth.diag()) / n).sqrt()
    return max(float(mean_error.max()), float(((covariance - truth).abs() / spread).max()))


@pytest.mark.parametrize(
    "make",
    [
        lambda d: Sampler(d, 100, eta=0.0, order=2),
        lambda d: Sampler(d, 150, eta=1.0, order=2),
        lambda d: HeunSampler(d, 60),
        lambda d: HeunSampler(d, 60, churn=0.2),
    ],
    ids=["multistep", "stochastic multistep", "heun", "heun with churn"],
)
def test_second_order_samplers_draw_from_the_gaussian(make):
    denoiser = gaussian()
    assert worst_error(denoiser, *moments(make(denoiser))) < 4.5


def test_signals_drawn_anew_from_noise_keep_the_distribution_and_what_is_larger():
    denoiser, sampler = gaussian(), Sampler(gaussian(), 100)
    generator = torch.Generator().manual_seed(0)
    x = sampler.sample((1, 4000, 2, 3), generator, torch.float64)
    far, near = (sampler.redraw(x, sigma, generator)[0].reshape(4000, 6) for sigma in (1.0, 0.01))
    assert worst_error(denoiser, far.mean(0), torch.cov(far.T), 4000) < 4.5
    before = x[0].reshape(4000, 6)
    assert (near - before).std() < 0.02 and (far - before).std() > 0.2


@pytest.mark.parametrize("make", [SAMPLERS["ddim"], SAMPLERS["ddpm"]])
def test_first_order_samplers_converge(make):
    denoiser = gaussian()
    truth = denoiser.covariance
    few, many = (moments(make(denoiser, n_steps=n))[1] for n in (10, 160))
    assert torch.linalg.norm(many - truth) < 0.06 * torch.linalg.norm(truth)
    assert torch.linalg.norm(few - truth) > 3 * torch.linalg.norm(many - truth)


def test_first_order_loses_spread_where_second_order_keeps_it():
    denoiser = gaussian()
    variance = denoiser.covariance.trace()
    first, second = (moments(Sampler(denoiser, 16, eta=0.0, order=order))[1].trace() for order in (1, 2))
    assert first < 0.8 * variance
    assert variance < second < 1.12 * variance


@pytest.mark.parametrize("schedule", [VPSchedule(), DiscreteSchedule()], ids=["continuous", "discrete"])
@pytest.mark.parametrize(
    "make", [lambda d: Sampler(d, 200, eta=0.0, order=2), lambda d: HeunSampler(d, 100)], ids=["multistep", "heun"]
)
def test_variance_preserving_schedules(make, schedule):
    denoiser = gaussian(schedule)
    assert worst_error(denoiser, *moments(make(denoiser))) < 4.5


def test_heun_with_churn_keeps_the_scale_of_any_schedule():
    denoiser = gaussian(VPSchedule())
    assert worst_error(denoiser, *moments(HeunSampler(denoiser, 60, churn=0.2))) < 4.5


class NoiseEstimator:
    """A denoiser of an arbitrary network that finds the noise."""

    def __init__(self, schedule):
        self.schedule = schedule

    def noise(self, x_t, t):
        return torch.tanh(x_t) * (0.5 + t)

    def __call__(self, x_t, t):
        alpha, sigma = self.schedule(t)
        return (x_t - sigma * self.noise(x_t, t)) / alpha


@pytest.mark.parametrize("k", [1, 2, 17, 500, 999])
def test_the_ancestral_sampler_takes_the_published_step(k):
    """x_(k-1) = (x_k - (1 - a_k) / sqrt(1 - abar_k) eps) / sqrt(a_k) + sqrt(beta~_k) z, as RhythmDiff's generate.py."""
    denoiser = NoiseEstimator(DiscreteSchedule())
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    a, a_bar = 1 - beta, (1 - beta).cumprod(0)
    t, s = denoiser.schedule.time(torch.tensor([k, k - 1], dtype=torch.float64))
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    z = torch.randn(x.shape, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
    mean = (x - (1 - a[k]) / (1 - a_bar[k]).sqrt() * denoiser.noise(x, t)) / a[k].sqrt()
    expected = mean + ((1 - a_bar[k - 1]) / (1 - a_bar[k]) * beta[k]).sqrt() * z
    step = SAMPLERS["ddpm"](denoiser, n_steps=1000).step(x, t, s, torch.Generator().manual_seed(k))
    torch.testing.assert_close(step, expected, rtol=1e-9, atol=1e-12)


def test_all_published_steps_are_taken_once_and_in_order():
    times = SAMPLERS["ddpm"](NoiseEstimator(DiscreteSchedule()), n_steps=1000).times(torch.zeros(()))
    assert DiscreteSchedule().network_step(times).tolist() == list(range(999, -1, -1))


@pytest.mark.parametrize("n_steps", [2, 7, 600, 999, 1000])
@pytest.mark.parametrize("make", [Sampler, lambda d, n: Sampler(d, n, eta=1.0), HeunSampler])
def test_no_number_of_steps_meets_a_level_twice(make, n_steps):
    sampler = make(NoiseEstimator(DiscreteSchedule()), n_steps)
    assert sampler.sample((1, 1, 2, 4), torch.Generator().manual_seed(0)).isfinite().all()


def test_more_steps_than_levels_are_refused():
    with pytest.raises(ValueError, match="knows 1000 noise levels: n_steps is at most that, not 1001"):
        Sampler(NoiseEstimator(DiscreteSchedule()), 1001)
    with pytest.raises(ValueError, match="knows 999 noise levels"):
        SAMPLERS["ddpm"](NoiseEstimator(DiscreteSchedule(published_offset=True)), n_steps=1000)
    with pytest.raises(ValueError, match="churn"):
        HeunSampler(NoiseEstimator(DiscreteSchedule()), 10, churn=0.1)


@pytest.mark.parametrize("make", [lambda d: Sampler(d, 8, eta=1.0), lambda d: HeunSampler(d, 5, churn=0.1)])
def test_a_record_does_not_depend_on_its_batch(make):
    denoiser = gaussian()

    def draw(keys):
        return make(denoiser).sample((2, len(keys), 2, 3), record_generators(3, keys, 2), torch.float64)

    alone, together = draw([7]), draw([5, 7, 11])
    torch.testing.assert_close(together[:, 1:2], alone, rtol=0, atol=1e-12)
    assert not torch.allclose(together[0], together[1])
    assert torch.equal(together, draw([5, 7, 11]))


def test_calls_are_counted_as_stated():
    denoiser = gaussian()
    moments(Sampler(denoiser, 16), 2)
    assert denoiser.n_calls == 16
    moments(HeunSampler(denoiser, 9), 2)
    assert denoiser.n_calls == 16 + 17


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="n_steps"):
        Sampler(gaussian(), 1)
