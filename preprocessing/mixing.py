"""Adds noise to clean ECGs, at a signal-to-noise ratio or at a ratio of peak-to-peak values."""

import importlib
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # torch is imported where a tensor is met only
    import torch

SignalT = TypeVar("SignalT", NDArray[np.float32], NDArray[np.float64], "torch.Tensor")


def mix_at_snr(x: SignalT, noise: SignalT, snr_db: float) -> SignalT:
    """Adds noise to a signal at a given signal-to-noise ratio.

    y = x + g * noise, with g such that 10 log10(P(x) / P(g * noise)) = snr_db, P the mean power over leads and samples.
    Offsets count as power: take them away before where they mean nothing.

    Args:
        x: Clean ECG in mV, shape (..., C, L); numpy or torch; ValueError if a record is zero everywhere.
        noise: Noise in any unit, shape (..., C, L) or (C, L), of the same kind; likewise.
        snr_db: Target ratio in dB.
    """
    power_x = (x**2).mean(axis=(-2, -1), keepdims=True)  # type: ignore[call-overload] # torch knows numpy's names too
    power_noise = (noise**2).mean(axis=(-2, -1), keepdims=True)  # type: ignore[call-overload]
    if bool((power_noise == 0).any()):
        raise ValueError("the noise of a record is zero everywhere: no gain gives it a power")
    if bool((power_x == 0).any()):
        raise ValueError("the signal of a record is zero everywhere: it has no signal-to-noise ratio")
    gain = (power_x / power_noise * 10.0 ** (-snr_db / 10)) ** 0.5
    return x + gain * noise


def mix_at_power(x: SignalT, noise: SignalT, power: float) -> SignalT:
    """Adds noise in proportion to the peak-to-peak value of each lead.

    y = x + power * noise * ptp(x) / ptp(noise), per lead: the noise of Bedin et al., Phil. Trans. R. Soc. A
    383:20240330 (2025), who take 2.0 for bw and 1.0 for em.

    Args:
        x: Clean ECG in mV, shape (..., C, L); numpy or torch.
        noise: Noise in any unit, shape (..., C, L) or (C, L), of the same kind; ValueError if a lead does not change.
        power: Peak-to-peak value of the noise, relative to that of the lead; not negative.
    """
    if power < 0:
        raise ValueError(f"power must not be negative, but is {power:g}")
    span_noise = _span(noise)
    if bool((span_noise == 0).any()):
        raise ValueError("the noise of a lead does not change: it has no peak-to-peak value to scale by")
    return x + power * noise * (_span(x) / span_noise)


def _span(x: SignalT) -> SignalT:
    """Returns the peak-to-peak value of each lead, shape (..., C, 1)."""
    library: Any = np if isinstance(x, np.ndarray) else importlib.import_module("torch")
    return library.amax(x, -1, keepdims=True) - library.amin(x, -1, keepdims=True)
