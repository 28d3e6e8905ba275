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
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_prior.checkpoint import shared_denoiser
from einthoven.ecg.adapters import ECGLike, as_recording
from einthoven.ecg.filters import resample
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, LIMB_COEFFICIENTS
from einthoven.ecg.recording import Recording
from einthoven.run.registry import check_choice
from einthoven.statistics import predictive_band
from preprocessing.cohorts.nstdb import MIX, NOISE_TYPES
from reconstruction.measurement.checks import check_recording
from reconstruction.measurement.measurement import Measurement, measure_recording
from reconstruction.measurement.noise_model import NoiseModel
from reconstruction.measurement.noise_start import AUTO, NOISES
from reconstruction.measurement.saturation import Saturation, check_saturation
from reconstruction.result import Reconstruction
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


def reconstruct(
    ecg: ECGLike,
    sampling_rate: float | None = None,
    leads: str | Sequence[str] | None = None,
    n_samples: int = 10,
    method: str | None = None,
    seed: int = 0,
    *,
    noise: str | None = None,
    saturation: Saturation = None,
    sampler: PosteriorSampler | None = None,
    weights: str | Path | None = None,
    sigma_y: float = SIGMA_Y_MV,
    key: int | str | None = None,
    device: str | torch.device = "cpu",
) -> Reconstruction:
    """Reconstructs the twelve leads of a recording of 2.5 to 10 s from what was measured of it: see the module.

    Args:
        ecg: A `Recording`, or an ECG in mV of shape (n_leads, L), NaN where a sample is missing, or what else
            `as_recording` takes.
        sampling_rate: Sampling rate in Hz, 50 or more, of an array; below the prior's (100) not with "amortised".
        leads: Lead names of an array, in its order; of a recording, those to reconstruct from, None: all.
        n_samples: Number of samples, at least 2.
        method: Name of a method, as above; None: the most accurate of the quick ones.
        seed: Seed; the same seed and key give the same samples.
        noise: Noise to remove: "bw", "em", "ma" (see `NOISE_NAMES`), "mix", "auto" (not known); None: the ECG is clean.
        saturation: Limits of the recorder, (lower, upper) in mV, or "auto" to find plateaus, to restore; None: none.
        sampler: A sampler of one's own settings, used as it is, in place of `method` and `weights`.
        weights: The prior's: a file, a training's folder, or RhythmDiff's `checkpoint.pkl`; None: the bundled ones.
        sigma_y: Standard deviation of the measurement's noise in mV, where `noise` is None (not for "amortised").
        key: Key of the record, to which its random numbers belong; None: its name, 0 where it has none.
        device: Device of the network.

    Raises:
        ValueError: If the recording or an argument is not usable; the message says what to do.
    """
    recording = as_recording(ecg, sampling_rate, leads)
    rate = recording.sampling_rate
    x, names = check_recording(recording.signal, rate, recording.leads)
    check_saturation(saturation)
    check_n_samples(n_samples)
    method, sampler = _choose(x, rate, names, noise, method, sampler, weights, device)
    prior = (sampler.leads, sampler.sampling_rate)
    measurement, notes = measure_recording(x, rate, names, *prior, noise=noise, saturation=saturation)
    measurement, start = measurement.to(device), time.perf_counter()
    keys = [(recording.name or 0) if key is None else key]
    draws = sample_twelve_leads(sampler, measurement, keys, n_samples, seed, sigma_y)
    seconds = time.perf_counter() - start
    return _as_recorded(draws, measurement, method, noise, prior[1], recording, seconds, notes)


def denoise(
    ecg: ECGLike,
    sampling_rate: float | None = None,
    leads: str | Sequence[str] | None = None,
    n_samples: int = 10,
    method: str | None = None,
    seed: int = 0,
    *,
    noise: str = AUTO,
    saturation: Saturation = None,
    sampler: PosteriorSampler | None = None,
    weights: str | Path | None = None,
    key: int | str | None = None,
    device: str | torch.device = "cpu",
) -> Reconstruction:
    """Removes the noise of a recording, and reconstructs the leads that it lacks: `reconstruct` with a `noise`.

    Args:
        ecg: As for `reconstruct`, as is what is not named here.
        sampling_rate: As for `reconstruct`.
        leads: As for `reconstruct`.
        n_samples: As for `reconstruct`.
        method: As for `reconstruct`.
        seed: As for `reconstruct`.
        noise: Noise to remove: "bw", "em", "ma" (see `NOISE_NAMES`), "mix", or "auto" (not known).
        saturation: As for `reconstruct`.
        sampler: As for `reconstruct`.
        weights: As for `reconstruct`.
        key: As for `reconstruct`.
        device: As for `reconstruct`.

    Raises:
        ValueError: If the recording or an argument is not usable; the message says what to do.
    """
    return reconstruct(
        ecg,
        sampling_rate,
        leads,
        n_samples,
        method,
        seed,
        noise=noise,
        saturation=saturation,
        sampler=sampler,
        weights=weights,
        key=key,
        device=device,
    )


def _as_recorded(
    draws: Draws,
    measurement: Measurement,
    method: str,
    noise: str | None,
    prior_rate: float,
    recording: Recording,
    seconds: float,
    notes: Sequence[str],
) -> Reconstruction:
    """Brings draws of one record's twelve leads, samples (S, 1, 12, L), to the rate and length of the recording."""
    sampling_rate, length = recording.sampling_rate, recording.signal.shape[-1]
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
        notes=(*recording.notes, *notes, *_describe_noise(noise, level)),
        noise_level=level,
        given=recording,
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
    measured = [lead for lead, missing in zip(leads, gaps, strict=True) if not missing.all()]
    limb = [lead for lead in measured if lead in LIMB_COEFFICIENTS]
    fits_network = sampling_rate >= PRIOR_RATE_HZ and gives_prior_leads(leads, ~gaps)
    if noise is None:
        return "amortised" if fits_network and not has_gaps else "decoupled"
    lacks_leads = min(len(limb), 2) + len(measured) - len(limb) < len(INDEPENDENT_LEADS)
    return "amortised" if fits_network and lacks_leads else "spectral_em"


def gives_prior_leads(leads: Sequence[str], measured: NDArray[np.bool_]) -> bool:
    """Says whether measured limb leads, mask (n_leads, L), are I or II, or give both, at all times.

    That is all that the network of "amortised" can be told of them.
    """
    limb = np.array([lead in LIMB_COEFFICIENTS for lead in leads])
    own = np.array([lead in INDEPENDENT_LEADS for lead in leads])
    alone = measured[limb].sum(axis=0) == 1
    return not (alone & measured[limb & ~own].any(axis=0)).any()


def check_n_samples(n_samples: int) -> None:
    """Raises ValueError where there are fewer than two samples, from which no band can be estimated."""
    if n_samples < 2:
        raise ValueError(f"n_samples is {n_samples}, but a band needs at least 2 samples; 10 are usual")
