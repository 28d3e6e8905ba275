"""The denoiser of a network that finds the noise at one of a number of steps, as RhythmDiff's does.

Reference:
    Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv 2006.11239.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from diffusion_prior.model.denoiser import NOTHING, Conditions, Denoiser
from diffusion_prior.model.schedule import DiscreteSchedule
from einthoven.ecg.leads import NINE_LEADS, consistent_matrix

LARGEST_SLOPE_SIGMA_MV = 2.0
"""Noise in mV up to which the derivative of such a network is used."""


class EpsilonDenoiser(Denoiser):
    r"""Estimates the clean signal by a network that finds the noise at one of a number of steps, as RhythmDiff's does.

    `E[x given x_t] = (x_t - sigma_t F(x_t, k, label)) / alpha_t` (Ho et al. 2020), with k the schedule's step. Where
    lead III is a lead of its own the estimate is projected onto the ECGs with III = II - I, which brings it nearer to
    the truth.

    A `gain` g_k between 0 and 1, where there is one, multiplies the estimate: see `estimate_gain`.

    RhythmDiff's network has learnt records of `record_length` samples with zeros behind them, `segment_length` in all,
    and not without. So behind a record it is shown what noised zeros look like, always with the same noise.

    Args:
        backbone: Network `F(x (B, C, L), step (B,), label (B, n_labels)) -> (B, C, L)`, L a multiple of its `stride`.
        schedule: Noise schedule with steps.
        leads: As for `Denoiser`, and so are the next three.
        sampling_rate: Hz.
        sigma_data: mV.
        n_labels: 0 for an unconditional prior.
        record_length: Samples of the records that the network has learnt; None where they filled the segments.
        segment_length: Samples of the segments that it was trained on, a multiple of the stride.
        gain: Pairs of step and gain, ascending by step, interpolated in between; None: one.
    """

    finds_noise = True
    _consistent: Tensor
    _behind: Tensor
    _gain: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        schedule: DiscreteSchedule,
        leads: Sequence[str] = NINE_LEADS,
        sampling_rate: float = 100.0,
        sigma_data: float = 0.25,
        n_labels: int = 71,
        record_length: int | None = 1000,
        segment_length: int = 1024,
        gain: Sequence[Sequence[float]] | None = None,
    ) -> None:
        super().__init__(backbone, schedule, leads, sampling_rate, sigma_data, n_labels)
        self.schedule: DiscreteSchedule = schedule
        self._stride = int(cast(int, backbone.stride))
        if segment_length % self._stride or (record_length or 1) > segment_length:
            raise ValueError(
                f"model.segment_length must be a multiple of {self._stride}, the network's stride, and at least "
                f"model.record_length; got {segment_length} and {record_length}"
            )
        self.record_length, self.segment_length = record_length, segment_length
        self.register_buffer("_consistent", torch.from_numpy(consistent_matrix(self.leads, self.leads)), False)
        longest = max(self._stride - 1, segment_length - (record_length or segment_length))
        behind = torch.randn(len(self.leads), longest, generator=torch.Generator().manual_seed(0))
        self.register_buffer("_behind", behind, False)
        self.set_gain(gain)

    def set_gain(self, gain: Sequence[Sequence[float]] | None) -> None:
        """Takes another gain; argument as above."""
        self.gain = gain
        steps, gains = zip(*(gain or [(0, 1)]), strict=True)
        table = np.interp(np.arange(self.schedule.n_steps), steps, gains)
        self.register_buffer("_gain", torch.from_numpy(table).to(self._behind.device), False)

    @property
    def device(self) -> torch.device:
        """The device of the denoiser."""
        return self._behind.device

    def has_slope(self, t: Tensor) -> bool:
        """Tells whether the derivative of the estimate at time `t` (shape ()) is good to go by.

        The error of the network's own derivative is in the estimate's `sigma_t / alpha_t` times over. Of a small
        SaShiMi on PTB-XL's fold 9, what guidance made of it was right up to 2 mV, 18 times too large at 5 mV and over
        400 times at 30 mV, where guided samplers diverged; that of a preconditioned network is right at any noise.
        """
        alpha, sigma = self.schedule(t)
        return bool(sigma <= LARGEST_SLOPE_SIGMA_MV * alpha)

    def forward(self, x_t: Tensor, t: Tensor, conditions: Conditions = NOTHING) -> Tensor:
        """Denoises: see `Denoiser.forward`; the network can be told neither measured samples nor covariates."""
        if conditions.covariates is not None:
            raise ValueError("this prior cannot be told age, sex or rhythm: leave them out")
        if conditions.y is not None:
            raise ValueError("this prior cannot be told measured samples: take a method that needs the prior alone")
        alpha, sigma = self.schedule(self._times(t, x_t))
        x = (x_t - sigma[:, None, None] * self.noise(x_t, t, conditions.label)) / alpha[:, None, None]
        if self.gain is not None:
            x = self._gain[self.schedule.network_step(self._times(t, x_t)).long()].to(x)[:, None, None] * x
        return (self._consistent.to(x) @ x).to(x_t.dtype)

    def noise(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Returns the standard normal noise that the network finds, shape (B, C, L), from `x_t`, `t` and labels."""
        length, t, label = x_t.shape[-1], self._times(t, x_t), self.label_of(x_t, label)
        n_more = self.padded_length(length) - length
        if n_more:
            behind = self.schedule(t)[1][:, None, None] * self._behind[:, :n_more].to(x_t)
            x_t = torch.cat([x_t, behind], dim=-1)
        return self.backbone(x_t, self.schedule.network_step(t), label)[..., :length].to(x_t.dtype)

    @staticmethod
    def _times(t: Tensor, x_t: Tensor) -> Tensor:
        """Returns `t` for each record, shape (B,); half precision would mix steps up."""
        dtype = torch.promote_types(x_t.dtype, torch.float32)
        return torch.as_tensor(t, dtype=dtype, device=x_t.device).expand(len(x_t))

    def padded_length(self, length: int) -> int:
        """Returns how many samples the network is shown of records of `length` samples."""
        if self.record_length is not None and self.record_length <= length <= self.segment_length:
            return self.segment_length
        return length + -length % self._stride
