"""The denoiser: a preconditioned network, conditional on labels and on measured samples.

Reference:
    Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022, arXiv 2206.00364.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from diffusion_prior.schedule import Schedule


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
    """

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
