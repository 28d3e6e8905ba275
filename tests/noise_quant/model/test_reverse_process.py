"""The noising and its reversal: against diffusers' schedulers, and on networks that know the answer."""

import pytest
import torch

from noise_quant.model.reverse_process import SCHEDULE, ReverseProcess, add_noise

X = torch.linspace(-1, 1, 2 * 2 * 8 * 4, dtype=torch.float64).reshape(2, 2, 8, 4)
NOISE = torch.randn(X.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
SETTINGS = [(30, 10, "ddim"), (240, 20, "ddim"), (7, 1, "ddim"), (0, 10, "ddim"), (40, 10, "ddpm")]


def network(x_t, timesteps):
    """Some function of both arguments, whose estimates leave [-1, 1]."""
    return torch.sin(3 * x_t) + 0.001 * timesteps[:, None, None, None]


def draws(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(X.shape, generator=generator, dtype=X.dtype)


@pytest.mark.parametrize("clip_sample", [True, False])
@pytest.mark.parametrize(("timestep", "interval", "kind"), SETTINGS)
def test_equals_the_schedulers_of_diffusers(timestep, interval, kind, clip_sample):
    from diffusers import DDIMScheduler, DDPMScheduler

    scheduler = (DDIMScheduler if kind == "ddim" else DDPMScheduler)(clip_sample=clip_sample)
    torch.testing.assert_close(scheduler.alphas_cumprod, SCHEDULE.alpha_bar.float(), rtol=1e-5, atol=0)
    scheduler.alphas_cumprod = SCHEDULE.alpha_bar  # theirs are in float32, and 1 - alpha is 1e-4 at first
    if kind == "ddim":
        scheduler.set_timesteps(1000 // interval)
    generator = torch.Generator().manual_seed(3)
    x_t = scheduler.add_noise(X, NOISE, torch.tensor([timestep] * len(X)))
    visited = [int(t) for t in scheduler.timesteps if t <= timestep]
    for t in visited:
        epsilon = network(x_t, torch.full((len(X),), t))
        x_t = scheduler.step(epsilon, t, x_t, generator=generator).prev_sample
    process = ReverseProcess(timestep, interval, kind)
    assert process.timesteps == tuple(visited)
    restored = process(network, X, NOISE, draws(3), clip_sample)
    # Below timestep 0 theirs is 1 in float32, and so are the signal's shares of DDPM.
    torch.testing.assert_close(restored, x_t, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("process", [ReverseProcess(), ReverseProcess(990, 90), ReverseProcess(100, 1, "ddpm")])
def test_a_network_that_knows_the_noise_restores_exactly(process):
    def exact(x_t, timesteps):
        share = SCHEDULE.alpha_bar[timesteps][:, None, None, None]
        return (x_t - share.sqrt() * X) / (1 - share).sqrt()

    torch.testing.assert_close(process(exact, X, NOISE, draws(0)), X, rtol=0, atol=1e-10)


def test_noise_keeps_the_power_of_a_unit_signal():
    timesteps = torch.tensor([0, 500, 999])
    ones = torch.ones(3, 1, 1, 1)
    signal, noise = add_noise(ones, 0 * ones, timesteps), add_noise(0 * ones, ones, timesteps)
    torch.testing.assert_close(signal.square() + noise.square(), ones)
    assert noise[:, 0, 0, 0].tolist() == sorted(noise[:, 0, 0, 0].tolist())
    assert SCHEDULE.alpha_bar[999] < 1e-4


def test_published_ddim_calls_the_network_four_times():
    assert ReverseProcess().timesteps == (30, 20, 10, 0)
    assert ReverseProcess().key == "ddim-10-30"
    assert ReverseProcess(3, noise_scheduler_type="ddpm").timesteps == (3, 2, 1, 0)
    assert ReverseProcess(50, 10, "ddpm").key == ReverseProcess(50, 7, "ddpm").key == "ddpm-1-50"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timestep": 1000}, "between 0 and 999"),
        ({"timestep": -1}, "between 0 and 999"),
        ({"step_interval": 0}, "step_interval"),
        ({"timestep": 35}, "multiple of step_interval"),
        ({"noise_scheduler_type": "euler"}, "ddim or ddpm"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ReverseProcess(**arguments)
