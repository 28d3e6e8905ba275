"""A first guess of a recording's noise: spectra of recorded noise, scaled to each lead.

The spectra are those of the first halves in time of NSTDB's recordings, and one of clean ECGs. They lie in
`spectra/nstdb.npz`, made by `python -m reconstruction.fit_spectra`.

References:
    Moody, Muldrow, Mark, A noise stress test for arrhythmia detectors, Computers in Cardiology 11, 381 (1984).
    Févotte, Bertin, Durrieu, Nonnegative matrix factorization with the Itakura-Saito divergence, Neural Computation
    21, 793 (2009): fitting a power spectrum by a sum of known ones.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from torch import Tensor

from einthoven.ecg.filters import fill_gaps, high_pass_power
from einthoven.ecg.leads import LEADS
from einthoven.run.registry import check_choice
from preprocessing.cohorts.nstdb import MIX, NOISE_TYPES
from reconstruction.measurement.noise_model import SpectralNoise, cosine_basis

SPECTRA = Path(__file__).parent / "spectra" / "nstdb.npz"
AUTO = "auto"
NOISES: tuple[str, ...] = (*NOISE_TYPES, MIX, AUTO)
NOISE_NAMES: dict[str, str] = {
    **NOISE_TYPES,
    MIX: "baseline wander, electrode motion and muscle artefact",
    AUTO: "of a type that was not told",
}
"""The types of noise in words."""
FLOOR_MV = 0.005
"""Standard deviation in mV of the white noise that every recording has."""
PIECE = 1000
PIECE_STEP = 100
N_UPDATES = 100
ECG_BAND_HZ = 0.45
"""From here on a lead has power of its ECG; what is below is noise."""
ECG_BAND_WEIGHT = 0.03
"""How much a frequency of the ECG's band counts where noise is scaled; one below counts 1. Of 0.003 to 1, on fold 9."""
SLOW_DRIFT_HZ = (0.15, 0.25)
"""Up to where drift is slow, and from where on it is faster."""
LEAST_DRIFT = 0.28
"""What a high-pass leaves at most of the slow drift, relative to the faster: on fold 9 it is less in 90 % of records
after one of first order at 0.5 Hz, and in 5 % without."""


def fit_spectra(
    noise: Mapping[str, NDArray[np.float64]], clean: NDArray[np.floating], sampling_rate: float
) -> dict[str, NDArray[np.float32]]:
    """Averages power spectra of pieces of recorded noise and of clean ECGs.

    Args:
        noise: By type, noise in any unit, shape (channels, n).
        clean: Clean ECGs in mV, shape (N, C, PIECE).
        sampling_rate: Sampling rate of both in Hz.

    Returns:
        `frequency` in Hz, and by type the mean variance of the orthonormal DCT-II's coefficients, with a mean of 1,
        each of shape (PIECE,).
    """
    spectra = {"clean": _mean_spectrum(clean)}
    for name, recording in noise.items():
        windows = np.lib.stride_tricks.sliding_window_view(recording, PIECE, axis=-1)[:, ::PIECE_STEP]
        spectra[name] = _mean_spectrum(windows - windows.mean(axis=-1, keepdims=True))
    return {"frequency": _frequencies(PIECE, sampling_rate).astype(np.float32)} | spectra


def initial_noise(
    y: Tensor, observed: Tensor, sampling_rate: float, noise_type: str = AUTO, *, filtered: bool = False
) -> SpectralNoise:
    """Guesses the noise of each lead: spectra of recorded noise and of clean ECGs, scaled so that they fit its own.

    With the power `p_k` of the lead at frequency k and the spectra `s_jk` of clean ECGs and of the noise, the scales
    minimise the Itakura-Saito divergence, `sum_k p_k / v_k + log v_k` with `v_k = sum_j h_j s_jk`, which is the maximum
    of the likelihood of Gaussian signals. The spectrum of one ECG is far from the mean one, so frequencies that it has
    power at count little (`ECG_BAND_WEIGHT`): what lies in them would be taken for noise. Where the type is not known,
    a record is given the one with the smallest divergence over its leads where all frequencies count alike. The drift
    below the ECG's band tells most, so the measurement should not have met a high-pass, even where the noise that one
    leaves is asked for.

    Args:
        y: Measurement in mV, as it was recorded, shape (B, m, L), that of the noise.
        observed: True where measured, shape (B, m, L).
        sampling_rate: Its sampling rate in Hz.
        noise_type: bw, em, ma, mix (all three at equal power), or auto (one of these, chosen for each record).
        filtered: Whether the noise is meant that `einthoven.ecg.filters.clean_signal` leaves of it.
    """
    packaged = [name for name in NOISE_TYPES if name in _load_spectra()]
    if noise_type in NOISE_TYPES and noise_type not in packaged:
        raise ValueError(f"no spectrum of {noise_type} is packaged: make it with python -m reconstruction.fit_spectra")
    check_choice("noise_type", noise_type, (*packaged, MIX, AUTO))
    values = torch.where(observed, y, torch.nan).cpu().numpy().astype(np.float64)
    power = (torch.from_numpy(fill_gaps(values)) @ cosine_basis(y.shape[-1]).T).square()
    measured = observed.any(dim=-1).cpu()
    types = (*packaged, MIX) if noise_type == AUTO else (noise_type,)
    spectra = [_spectra_at(y.shape[-1], sampling_rate, name) for name in types]
    divergences = torch.stack([_fit(power, torch.ones_like(power[:, :1]), pair)[1] for pair in spectra])
    best = torch.where(measured, divergences, 0.0).sum(dim=-1).argmin(dim=0)
    weights = [_weight(power, measured, noise, sampling_rate) for _, noise in spectra]
    fits = [_fit(power, weight, pair)[0] for weight, pair in zip(weights, spectra, strict=True)]
    noise = torch.stack(fits)[best, torch.arange(len(y))]
    # An offset says nothing of an ECG.
    noise[..., 0] = torch.maximum(noise[..., 1], power[..., 0])
    if filtered:
        left = torch.from_numpy(high_pass_power(_frequencies(y.shape[-1], sampling_rate)))
        noise = left * noise + (1 - left) * FLOOR_MV**2
    return SpectralNoise(noise.to(y))


def describe_noise(noise: str | None, level: NDArray[np.float32] | None) -> list[str]:
    """Says which noise was removed, None: none, and how much of it of each of the twelve leads, in mV, shape (12,)."""
    if noise is None or level is None:
        return []
    levels = ", ".join(f"{lead} {value:.3f}" for lead, value in zip(LEADS, level, strict=True) if not np.isnan(value))
    return [f"noise removed ({NOISE_NAMES[noise]}): {levels} mV root mean square; no sample is kept as it was measured"]


def _mean_spectrum(signals: NDArray[np.floating]) -> NDArray[np.float32]:
    """Returns the mean power of the cosine coefficients of signals (..., PIECE), scaled to a mean of 1."""
    power = np.square(dct(signals.astype(np.float64), norm="ortho", axis=-1))
    mean = power.reshape(-1, PIECE).mean(axis=0)
    return np.asarray(mean / mean.mean(), dtype=np.float32)


def _frequencies(length: int, sampling_rate: float) -> NDArray[np.float64]:
    """Returns the frequencies of cosine coefficients in Hz."""
    return np.arange(length) * sampling_rate / (2 * length)


def _spectra_at(length: int, sampling_rate: float, noise_type: str) -> Tensor:
    """Returns the spectra of clean ECGs and of a noise at the frequencies of a measurement, (2, length), float64."""
    packaged = _load_spectra()
    types = [name for name in NOISE_TYPES if name in packaged] if noise_type == MIX else [noise_type]
    noise = np.sum([packaged[name] for name in types], axis=0)
    frequency = _frequencies(length, sampling_rate)
    rows = [np.interp(frequency, packaged["frequency"], row) for row in (packaged["clean"], noise)]
    return torch.from_numpy(np.stack(rows)).clamp(min=1e-9)


@lru_cache(maxsize=1)
def _load_spectra() -> dict[str, NDArray[np.float64]]:
    with np.load(SPECTRA, allow_pickle=False) as file:
        return {name: file[name].astype(np.float64) for name in file.files}


def _weight(power: Tensor, measured: Tensor, noise: Tensor, sampling_rate: float) -> Tensor:
    """Says how much each frequency counts for the scale of a noise, shape (B, 1, L): all alike after a high-pass.

    A high-pass leaves less of the slowest drift than of the faster, relative to the spectrum of the noise (L,), in
    most of the measured leads, bool of shape (B, m), of powers (B, m, L).
    """
    frequency = torch.from_numpy(_frequencies(power.shape[-1], sampling_rate))
    slow = (frequency > 0) & (frequency <= SLOW_DRIFT_HZ[0])
    faster = (frequency >= SLOW_DRIFT_HZ[1]) & (frequency < ECG_BAND_HZ)
    alike = torch.ones_like(power[:, :1])
    if not bool(slow.any()) or not bool(faster.any()):
        return alike
    relative = power.clamp(min=1e-12) / noise
    left = relative[..., slow].mean(dim=-1) / relative[..., faster].mean(dim=-1)
    left = torch.where(measured, left, torch.nan).nanmedian(dim=-1).values
    return torch.where((left > LEAST_DRIFT)[:, None, None] & (frequency >= ECG_BAND_HZ), ECG_BAND_WEIGHT, alike)


def _fit(power: Tensor, weight: Tensor, spectra: Tensor) -> tuple[Tensor, Tensor]:
    """Scales the spectra (2, L) of clean ECGs and of a noise to fit powers (B, m, L), by multiplicative updates.

    The scales are those of least divergence with frequencies weighted (B, 1, L). Returns the noise's variances, shape
    (B, m, L), and the divergence that is left with all frequencies alike, shape (B, m).
    """
    p, s, w = power[..., 1:].clamp(min=1e-12), spectra[:, 1:], weight[..., 1:]
    scales = p.mean(dim=-1, keepdim=True).expand(*p.shape[:-1], len(s))
    for _ in range(N_UPDATES):
        total = scales @ s + FLOOR_MV**2
        scales = scales * (((w * p / total.square()) @ s.T) / ((w / total) @ s.T)).sqrt()
    total = scales @ s + FLOOR_MV**2
    return scales[..., 1:] * spectra[1] + FLOOR_MV**2, (p / total + total.log()).sum(dim=-1)
