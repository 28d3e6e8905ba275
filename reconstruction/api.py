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

Of more than 10 s the windows are restored one after the other, each with a method of its own where none is named: see
`reconstruction.windows.restorer`. A lead that is flat or wild is taken for not measured, with a note.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from einthoven.arguments import check_count, check_device, check_number, check_path, check_seed
from einthoven.ecg.adapters import ECGLike, as_recording
from einthoven.ecg.leads import LEADS
from einthoven.ecg.recording import Recording
from einthoven.run.registry import check_choice
from einthoven.statistics import predictive_band
from reconstruction.calibration.familiarity import prior_of, with_familiarity
from reconstruction.long_recording import Progress, restore_long
from reconstruction.measurement.checks import check_recording, is_long, without_lost_stretches
from reconstruction.measurement.measurement import Measurement
from reconstruction.measurement.noise_start import AUTO, describe_noise
from reconstruction.measurement.recorded import measure_recording
from reconstruction.measurement.saturation import Saturation, check_saturation
from reconstruction.method_choice import MethodChoice
from reconstruction.result import MEAN, MEDIAN, POINT_ESTIMATES, Reconstruction, with_median
from reconstruction.samplers.base import Draws, PosteriorSampler
from reconstruction.twelve_leads import at_own_rate, noise_level, observed_samples, sample_twelve_leads
from reconstruction.windows.restorer import Settings

MOST_SAMPLES = 10_000
"""More draws of a recording fill the memory and say nothing new."""
SIGMA_Y_MV = 0.01
"""Standard deviation of the measurement's noise that is assumed, in mV: what a filtered resting ECG still has."""


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
    preset: str | None = None,
    sigma_y: float = SIGMA_Y_MV,
    point_estimate: str = MEAN,
    key: int | str | None = None,
    device: str | torch.device = "cpu",
    folder: str | Path | None = None,
    keep_samples: bool | None = None,
    progress: Progress | None = None,
) -> Reconstruction:
    """Reconstructs the twelve leads of a recording of 2.5 s or more from what was measured of it: see the module.

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
        preset: Steps of "amortised" where that is taken: "fastest", 4 network calls, with distilled weights and not for
            noise; "fast", 8; or "best", 19; None: "best".
        sigma_y: Standard deviation of the measurement's noise in mV, where `noise` is None (not for "amortised").
        point_estimate: What `mean` of the result is: "mean", or "median", that of the samples: see `Reconstruction`.
        key: Key of the record, to which its random numbers belong; None: its name, 0 where it has none.
        device: Device of the network.
        folder: For more than 10 s: folder of the results, as memory-mapped `.npy` files, where a killed call goes on;
            None: memory, for more than two minutes a temporary folder that is removed with the result.
        keep_samples: Whether the samples are kept; None: those of up to a minute, of longer ones mean and band alone.
        progress: Called, for more than 10 s, with the seconds of the recording that were done since the last time.

    Raises:
        ValueError: If the recording or an argument is not usable; the message says what to do.
    """
    recording = as_recording(ecg, sampling_rate, leads)
    rate = recording.sampling_rate
    x, names = check_recording(recording.signal, rate, recording.leads, recording.notes)
    check_saturation(saturation)
    check_n_samples(n_samples)
    check_device(device)
    check_number("sigma_y", sigma_y, 0.0, 1e3)
    check_seed(seed, key)
    check_choice("point_estimate", point_estimate, POINT_ESTIMATES)
    if folder is not None:
        check_path("folder", folder)
    x, lost = without_lost_stretches(x, rate, names)
    recording = replace(recording, signal=x, leads=names, notes=(*recording.notes, *lost))
    choose = MethodChoice(names, noise, method, sampler, weights, device, preset)
    key = (recording.name or 0) if key is None else key
    if is_long(x.shape[-1], rate):
        settings = Settings(n_samples, seed, sigma_y, key, noise, saturation, device, point_estimate)
        return restore_long(recording, choose, settings, folder=folder, keep_samples=keep_samples, progress=progress)
    method, sampler = choose(x, rate)
    prior = (sampler.leads, sampler.sampling_rate)
    measurement, notes = measure_recording(x, rate, names, *prior, noise=noise, saturation=saturation)
    measurement, start = measurement.to(device), time.perf_counter()
    draws = sample_twelve_leads(sampler, measurement, [key], n_samples, seed, sigma_y)
    seconds = time.perf_counter() - start
    result = _as_recorded(draws, measurement, method, noise, prior[1], recording, seconds, notes)
    result = with_familiarity(result, prior_of(sampler))
    return with_median(result) if point_estimate == MEDIAN else result


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
    preset: str | None = None,
    point_estimate: str = MEAN,
    key: int | str | None = None,
    device: str | torch.device = "cpu",
    folder: str | Path | None = None,
    keep_samples: bool | None = None,
    progress: Progress | None = None,
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
        preset: As for `reconstruct`.
        point_estimate: As for `reconstruct`.
        key: As for `reconstruct`.
        device: As for `reconstruct`.
        folder: As for `reconstruct`.
        keep_samples: As for `reconstruct`.
        progress: As for `reconstruct`.

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
        preset=preset,
        point_estimate=point_estimate,
        key=key,
        device=device,
        folder=folder,
        keep_samples=keep_samples,
        progress=progress,
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
    samples = at_own_rate(draws.samples[:, 0], measurement, prior_rate, sampling_rate, length)
    lower, upper = predictive_band(samples)
    level = None if noise is None else noise_level(draws.noise or measurement.noise, measurement)
    return Reconstruction(
        samples=samples,
        mean=at_own_rate(draws.mean, measurement, prior_rate, sampling_rate, length)[0],
        lower=lower,
        upper=upper,
        observed=observed_samples(measurement, min(prior_rate, sampling_rate), sampling_rate, length),
        leads=LEADS,
        sampling_rate=sampling_rate,
        method=method,
        network_calls=draws.calls.network,
        gradient_calls=draws.calls.gradient,
        seconds=seconds,
        notes=(*recording.notes, *notes, *describe_noise(noise, level)),
        noise_level=level,
        given=recording,
    )


def check_n_samples(n_samples: int) -> None:
    """Raises ValueError where there are fewer than two samples, from which no band can be estimated."""
    check_count("n_samples", n_samples, 1, MOST_SAMPLES)
    if n_samples < 2:
        raise ValueError(f"n_samples is {n_samples}, but a band needs at least 2 samples; 10 are usual")
