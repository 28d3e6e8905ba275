"""`reconstruct`: twelve leads from what was measured.

The recording is filtered and resampled as the prior was trained, restored, and returned at its own rate and length.
Measured samples are kept, in the band that the prior knows; two limb leads measured at the same time give the other
four exactly. With `noise`, no sample is kept: all are estimated, with the missing ones, in one go. "amortised" then
starts from the noise's usual spectrum and refines its level; every other method runs inside `SpectralEM`, which
estimates the spectrum of each lead.

Methods are those of `METHODS`: "amortised" (a second), "decoupled" (seconds, any lead or rate), others (up to a
minute); and of `BLIND_METHODS`, to remove noise. Where none is named the most accurate of the quick ones is taken:
"spectral_em" for noise in a whole ECG, "decoupled" for gaps or a rate below the prior's, else "amortised"; with weights
of RhythmDiff's prior, which know no "amortised", the other two.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffusion_prior.checkpoint import shared_denoiser
from einthoven.ecg.filters import resample
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS
from einthoven.run.registry import check_choice
from einthoven.statistics import predictive_band
from preprocessing.cohorts.nstdb import MIX, NOISE_TYPES
from reconstruction.measurement.checks import check_recording
from reconstruction.measurement.measurement import Measurement, measure_recording
from reconstruction.measurement.noise_model import NoiseModel
from reconstruction.measurement.noise_start import AUTO, NOISES
from reconstruction.measurement.saturation import Saturation, check_saturation
from reconstruction.samplers.base import Draws, PosteriorSampler
from reconstruction.samplers.registry import BLIND_METHODS, METHODS, RIVALS
from reconstruction.samplers.spec import SamplerSpec
from reconstruction.twelve_leads import sample_twelve_leads

PRIOR_RATE_HZ = 100.0
"""Sampling rate of the bundled prior."""
SIGMA_Y_MV = 0.01
"""Standard deviation of the measurement's noise that is assumed, in mV: what a filtered resting ECG still has."""
NOISE_NAMES: dict[str, str] = {
    **NOISE_TYPES,
    MIX: "baseline wander, electrode motion and muscle artefact",
    AUTO: "of a type that was not told",
}
"""The types of noise in words."""


@dataclass(frozen=True)
class Reconstruction:
    """A twelve-lead ECG with its uncertainty, at the rate and length of the recording.

    Attributes:
        samples: Draws of what the ECG may be, in mV, shape (n_samples, 12, L), float32.
        mean: Posterior mean in mV, shape (12, L): the network's own estimate ("amortised"), or the samples' average.
        lower: 5th percentile of the predictive distribution in mV, shape (12, L).
        upper: 95th percentile in mV, shape (12, L).
        observed: True where a sample was measured or follows from measured ones, shape (12, L).
        leads: Names of the twelve leads.
        sampling_rate: Sampling rate in Hz.
        method: Name of the method.
        network_calls: Network evaluations, each on all samples at once.
        gradient_calls: How many of these went backward too.
        seconds: Time that the samples took.
        notes: What was filtered, what was missing, what was removed and what looks wrong, in words.
        noise_level: Estimated root mean square of the noise of each of the twelve leads, in mV, shape (12,), NaN for
            leads whose noise was not looked at; None where no noise was to be removed.
    """

    samples: NDArray[np.float32]
    mean: NDArray[np.float32]
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    observed: NDArray[np.bool_]
    leads: tuple[str, ...]
    sampling_rate: float
    method: str
    network_calls: int
    gradient_calls: int
    seconds: float
    notes: tuple[str, ...]
    noise_level: NDArray[np.float32] | None = None


def reconstruct(
    ecg: ArrayLike,
    sampling_rate: float = 500,
    leads: Sequence[str] = ("I",),
    n_samples: int = 10,
    method: str | None = None,
    seed: int = 0,
    *,
    noise: str | None = None,
    saturation: Saturation = None,
    sampler: PosteriorSampler | None = None,
    weights: str | Path | None = None,
    sigma_y: float = SIGMA_Y_MV,
    key: int | str = 0,
    device: str | torch.device = "cpu",
) -> Reconstruction:
    """Reconstructs the twelve leads of a recording of 2.5 to 10 s from what was measured of it: see the module.

    Args:
        ecg: ECG in mV, shape (n_leads, L); NaN where a sample is missing.
        sampling_rate: Sampling rate in Hz, 50 or more; below the prior's (100) not with "amortised".
        leads: Lead names in the order of `ecg`, in any order and case.
        n_samples: Number of samples, at least 2.
        method: Name of a method, as above; None: the most accurate of the quick ones.
        seed: Seed; the same seed and key give the same samples.
        noise: Noise to remove: "bw", "em", "ma" (see `NOISE_NAMES`), "mix", "auto" (not known); None: the ECG is clean.
        saturation: Limits of the recorder, (lower, upper) in mV, or "auto" to find plateaus, to restore; None: none.
        sampler: A sampler of one's own settings, used as it is, in place of `method` and `weights`.
        weights: The prior's: a file, a training's folder, or RhythmDiff's `checkpoint.pkl`; None: the bundled ones.
        sigma_y: Standard deviation of the measurement's noise in mV, where `noise` is None (not for "amortised").
        key: Key of the record, to which its random numbers belong.
        device: Device of the network.

    Raises:
        ValueError: If the recording or an argument is not usable; the message says what to do.
    """
    x, names = check_recording(ecg, sampling_rate, leads)
    check_saturation(saturation)
    check_n_samples(n_samples)
    method, sampler = _choose(x, sampling_rate, names, noise, method, sampler, weights, device)
    prior = (sampler.leads, sampler.sampling_rate)
    measurement, notes = measure_recording(x, sampling_rate, names, *prior, noise=noise, saturation=saturation)
    measurement, start = measurement.to(device), time.perf_counter()
    draws = sample_twelve_leads(sampler, measurement, [key], n_samples, seed, sigma_y)
    seconds = time.perf_counter() - start
    return _as_recorded(draws, measurement, method, noise, prior[1], float(sampling_rate), x.shape[-1], seconds, notes)


def _as_recorded(
    draws: Draws,
    measurement: Measurement,
    method: str,
    noise: str | None,
    prior_rate: float,
    sampling_rate: float,
    length: int,
    seconds: float,
    notes: Sequence[str],
) -> Reconstruction:
    """Brings draws of one record's twelve leads, samples (S, 1, 12, L), to the rate and length of the recording."""
    samples = _at_own_rate(draws.samples[:, 0], measurement, prior_rate, sampling_rate, length)
    lower, upper = predictive_band(samples)
    level = None if noise is None else _noise_level(draws.noise or measurement.noise, measurement)
    return Reconstruction(
        samples=samples,
        mean=_at_own_rate(draws.mean, measurement, prior_rate, sampling_rate, length)[0],
        lower=lower,
        upper=upper,
        observed=_observed(measurement, min(prior_rate, sampling_rate), sampling_rate, length),
        leads=LEADS,
        sampling_rate=sampling_rate,
        method=method,
        network_calls=draws.calls.network,
        gradient_calls=draws.calls.gradient,
        seconds=seconds,
        notes=(*notes, *_describe_noise(noise, level)),
        noise_level=level,
    )


def _choose(
    ecg: NDArray[np.float64],
    sampling_rate: float,
    leads: Sequence[str],
    noise: str | None,
    method: str | None,
    sampler: PosteriorSampler | None,
    weights: str | Path | None,
    device: str | torch.device,
) -> tuple[str, PosteriorSampler]:
    """Returns the name of the method and its sampler; refuses those that do not exist, or not for this recording."""
    if noise is not None:
        check_choice("noise", noise, NOISES)
    if sampler is not None:
        method = sampler.name
    elif method is None:
        conditional = shared_denoiser(weights, device).takes_measurements
        method = choose_method(ecg, sampling_rate, leads, noise, takes_measurements=conditional)
    else:
        check_choice("method", method, [*METHODS, *BLIND_METHODS, *RIVALS])
    if noise is None and method in BLIND_METHODS:
        raise ValueError(
            f'method="{method}" estimates noise, but noise is None: say which, noise="bw", "em", "ma" or "mix", or '
            f'noise="auto"; for a clean recording take one of {", ".join(METHODS)}'
        )
    sampler = sampler or build_sampler(method, weights, device, blind=noise is not None)
    if sampling_rate < sampler.sampling_rate and not sampler.takes_any_measurement:
        others = " or ".join(repr(name) for name in METHODS if name != "amortised")
        raise ValueError(
            f"sampling_rate is {sampling_rate:g} Hz, below the prior's {sampler.sampling_rate:g} Hz, which the "
            f"{method} sampler cannot use: take method={others}"
        )
    return method, sampler


def _observed(measurement: Measurement, rate: float, sampling_rate: float, length: int) -> NDArray[np.bool_]:
    """Returns at which samples of the recording the nearest one of the measurement is known, shape (12, length)."""
    known = measurement.at_its_own_rate().known()[1][0].cpu().numpy()
    return known[:, (np.arange(length) * rate / sampling_rate).round().astype(int).clip(max=known.shape[-1] - 1)]


def _at_own_rate(
    ecg: Tensor, measurement: Measurement, prior_rate: float, sampling_rate: float, length: int
) -> NDArray[np.float32]:
    """Brings ECGs (S, 12, L) to the recording's rate; what was measured at a lower rate is put back only there."""
    values = resample(ecg.cpu().numpy(), prior_rate, sampling_rate, length).astype(np.float32)
    if measurement.resampling is None:
        return values
    inner = torch.from_numpy(values[:, [LEADS.index(lead) for lead in measurement.prior_leads]])
    own = measurement.to("cpu").at_its_own_rate()
    return own.complete(inner[:, None])[:, 0].numpy()


def _noise_level(noise: NoiseModel | None, measurement: Measurement) -> NDArray[np.float32]:
    """Returns the noise of each of the twelve leads in mV, as it was found in the end, NaN where none was measured."""
    assert noise is not None
    rms = np.full(len(LEADS), np.nan, dtype=np.float32)
    rows = [LEADS.index(lead) for lead in measurement.leads]
    rms[rows] = noise.rms(measurement.y).cpu().numpy().reshape(-1)
    return rms


def _describe_noise(noise: str | None, level: NDArray[np.float32] | None) -> list[str]:
    if noise is None or level is None:
        return []
    levels = ", ".join(f"{lead} {value:.3f}" for lead, value in zip(LEADS, level, strict=True) if not np.isnan(value))
    return [f"noise removed ({NOISE_NAMES[noise]}): {levels} mV root mean square; no sample is kept as it was measured"]


def build_sampler(
    method: str, weights: str | Path | None = None, device: str | torch.device = "cpu", *, blind: bool = False
) -> PosteriorSampler:
    """Builds a posterior sampler with its default settings; a `blind` one estimates the noise too.

    Raises:
        ValueError: If the method or the weights are not known, or do not go together.
    """
    spec = SamplerSpec(method, weights=None if weights is None else str(weights))
    if method in RIVALS:
        raise ValueError(f"{method} needs weights of its own: give sampler=, as configs/algo/{method}.yaml builds it")
    return (spec.blind() if blind else spec).build(device)


def choose_method(
    ecg: NDArray[np.float64],
    sampling_rate: float,
    leads: Sequence[str],
    noise: str | None,
    *,
    takes_measurements: bool = True,
) -> str:
    """Returns the name of the method that is taken where none is named, for an ECG (n_leads, L), NaN where missing."""
    if not takes_measurements:
        return "decoupled" if noise is None else "spectral_em"
    gaps = np.isnan(ecg)
    has_gaps = bool((gaps.any(axis=-1) & ~gaps.all(axis=-1)).any())
    is_slow = sampling_rate < PRIOR_RATE_HZ
    if noise is None:
        return "decoupled" if has_gaps or is_slow else "amortised"
    measured = [lead for lead, missing in zip(leads, gaps, strict=True) if not missing.all()]
    n_limb = sum(not lead.startswith("V") for lead in measured)
    lacks_leads = min(n_limb, 2) + len(measured) - n_limb < len(INDEPENDENT_LEADS)
    return "amortised" if lacks_leads and not is_slow else "spectral_em"


def check_n_samples(n_samples: int) -> None:
    """Raises ValueError where there are fewer than two samples, from which no band can be estimated."""
    if n_samples < 2:
        raise ValueError(f"n_samples is {n_samples}, but a band needs at least 2 samples; 10 are usual")
