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
    """

    amplitude: float = 0.2
    lead_gain: float = 0.05
    rotation: float = 0.1
    stretch: float = 0.1
    stretch_share: float = 0.3

    def __call__(self, x: Tensor, length: int, generator: Generator) -> Tensor:
        """Cuts a random piece of `length` samples out of each ECG and changes it: mV, leads I, II, V1-V6, (B, 8, L)."""
        n_batch, n_leads, n_samples = x.shape
        x = self._cut(x, length, generator)
        angles = self.rotation * torch.randn(n_batch, 3, generator=generator)
        forward = torch.as_tensor(DOWER, dtype=x.dtype)
        turn = forward @ (_rotation(angles) - torch.eye(3)) @ torch.linalg.pinv(forward)
        gain = self.lead_gain * torch.randn(n_batch, n_leads, 1, generator=generator)
        gain = gain + self.amplitude * torch.randn(n_batch, 1, 1, generator=generator)
        return gain.exp() * (x + turn @ x)

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
