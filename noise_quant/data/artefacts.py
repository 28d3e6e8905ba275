"""Artefacts made by rule: what an autoencoder learns to leave out, so that what it restores is clean.

None of them is cut from a recording, so that recorded noise (NSTDB) and noisy recordings remain unseen tests. Denoising
autoencoders: Vincent, Larochelle, Bengio, Manzagol, ICML 2008.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Artefacts:
    """Distribution of artefacts; signal-to-noise ratios are in dB, uniform in their range.

    Attributes:
        clean_share: Share of signals without any artefact.
        noise_share: Share of the others with coloured noise, as of muscles and contacts.
        noise_snr: Range of its signal-to-noise ratio.
        burst_share: Share of noises that come in bursts.
        drift_share: Share with baseline drift.
        drift_snr: Range of its signal-to-noise ratio.
        jump_share: Share with jumps that decay, as of moving electrodes.
        jump_snr: Range of their signal-to-noise ratio.
        gain: Standard deviation of the log of a random gain of the clean signal.
        flip_share: Share of clean signals turned upside down, as by exchanged electrodes.
    """

    clean_share: float = 0.15
    noise_share: float = 0.6
    noise_snr: tuple[float, float] = (-10.0, 35.0)
    burst_share: float = 0.4
    drift_share: float = 0.5
    drift_snr: tuple[float, float] = (-20.0, 20.0)
    jump_share: float = 0.2
    jump_snr: tuple[float, float] = (-15.0, 20.0)
    gain: float = 0.3
    flip_share: float = 0.3

    def vary(self, x: Tensor, generator: Generator) -> Tensor:
        """Changes the gain and the sign of clean signals in mV, shape (B, L); returns them without offset."""
        gain = torch.exp(self.gain * torch.randn(len(x), 1, generator=generator))
        flip = 1 - 2 * _chosen(len(x), self.flip_share, generator)
        return (x - x.mean(1, keepdim=True)) * gain * flip

    def add(self, x: Tensor, sampling_rate: float, generator: Generator) -> Tensor:
        """Adds artefacts to clean signals in mV, shape (B, L), at a sampling rate in Hz; same shape."""
        n, length = x.shape
        # A flat signal still gets audible artefacts, a huge one no larger than electrodes make.
        size = x.std(1, keepdim=True).clamp(0.05, 0.5)
        noise = coloured_noise(n, length, sampling_rate, generator)
        bursts = _windows(n, length, sampling_rate, generator)
        noise = noise * torch.where(_chosen(n, self.burst_share, generator) > 0, bursts, 1.0)
        total = torch.zeros_like(x)
        for artefact, share, snr in (
            (noise, self.noise_share, self.noise_snr),
            (drift(n, length, sampling_rate, generator), self.drift_share, self.drift_snr),
            (jumps(n, length, sampling_rate, generator), self.jump_share, self.jump_snr),
        ):
            snr_db = snr[0] + (snr[1] - snr[0]) * torch.rand(n, 1, generator=generator)
            total += _chosen(n, share, generator) * size * 10 ** (-snr_db / 20) * artefact
        return x + (1 - _chosen(n, self.clean_share, generator)) * total


def coloured_noise(n: int, length: int, sampling_rate: float, generator: Generator) -> Tensor:
    """Draws n noises of unit power with spectra f^-b, b from -0.5 to 2.5, half of them cut off below 0.1 to 16 Hz.

    The rate is in Hz; shape (n, length).
    """
    slope = 3 * torch.rand(n, 1, generator=generator) - 0.5
    corner = 10 ** (2.2 * torch.rand(n, 1, generator=generator) - 1) * _chosen(n, 0.5, generator)
    hertz = torch.fft.rfftfreq(length, 1 / sampling_rate)
    gain = hertz.clamp(min=float(hertz[1])) ** (-slope / 2) * (hertz >= corner)
    return _unit(torch.fft.irfft(gain * _white_spectrum(n, length, generator), n=length))


def drift(n: int, length: int, sampling_rate: float, generator: Generator) -> Tensor:
    """Draws baseline drifts of unit power, slower than 0.05 to 1 Hz; arguments as for `coloured_noise`."""
    corner = 10 ** (1.3 * torch.rand(n, 1, generator=generator) - 1.3)
    hertz = torch.fft.rfftfreq(length, 1 / sampling_rate)
    gain = 1 / (1 + (hertz / corner) ** 4)
    return _unit(torch.fft.irfft(gain * _white_spectrum(n, length, generator), n=length))


def jumps(n: int, length: int, sampling_rate: float, generator: Generator, n_most: int = 4) -> Tensor:
    """Draws up to `n_most` jumps that decay in 10 ms to 2 s, of unit power; arguments as for `coloured_noise`."""
    seconds = torch.arange(length) / sampling_rate
    total = torch.zeros(n, length)
    for _ in range(n_most):
        start = seconds[-1] * torch.rand(n, 1, generator=generator)
        decay = 10 ** (2.3 * torch.rand(n, 1, generator=generator) - 2)
        height = torch.randn(n, 1, generator=generator) * _chosen(n, 0.6, generator)
        total += height * torch.exp(-(seconds - start).clamp(min=0) / decay) * (seconds >= start)
    return _unit(total)


def _windows(n: int, length: int, sampling_rate: float, generator: Generator, n_most: int = 3) -> Tensor:
    """Draws the courses of bursts of 0.4 to 6 s, in [0, 1], shape (n, length)."""
    seconds = torch.arange(length) / sampling_rate
    course = torch.zeros(n, length)
    for _ in range(n_most):
        centre = seconds[-1] * torch.rand(n, 1, generator=generator)
        half = 0.2 * 10 ** (1.2 * torch.rand(n, 1, generator=generator))
        burst = torch.exp(-(((seconds - centre) / half) ** 4)) * _chosen(n, 0.6, generator)
        course = torch.maximum(course, burst)
    return course


def _white_spectrum(n: int, length: int, generator: Generator) -> Tensor:
    return torch.fft.rfft(torch.randn(n, length, generator=generator))


def _unit(x: Tensor) -> Tensor:
    """Takes away the mean and scales to unit power; what is flat stays flat."""
    x = x - x.mean(1, keepdim=True)
    return x / x.std(1, keepdim=True).clamp(min=1e-6)


def _chosen(n: int, share: float, generator: Generator) -> Tensor:
    """Returns 1 for a random share of n and 0 for the others, shape (n, 1)."""
    return (torch.rand(n, 1, generator=generator) < share).float()
