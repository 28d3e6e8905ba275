"""Artefacts made by rule."""

import pytest
import torch

from noise_quant.data.artefacts import Artefacts, coloured_noise, drift, jumps

RATE, LENGTH = 100.0, 1000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("make", [coloured_noise, drift, jumps])
def test_artefacts_have_no_offset_and_unit_power(make):
    x = make(64, LENGTH, RATE, generator())
    assert x.shape == (64, LENGTH)
    assert torch.allclose(x.mean(1), torch.zeros(64), atol=1e-4)
    power = x.std(1)
    assert ((power - 1).abs().lt(1e-3) | power.eq(0)).all()
    assert power.gt(0).float().mean() > 0.9


def test_drift_is_slower_than_noise():
    def share_below_2_hz(x):
        power = torch.fft.rfft(x).abs().square()
        return power[:, : int(2 * LENGTH / RATE)].sum() / power.sum()

    assert share_below_2_hz(drift(64, LENGTH, RATE, generator())) > 0.97
    assert share_below_2_hz(coloured_noise(64, LENGTH, RATE, generator())) < 0.8


def test_clean_share_leaves_signals_alone():
    x = torch.randn(200, LENGTH, generator=generator(1))
    assert torch.equal(Artefacts(clean_share=1.0).add(x, RATE, generator()), x)
    everything = Artefacts(clean_share=0.0, noise_share=1.0, burst_share=0.0)
    assert (everything.add(x, RATE, generator()) != x).any(1).all()
    half = Artefacts(clean_share=0.5, noise_share=1.0, burst_share=0.0)
    unchanged = (half.add(x, RATE, generator()) == x).all(1)
    assert 0.35 < unchanged.float().mean() < 0.65


def test_level_of_the_noise_is_the_signal_to_noise_ratio_asked_for():
    x = 0.2 * torch.randn(50, LENGTH, generator=generator(1))
    only = Artefacts(clean_share=0, noise_share=1, noise_snr=(6, 6), burst_share=0, drift_share=0, jump_share=0)
    added = only.add(x, RATE, generator()) - x
    snr = 10 * torch.log10(x.var(1) / added.var(1))
    assert torch.allclose(snr, torch.full((50,), 6.0), atol=0.05)


def test_variations_have_no_offset_and_draw_nothing_but_gain_and_sign():
    x = torch.randn(100, LENGTH, generator=generator(1)) + 3
    varied = Artefacts(gain=0.3, flip_share=0.5).vary(x, generator())
    assert torch.allclose(varied.mean(1), torch.zeros(100), atol=1e-5)
    ratio = varied / (x - x.mean(1, keepdim=True))
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-2)
    assert 0.3 < (ratio[:, 0] < 0).float().mean() < 0.7


def test_the_generator_decides_everything():
    x = torch.randn(4, LENGTH, generator=generator(1))
    assert torch.equal(Artefacts().add(x, RATE, generator()), Artefacts().add(x, RATE, generator()))
    assert not torch.equal(Artefacts().add(x, RATE, generator()), Artefacts().add(x, RATE, generator(2)))
