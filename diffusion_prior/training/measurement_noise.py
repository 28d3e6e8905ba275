"""Recorded noise on measured samples, to train the conditional denoiser on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from einthoven.ecg.filters import clean_signal
from einthoven.run.fingerprint import fingerprint
from einthoven.run.hashing import hash_json
from preprocessing.cohorts.nstdb import load_noise

SNR_DB: dict[str, tuple[float, float]] = {
    "bw": (-20.0, 20.0), "em": (-12.0, 20.0), "ma": (-6.0, 24.0), "mix": (-12.0, 20.0), "coloured": (-6.0, 24.0)
}  # fmt: skip
"""Range of the signal-to-noise ratio of each kind of noise, before the high-pass. Most of bw's power lies below it."""


@dataclass(frozen=True)
class MeasurementNoise:
    """Noise of measured samples: recorded, mixed, or Gaussian with a random spectrum.

    Attributes:
        recordings: Noise at the signals' rate by type (bw, em, ma), in any unit, each of shape (channels, n).
        sampling_rate: That rate in Hz.
        share: Share of the records of a batch whose measured samples are noisy.
        gain: Standard deviation of the log of each lead's own gain.
        sigma_error: Standard deviation of the log of the error of the `sigma_y` that the denoiser gets.
        unknown: Share of the noisy records whose `sigma_y` is not known: the measurement's root mean square is given.
        snr_db: Range of the signal-to-noise ratio of each kind, in dB, before the high-pass.
    """

    recordings: Mapping[str, NDArray[np.float64]]
    sampling_rate: float = 100.0
    share: float = 0.25
    gain: float = 0.4
    sigma_error: float = 0.5
    unknown: float = 0.3
    snr_db: Mapping[str, tuple[float, float]] = field(default_factory=lambda: dict(SNR_DB))

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"the share of noisy records must lie between 0 and 1, got {self.share}")

    @property
    def digest(self) -> str:
        """Hash of the recordings."""
        return hash_json(fingerprint(self.recordings))

    @classmethod
    def read(cls, path: str | Path, sampling_rate: float = 100.0, share: float = 0.25) -> "MeasurementNoise":
        """Takes the first half of NSTDB's recordings, from the folder that `preprocessing.prepare_nstdb` wrote."""
        return cls(load_noise(path, "fit"), sampling_rate, share)

    def draw(self, x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draws noise, as it is left by the high-pass that a recording meets before it is denoised.

        In half of the records the sum of signal and noise is filtered, in the others the noise alone: then the signal
        is what the filter leaves of a recording's.

        Returns:
            Noise in mV, shape (B, C, L) of `x`, and `sigma_y`, its root mean square as the denoiser gets it, (B, C).
        """
        noise = torch.stack([self._draw_one(row, generator) for row in x])
        rate = self.sampling_rate
        both = torch.rand(len(x), generator=generator) < 0.5
        total = torch.where(both[:, None, None], x + noise, noise)
        filtered = torch.from_numpy(clean_signal(total.numpy(), rate, rate)).to(x)
        noise = torch.where(both[:, None, None], filtered - x, filtered)
        sigma_y = noise.square().mean(dim=-1).sqrt().clamp(min=1e-3)
        sigma_y = sigma_y * (self.sigma_error * torch.randn(sigma_y.shape, generator=generator)).exp()
        unknown = torch.rand(len(x), 1, generator=generator) < self.unknown
        return noise, torch.where(unknown, (x + noise).square().mean(dim=-1).sqrt(), sigma_y)

    def _draw_one(self, x: Tensor, generator: Generator) -> Tensor:
        """Draws the noise of one record, shape (C, L), before the high-pass."""
        kinds = list(self.snr_db)
        kind = kinds[int(torch.randint(len(kinds), (), generator=generator))]
        low, high = self.snr_db[kind]
        snr_db = low + (high - low) * float(torch.rand((), generator=generator))
        if kind == "coloured":
            noise = _coloured(x.shape, generator)
        else:
            types = list(self.recordings) if kind == "mix" else [kind]
            noise = torch.stack([_standardised(self._pieces(name, x.shape, generator)) for name in types]).sum(0)
        gain = (self.gain * torch.randn(len(x), 1, generator=generator)).exp()
        # As much noise in all leads, or in proportion to each lead.
        if float(torch.rand((), generator=generator)) < 0.5:
            gain = gain * x.std(dim=-1, keepdim=True)
        noise = gain * noise
        power = x.square().mean() / noise.square().mean().clamp(min=1e-12)
        return noise * (power * 10 ** (-snr_db / 10)).sqrt()

    def _pieces(self, name: str, shape: torch.Size, generator: Generator) -> Tensor:
        """Cuts a piece for each lead, of a random channel, place, sign and direction, shape (C, L)."""
        noise = self.recordings[name]
        n_leads, length = shape
        channels = torch.randint(len(noise), (n_leads,), generator=generator).tolist()
        starts = torch.randint(noise.shape[-1] - length + 1, (n_leads,), generator=generator).tolist()
        signs = torch.randint(4, (n_leads,), generator=generator).tolist()
        pieces = [
            (1 - 2 * (sign % 2)) * noise[channel, start : start + length][:: 1 - 2 * (sign // 2)]
            for channel, start, sign in zip(channels, starts, signs, strict=True)
        ]
        return torch.from_numpy(np.stack(pieces)).float()


def _standardised(noise: Tensor) -> Tensor:
    noise = noise - noise.mean(dim=-1, keepdim=True)
    return noise / noise.square().mean().sqrt().clamp(min=1e-6)


def _coloured(shape: torch.Size, generator: Generator) -> Tensor:
    """Draws Gaussian noise whose amplitude falls or rises with a random power of the frequency, shape (C, L)."""
    white = torch.fft.rfft(torch.randn(shape, generator=generator))
    frequency = torch.arange(white.shape[-1]).clamp(min=1) / white.shape[-1]
    slope = -1.5 + 2 * float(torch.rand((), generator=generator))
    floor = math.exp(-4 * float(torch.rand((), generator=generator)))
    return _standardised(torch.fft.irfft(white * (frequency**slope + floor), n=shape[-1]))
