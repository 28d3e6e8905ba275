"""`reconstruct`: twelve leads from what was measured."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from diffusion_prior.checkpoint import load_denoiser
from diffusion_prior.denoiser import Denoiser
from evaluation.intervals import predictive_band
from preprocessing.filters import resample
from preprocessing.leads import LEADS
from reconstruction.checks import check_choice, check_recording
from reconstruction.measurement import measure_recording, sample_twelve_leads
from reconstruction.methods import METHODS
from reconstruction.posterior_sampler import PosteriorSampler

SIGMA_Y_MV = 0.01
"""Standard deviation of the measurement's noise that is assumed, in mV: what a filtered resting ECG still has."""


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
        notes: What was filtered, what was missing and what looks wrong, in words.
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


def reconstruct(
    ecg: ArrayLike,
    sampling_rate: float = 500,
    leads: Sequence[str] = ("I",),
    n_samples: int = 10,
    method: str = "amortised",
    seed: int = 0,
    *,
    sampler: PosteriorSampler | None = None,
    weights: str | Path | None = None,
    sigma_y: float = SIGMA_Y_MV,
    key: int | str = 0,
    device: str | torch.device = "cpu",
) -> Reconstruction:
    """Reconstructs the twelve leads of a recording of 2.5 to 10 s from what was measured of it.

    The recording is filtered and resampled as the prior was trained, restored, and returned at its own rate and length.
    Measured samples are kept, in the band that the prior knows; two limb leads measured at the same time give the other
    four exactly.

    Args:
        ecg: ECG in mV, shape (n_leads, L); NaN where a sample is missing.
        sampling_rate: Sampling rate in Hz, 100 or more.
        leads: Lead names in the order of `ecg`, in any order and case.
        n_samples: Number of samples, at least 2.
        method: "amortised" (seconds) or "mgps" (about a minute, and any lead).
        seed: Seed; the same seed and key give the same samples.
        sampler: A sampler of one's own settings in place of `method`; it brings its own denoiser.
        weights: Weights of the prior, a file or a training run's folder; None: the bundled ones.
        sigma_y: Standard deviation of the measurement's noise in mV ("mgps" only).
        key: Key of the record, to which its random numbers belong.
        device: Device of the network.

    Returns:
        The reconstruction, in mV.

    Raises:
        ValueError: If the recording or an argument is not usable; the message says what to do.
    """
    x, names = check_recording(ecg, sampling_rate, leads)
    check_choice("method", method, list(METHODS))
    check_n_samples(n_samples)
    sampler = build_sampler(method, weights, device) if sampler is None else sampler
    prior_rate = sampler.sampling_rate
    measurement, notes = measure_recording(x, sampling_rate, names, sampler.leads, prior_rate)
    measurement = measurement.to(device)
    start = time.perf_counter()
    drawn, expected = sample_twelve_leads(sampler, measurement, [key], n_samples, seed, sigma_y)
    seconds = time.perf_counter() - start
    samples, mean = (
        resample(values.cpu().numpy(), prior_rate, sampling_rate, x.shape[-1]).astype(np.float32)
        for values in (drawn[:, 0], expected[0])
    )
    lower, upper = predictive_band(samples)
    known = measurement.known()[1][0].cpu().numpy()
    nearest = (np.arange(x.shape[-1]) * prior_rate / sampling_rate).round().astype(int).clip(max=known.shape[-1] - 1)
    return Reconstruction(
        samples=samples,
        mean=mean,
        lower=lower,
        upper=upper,
        observed=known[:, nearest],
        leads=LEADS,
        sampling_rate=float(sampling_rate),
        method=method,
        network_calls=sampler.network_calls,
        gradient_calls=sampler.gradient_calls,
        seconds=seconds,
        notes=notes,
    )


def build_sampler(
    method: str = "amortised", weights: str | Path | None = None, device: str | torch.device = "cpu"
) -> PosteriorSampler:
    """Builds a posterior sampler with its default settings.

    Args:
        method: "amortised" or "mgps".
        weights: Weights of the prior; None: the bundled ones.
        device: Device of the network.

    Raises:
        ValueError: If the method or the weights are not known.
    """
    check_choice("method", method, list(METHODS))
    return METHODS[method](_denoiser(None if weights is None else str(weights)).to(device))


def check_n_samples(n_samples: int) -> None:
    """Refuses a number of samples from which no band can be estimated.

    Args:
        n_samples: Number of samples.

    Raises:
        ValueError: If there are fewer than two.
    """
    if n_samples < 2:
        raise ValueError(f"n_samples is {n_samples}, but a band needs at least 2 samples; 10 are usual")


@lru_cache(maxsize=2)
def _denoiser(weights: str | None) -> Denoiser:
    return load_denoiser(weights)
