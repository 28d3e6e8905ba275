"""Augmentation of training ECGs: plausible other hearts, chests and rates.

The heart is turned and scaled as a dipole seen by the leads (the inverse Dower view of Gopal et al. 2021, 3KG,
arXiv 2106.04452), each lead's gain varies a little as electrode positions do, and time is stretched.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from preprocessing.cohorts.simulator import DOWER


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training ECG of the eight independent leads.

    Attributes:
        amplitude: Standard deviation of the log of a record's common gain.
        lead_gain: Standard deviation of the log of each lead's own gain.
        rotation: Standard deviation of the heart's rotation about each axis, radians.
        stretch: Standard deviation of the log of the time stretch.
        stretch_share: Share of records that are stretched.
        neighbours: Standard deviation of the share of a neighbouring lead that is mixed into each of V1-V6, as if its
            electrode had been moved that part of the way.
        filter_share: Share of records that are filtered once more, as other machines do: by a high-pass of first order
            with a cut-off of 0.05 to 0.67 Hz, and by a low-pass without phase of second order at 25 to 150 Hz, both
            drawn on a logarithmic scale.
    """

    amplitude: float = 0.2
    lead_gain: float = 0.05
    rotation: float = 0.1
    stretch: float = 0.1
    stretch_share: float = 0.3
    neighbours: float = 0.0
    filter_share: float = 0.0

    def __call__(self, x: Tensor, length: int, generator: Generator, sampling_rate: float = 100.0) -> Tensor:
        """Cuts a random piece of `length` samples out of each ECG and changes it: mV, leads I, II, V1-V6, (B, 8, L)."""
        n_batch, n_leads, _ = x.shape
        if self.filter_share:
            x = self._filter(x, sampling_rate, generator)
        x = self._cut(x, length, generator)
        angles = self.rotation * torch.randn(n_batch, 3, generator=generator)
        forward = torch.as_tensor(DOWER, dtype=x.dtype)
        turn = forward @ (_rotation(angles) - torch.eye(3)) @ torch.linalg.pinv(forward)
        gain = self.lead_gain * torch.randn(n_batch, n_leads, 1, generator=generator)
        gain = gain + self.amplitude * torch.randn(n_batch, 1, 1, generator=generator)
        x = x + turn @ x
        if self.neighbours:
            x = self._move_electrodes(x, generator)
        return gain.exp() * x

    def _filter(self, x: Tensor, sampling_rate: float, generator: Generator) -> Tensor:
        u = torch.rand(3, len(x), 1, 1, generator=generator)
        high_pass, low_pass = 0.05 * (0.67 / 0.05) ** u[0], 25.0 * (150.0 / 25.0) ** u[1]
        frequency = torch.fft.rfftfreq(x.shape[-1], 1 / sampling_rate)
        gain = (1j * frequency / (1j * frequency + high_pass)) / (1 + (frequency / low_pass) ** 4)
        filtered = torch.fft.irfft(torch.fft.rfft(x) * gain, n=x.shape[-1])
        return torch.where(u[2] < self.filter_share, filtered, x)

    def _move_electrodes(self, x: Tensor, generator: Generator) -> Tensor:
        chest = x[:, -6:]
        share = self.neighbours * torch.randn(len(x), 6, 1, generator=generator)
        up = torch.cat([chest[:, 1:], chest[:, -1:]], dim=1)
        down = torch.cat([chest[:, :1], chest[:, :-1]], dim=1)
        moved = chest + share.abs() * (torch.where(share > 0, up, down) - chest)
        return torch.cat([x[:, :-6], moved], dim=1)

    def _cut(self, x: Tensor, length: int, generator: Generator) -> Tensor:
        n_batch, _, n_samples = x.shape
        speed = (self.stretch * torch.randn(n_batch, generator=generator)).exp()
        speed = torch.where(torch.rand(n_batch, generator=generator) < self.stretch_share, speed, 1.0)
        speed = speed.clamp(max=(n_samples - 1) / max(length - 1, 1))
        start = (n_samples - 1 - speed * (length - 1)) * torch.rand(n_batch, generator=generator)
        out = x.new_empty(*x.shape[:2], length)
        for row in range(n_batch):
            if speed[row] == 1:
                first = int(start[row].round())
                out[row] = x[row, :, first : first + length]
            else:
                out[row] = _interpolate(x[row], start[row] + speed[row] * torch.arange(length))
        return out


def _rotation(angles: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) from rotation vectors (B, 3), radians."""
    a, b, c = angles.unbind(1)
    zero = torch.zeros_like(a)
    return torch.linalg.matrix_exp(torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], dim=1).view(-1, 3, 3))


def _interpolate(x: Tensor, time: Tensor, reach: int = 4) -> Tensor:
    """Values of `x` (C, L) at the fractional sample times `time` (N,), by a Lanczos kernel; exact at whole samples."""
    taps = time.floor()[:, None] + torch.arange(1 - reach, reach + 1)
    offset = time[:, None] - taps
    weight = torch.sinc(offset) * torch.sinc(offset / reach) * (offset.abs() < reach)
    weight = weight / weight.sum(dim=1, keepdim=True)
    return (x[:, taps.long().clamp(0, x.shape[-1] - 1)] * weight).sum(dim=-1)
