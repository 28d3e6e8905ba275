"""The superlet transform: against published scalograms, against direct convolution, and the laws that it keeps."""

import math

import numpy as np
import pytest
import torch

from noise_quant.scalogram import superlet
from noise_quant.scalogram.superlet import SuperletSettings, superlet_transform
from preprocessing.cohorts.simulator import simulate_ecg
from tests.paths import GOLDEN

EXAMPLE = GOLDEN / "superlet_example.npz"
HAN = SuperletSettings(published=True)


def ecg(rate=500, n=1):
    """Simulated ECG leads with some noise, so that no frequency is empty, shape (n, 10 s)."""
    clean = torch.from_numpy(np.asarray(simulate_ecg(n, rate, rhythm="sinus")[:, 1], dtype=np.float64))
    return clean + 0.02 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def tones(rate, seconds=10.0):
    """A signal without anything above 40 Hz, sampled in the middle of equal pieces of its time."""
    t = (torch.arange(round(seconds * rate), dtype=torch.float64) + 0.5) / rate
    chirp = torch.sin(2 * math.pi * (2 * t + 1.2 * t**2))
    return chirp + 0.5 * torch.cos(2 * math.pi * 7.3 * t) + 0.2 * torch.sin(2 * math.pi * 33 * t)


def direct(signal, rate, settings):
    """log10 power at every sample by plain convolution with odd symmetric wavelets in float64, high rows first."""
    margin = math.ceil(settings.half_length() * rate) + 1
    padded = np.pad(np.pad(signal.numpy(), margin, mode="reflect"), 2 * margin)
    rows = []
    for frequency, order in zip(settings.frequencies.tolist(), settings.orders.tolist(), strict=True):
        logs = np.zeros(len(signal))
        for number in range(1, math.ceil(order) + 1):
            deviation = settings.deviation(frequency, number)
            half = min(math.ceil(6 * deviation * rate), 3 * margin)
            t = np.arange(-half, half + 1) / rate
            gauss = np.exp(-(t**2) / (2 * deviation**2))
            response = np.convolve(padded, gauss / gauss.sum() * np.exp(2j * np.pi * frequency * t), mode="same")
            inner = np.abs(response[3 * margin : 3 * margin + len(signal)]) * math.sqrt(2)
            logs += min(1.0, order - number + 1) / order * np.log10(inner + 1e-12)
        rows.append(2 * logs)
    return torch.from_numpy(np.stack(rows[::-1]))


@pytest.mark.parametrize("name, tolerance", [("scalogram_rerun", 0.005), ("scalogram", 0.05)])
def test_published_form_equals_the_published_scalogram(name, tolerance):
    """`superlet_example.npz` was made by the published code; see ../shared/golden/README.md."""
    if not EXAMPLE.is_file():
        pytest.skip(f"needs golden files: {EXAMPLE.name} is not beside this checkout")
    golden = np.load(EXAMPLE)
    ours = superlet_transform(torch.from_numpy(golden["signal"]), 500, HAN, 256)
    theirs = torch.from_numpy(golden[name])
    low, high = float(theirs.min()), float(theirs.max())
    assert (ours.clamp(low, high) - theirs).abs().max() < tolerance


def test_equals_direct_convolution():
    signal, settings = ecg(500)[0], SuperletSettings(n_frequencies=8)
    difference = (superlet_transform(signal, 500, settings) - direct(signal, 500, settings)).abs()
    assert difference.max() < 2e-3
    assert difference.mean() < 1e-5


def test_a_fractional_order_counts_its_last_wavelet_in_part():
    signal = ecg(500)[0]

    def at_order(order):
        settings = SuperletSettings(min_frequency=4, n_frequencies=8, min_order=order, max_order=order)
        return superlet_transform(signal, 500, settings)[:, 1000:-1000]

    two, three = 2 * at_order(2.0), 3 * at_order(3.0)
    assert torch.allclose(at_order(2.5), (two + 0.5 * (three - two)) / 2.5, atol=1e-3)
    assert not torch.allclose(at_order(2.5), at_order(2.0), atol=1e-2)


def test_orders_grow_linearly_and_are_rounded_in_the_published_form():
    orders = SuperletSettings().orders
    assert (orders[0], orders[-1]) == (1.0, 16.0)
    assert torch.allclose(orders.diff(), torch.full((31,), 15 / 31, dtype=torch.float64))
    assert torch.equal(HAN.orders, HAN.orders.round())


@pytest.mark.parametrize("published", [False, True])
def test_a_tone_has_its_power_in_its_row(published):
    settings = SuperletSettings(published=published)
    t = torch.arange(5000, dtype=torch.float64) / 500
    row = 20
    frequency = float(settings.frequencies[row])
    power = superlet_transform(0.3 * torch.sin(2 * math.pi * frequency * t), 500, settings, 250)[:, 50:-50]
    assert torch.allclose(power[31 - row], torch.full((150,), math.log10(0.3**2 / 2)), atol=0.01)
    assert (power.argmax(0) == 31 - row).all()


@pytest.mark.parametrize("rate", [100, 250, 360, 1000])
def test_the_sampling_rate_does_not_matter(rate):
    here, there = (superlet_transform(tones(r), r, None, 256)[:, 48:-48] for r in (rate, 500))
    # Between the tones there is nothing but rounding errors and, at low rates, the ends of the widest spectra.
    assert (here - there)[there > -4].abs().max() < 0.005
    assert (here - there)[there > -6].abs().mean() < 1e-3


@pytest.mark.parametrize("settings", [SuperletSettings(), HAN])
def test_the_gain_adds_to_the_logarithm(settings):
    signal = ecg(100)
    difference = superlet_transform(10 * signal, 100, settings, 64) - superlet_transform(signal, 100, settings, 64)
    assert torch.allclose(difference, torch.full_like(difference, 2.0), atol=1e-3)


def test_columns_equal_the_full_rate_transform_at_their_centres():
    signal = ecg(500)
    every_sample = superlet_transform(signal, 500)
    columns = superlet_transform(signal, 500, None, 200)
    assert columns.shape == (1, 32, 200)
    assert torch.allclose(columns, every_sample[..., 12::25], atol=1e-3)


@pytest.mark.parametrize("settings", [SuperletSettings(), HAN])
def test_leading_dimensions_and_batch_mates_change_nothing(settings):
    signals = ecg(100, 6)
    together = superlet_transform(signals.reshape(2, 3, 1000), 100, settings, 256)
    assert together.shape == (2, 3, 32, 256)
    assert together.dtype == torch.float32
    for index, signal in enumerate(signals):
        alone = superlet_transform(signal, 100, settings, 256)
        assert torch.allclose(together[divmod(index, 3)], alone, atol=1e-5)


def test_chunks_change_nothing(monkeypatch):
    signals = ecg(100, 5)
    whole = superlet_transform(signals, 100, None, 256)
    monkeypatch.setattr(superlet, "CHUNK_VALUES", 1)
    assert torch.allclose(superlet_transform(signals, 100, None, 256), whole, atol=1e-5)


def test_working_memory_does_not_grow_with_the_batch(monkeypatch):
    sizes = []
    bank = superlet._FilterBank.__call__

    def watch(self, signals):
        sizes.append(len(signals) * self.n_values)
        return bank(self, signals)

    monkeypatch.setattr(superlet._FilterBank, "__call__", watch)
    monkeypatch.setattr(superlet, "CHUNK_VALUES", 500_000)
    superlet_transform(ecg(100).expand(30, -1), 100, None, 256)
    assert len(sizes) > 1
    assert max(sizes) <= 500_000


def test_a_flat_signal_is_finite():
    assert torch.isfinite(superlet_transform(torch.zeros(1000), 100, None, 256)).all()


@pytest.mark.parametrize(
    "signal, rate, columns, message",
    [
        (torch.zeros(1000), 80, None, "sampling rate above 80 Hz"),
        (torch.zeros(200), 100, None, "shorter than the longest wavelet"),
        (torch.full((1000,), float("nan")), 100, None, "not finite"),
        (torch.full((1000,), float("inf")), 100, None, "not finite"),
        (torch.zeros(1000), 100, 0, "n_columns"),
    ],
)
def test_errors_say_what_is_wrong(signal, rate, columns, message):
    with pytest.raises(ValueError, match=message):
        superlet_transform(signal, rate, None, columns)


@pytest.mark.parametrize(
    "change", [{"min_frequency": 0}, {"max_frequency": 0.4}, {"n_frequencies": 1}, {"min_order": 0.5}, {"k_sd": 0}]
)
def test_settings_are_checked(change):
    with pytest.raises(ValueError, match="superlets need"):
        SuperletSettings(**change)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_scalogram():
    signal = torch.from_numpy(simulate_ecg(1, 500)[0])
    power = superlet_transform(signal.to("cuda"), 500, n_columns=256)
    assert power.is_cuda
    loud = superlet_transform(signal, 500, n_columns=256) > -5
    difference = power.cpu() - superlet_transform(signal, 500, n_columns=256)
    assert difference[loud].abs().max() < 1e-2
