"""The denoiser: a preconditioned network, conditional on labels and on measured samples.

References:
    Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022, arXiv 2206.00364.
    Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv 2006.11239.
"""

from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from diffusion_prior.model.schedule import DiscreteSchedule, Schedule
from einthoven.ecg.leads import NINE_LEADS, consistent_matrix


class PriorDenoiser(Protocol):
    """What samplers ask of a denoiser whose conditions are fixed: `denoiser(x_t, t)` and its schedule."""

    @property
    def schedule(self) -> Schedule:
        """The noise schedule."""
        ...

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Returns E[x given x_t] at time `t` (shape ()), in mV, shape of `x_t` (..., C, L)."""
        ...


class Denoiser(nn.Module):
    r"""Estimates the clean signal, `E[x given x_t, label, measured samples]`.

    With `s = sigma_t / alpha_t` and `x_s = x_t / alpha_t`, Karras et al. Eq. (7):
    `c_skip x_s + c_out F(c_in x_s, c_noise)`, `c_skip = sigma_data^2 / (s^2 + sigma_data^2)`,
    `c_out = s sigma_data / sqrt(s^2 + sigma_data^2)`, `c_in = 1 / sqrt(s^2 + sigma_data^2)`, `c_noise = log(s) / 4`.

    The network sees the measured samples in extra channels: `y / sqrt(sigma_data^2 + sigma_y^2)`, and how much they are
    worth, `sigma_data / sqrt(sigma_data^2 + sigma_y^2)`, from 1 for exact samples to 0 where nothing was measured. An
    exact sample is its own estimate. A noisy one is a second noised signal beside `x_s`: both are joined to
    `u = (x_s / s^2 + y / sigma_y^2) s_u^2` at the noise level `s_u = (1 / s^2 + 1 / sigma_y^2)^(-1/2)`, and `u` and
    `s_u` take the places of `x_s` and `s` above (in `c_noise` the mean of `log s_u` over what is not exact). If the
    noise were white, and equal in all leads, the denoiser without a measurement would be the one with it.

    Args:
        backbone: Network `F(x (B, 3 C, L), c_noise (B,), label (B, n_labels)) -> (B, C, L)`.
        schedule: Noise schedule.
        leads: Names of the C leads.
        sampling_rate: Sampling rate of the signals, Hz.
        sigma_data: Standard deviation of the signals, mV.
        n_labels: Length of the label vector; 0 for an unconditional prior.

    Attributes:
        spec: How the denoiser was built, for its checkpoint.
        facts: What its checkpoint says of it.
        takes_measurements: Whether it can be told measured samples.
    """

    takes_measurements = True

    def __init__(
        self,
        backbone: nn.Module,
        schedule: Schedule,
        leads: Sequence[str],
        sampling_rate: float = 100.0,
        sigma_data: float = 0.25,
        n_labels: int = 71,
    ) -> None:
        super().__init__()
        self.backbone, self.schedule = backbone, schedule
        self.leads, self.sampling_rate = tuple(leads), float(sampling_rate)
        self.sigma_data, self.n_labels = sigma_data, n_labels
        self.spec: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        level: Tensor | None = None,
    ) -> Tensor:
        """Denoises.

        Args:
            x_t: Noised signal in mV, shape (B, C, L).
            t: Diffusion time in [0, 1], shape () or (B,).
            label: Multi-hot SCP statements, shape (B, n_labels); None or a row of zeros where not known.
            y: Measured samples in mV, shape (B, C, L); read only where `observed`.
            observed: True where a sample was measured, shape (B, C, L).
            level: Root mean square sigma_y of the measured samples' noise in each lead, in mV, shape (B, C); None or 0
                where they are exact.

        Returns:
            Estimate of the clean signal in mV, shape (B, C, L).

        Raises:
            ValueError: If only one of `y` and `observed` is given, or labels to a prior that was trained without.
        """
        if label is not None and label.shape[-1] != self.n_labels:
            raise ValueError(f"this prior takes {self.n_labels} labels, got {label.shape[-1]}")
        if (y is None) != (observed is None) or (y is None and level is not None):
            raise ValueError("y and observed belong together, and a level to them: give both or neither")
        alpha, sigma = self.schedule(torch.as_tensor(t, dtype=x_t.dtype, device=x_t.device).expand(len(x_t)))
        x_s, s = x_t / alpha[:, None, None], sigma / alpha
        if label is None:
            label = x_t.new_zeros(len(x_t), self.n_labels)
        if y is None or observed is None:
            u, s_u, c_noise = x_s, s[:, None, None], s.log() / 4
            measured = x_t.new_zeros(len(x_t), 2 * x_t.shape[1], x_t.shape[2])
        else:
            y = torch.where(observed, y, 0)
            sigma_y = x_t.new_zeros(x_t.shape[:2]) if level is None else level.to(x_t)
            sigma_y = sigma_y[..., None].expand_as(x_t)
            s_u = self.joined_level(s, observed, sigma_y)
            u = torch.lerp(y, x_s, (s_u / s[:, None, None]).square())
            exact = observed & (sigma_y == 0)
            open_samples = (~exact).sum(dim=(1, 2)).clamp(min=1)
            c_noise = torch.where(exact, 0, s_u.log()).sum(dim=(1, 2)) / open_samples / 4
            scale_y = (sigma_y.square() + self.sigma_data**2).sqrt()
            measured = torch.cat([y / scale_y, observed * self.sigma_data / scale_y], dim=1)
        total = (s_u.square() + self.sigma_data**2).sqrt()
        network = self.backbone(torch.cat([u / total, measured], dim=1), c_noise, label).to(x_t.dtype)
        x = (self.sigma_data / total).square() * u + s_u * self.sigma_data / total * network
        return x if y is None or observed is None else torch.where(exact, y, x)

    def joined_level(self, s: Tensor, observed: Tensor, level: Tensor) -> Tensor:
        """Returns `s_u`, the noise level of the noised and the measured signal together.

        Args:
            s: Noise level `sigma_t / alpha_t` in mV, shape (B,).
            observed: True where a sample was measured, shape (B, C, L).
            level: Root mean square of the measured samples' noise in mV, shape (B, C, L); 0: exact, which counts as
                not measured here.

        Returns:
            Noise level in mV, shape (B, C, L).
        """
        s = s[:, None, None].expand_as(level)
        noisy = observed & (level > 0)
        return torch.where(noisy, s * level / (s.square() + level.square()).sqrt().clamp(min=1e-12), s)


class EpsilonDenoiser(Denoiser):
    r"""Estimates the clean signal by a network that finds the noise at one of a number of steps, as RhythmDiff's does.

    `E[x given x_t] = (x_t - sigma_t F(x_t, k, label)) / alpha_t` (Ho et al. 2020), with k the schedule's step. Where
    lead III is a lead of its own the estimate is projected onto the ECGs with III = II - I, which brings it nearer to
    the truth.

    A `gain` g_k between 0 and 1, where there is one, multiplies the estimate: see `estimate_gain`.

    RhythmDiff's network has learnt records of `record_length` samples with zeros behind them, `segment_length` in all,
    and not without. So behind a record it is shown what noised zeros look like, always with the same noise.

    Args:
        backbone: Network `F(x (B, C, L), step (B,), label (B, n_labels)) -> (B, C, L)`, with an attribute `stride` of
            which L has to be a multiple.
        schedule: Noise schedule with steps.
        leads: Names of the C leads.
        sampling_rate: Sampling rate of the signals, Hz.
        sigma_data: Standard deviation of the signals, mV.
        n_labels: Length of the label vector; 0 for an unconditional prior.
        record_length: Samples of the records that the network has learnt; None where they filled the segments.
        segment_length: Samples of the segments that it was trained on.
        gain: Pairs of step and gain, ascending by step, interpolated in between; None: one.

    Raises:
        ValueError: If the segments are no multiple of the backbone's stride, or shorter than the records.
    """

    takes_measurements = False
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

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        level: Tensor | None = None,
    ) -> Tensor:
        """Denoises: see `Denoiser.forward`.

        Raises:
            ValueError: If measured samples are given, which the network does not know, or labels that it does not.
        """
        if y is not None or observed is not None or level is not None:
            raise ValueError("this prior cannot be told measured samples: take a method that needs the prior alone")
        alpha, sigma = self.schedule(self._times(t, x_t))
        x = (x_t - sigma[:, None, None] * self.noise(x_t, t, label)) / alpha[:, None, None]
        if self.gain is not None:
            x = self._gain[self.schedule.network_step(self._times(t, x_t)).long()].to(x)[:, None, None] * x
        return (self._consistent.to(x) @ x).to(x_t.dtype)

    def noise(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Returns the standard normal noise that the network finds, shape (B, C, L); arguments as in `forward`."""
        if label is not None and label.shape[-1] != self.n_labels:
            raise ValueError(f"this prior takes {self.n_labels} labels, got {label.shape[-1]}")
        length, t = x_t.shape[-1], self._times(t, x_t)
        if label is None:
            label = x_t.new_zeros(len(x_t), self.n_labels)
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


class ConditionalDenoiser:
    r"""A denoiser whose conditions are fixed, and which takes any leading dimensions.

    With a guidance scale `w` other than 1 (Ho & Salimans 2022, arXiv 2207.12598), the result is
    `D(x_t, no label) + w (D(x_t, label) - D(x_t, no label))`, at twice the network calls.

    Args:
        denoiser: The denoiser.
        label: Multi-hot SCP statements, shape (n_labels,) or (B, n_labels).
        y: Measured samples in mV, shape (C, L) or (B, C, L).
        observed: True where a sample was measured, shape (C, L) or (B, C, L).
        guidance_scale: Classifier-free guidance scale; 1 is the plain conditional model.
        level: Root mean square of the measured samples' noise in mV, shape (C,) or (B, C); None: exact.

    Attributes:
        n_calls: Network calls so far.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        label: Tensor | None = None,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        guidance_scale: float = 1.0,
        level: Tensor | None = None,
    ) -> None:
        self.denoiser, self.schedule = denoiser, denoiser.schedule
        self.label, self.y, self.observed, self.guidance_scale = label, y, observed, guidance_scale
        self.level = level
        self.n_calls = 0

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Denoises.

        Args:
            x_t: Noised signal in mV, shape (..., B, C, L).
            t: Diffusion time in [0, 1], shape ().

        Returns:
            Estimate of the clean signal in mV, shape of `x_t`.
        """
        flat = x_t.reshape(-1, *x_t.shape[-2:])

        def rows(value: Tensor | None, n_dims: int) -> Tensor | None:
            if value is None:
                return None
            value = value.to(x_t.device).expand(*x_t.shape[:-2], *value.shape[-n_dims:])
            return value.reshape(-1, *value.shape[-n_dims:])

        y, observed = rows(self.y, 2), rows(self.observed, 2)
        label, level = rows(self.label, 1), rows(self.level, 1)
        # Without noise the argument is left out: denoisers that know none can stand in.
        noisy = {} if level is None else {"level": level}
        x = self.denoiser(flat, t, label, y, observed, **noisy)
        self.n_calls += 1
        if label is not None and self.guidance_scale != 1.0:
            plain = self.denoiser(flat, t, None, y, observed, **noisy)
            self.n_calls += 1
            x = plain + self.guidance_scale * (x - plain)
        return x.reshape(x_t.shape)
