"""From the samples of the prior's leads to the twelve leads of records, at their own rate, with what was measured."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from einthoven.ecg.filters import resample
from einthoven.ecg.leads import LEADS
from einthoven.randomness import Generators, record_generators
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.measurement import Measurement
from reconstruction.measurement.noise_model import NoiseModel
from reconstruction.samplers.base import Draws, PosteriorSampler


def sample_twelve_leads(
    sampler: PosteriorSampler,
    measurement: Measurement,
    keys: Sequence[int | str],
    n_samples: int,
    seed: int,
    sigma_y: float,
) -> Draws:
    """Draws S samples of the twelve leads of B records, whose random numbers belong to their keys and the seed.

    Returns what the sampler draws, but for the leads: samples (S, B, 12, L) and mean (B, 12, L) in mV, on the device of
    the measurement. Samplers that ask for the noise of a measurement without a law of it get `sigma_y` in mV.
    """
    return draw_twelve_leads(sampler, measurement, n_samples, record_generators(seed, keys, n_samples), sigma_y)


def draw_twelve_leads(
    sampler: PosteriorSampler, measurement: Measurement, n_samples: int, generators: Generators, sigma_y: float
) -> Draws:
    """Draws them with given random numbers: see `sample_twelve_leads`."""
    likelihood = likelihood_of(measurement, sigma_y)
    draws = sampler(likelihood, n_samples, generators)
    samples, mean = (measurement.complete(x) for x in (draws.samples, draws.mean[None]))
    return replace(draws, samples=samples, mean=mean[0])


def likelihood_of(measurement: Measurement, sigma_y: float) -> GaussianLikelihood:
    """Returns the likelihood of a measurement, with white noise of `sigma_y` in mV where no other is to be removed."""
    noise = sigma_y if measurement.noise is None else measurement.noise
    return GaussianLikelihood(measurement.operator, measurement.y, noise)


def at_own_rate(
    ecg: Tensor, measurement: Measurement, prior_rate: float, sampling_rate: float, length: int
) -> NDArray[np.float32]:
    """Brings ECGs (S, 12, L) in mV to the recording's rate in Hz and its length, shape (S, 12, length).

    What was measured at a lower rate than the prior's is put back only there.
    """
    values = resample(ecg.cpu().numpy(), prior_rate, sampling_rate, length).astype(np.float32)
    if measurement.resampling is None:
        return values
    inner = torch.from_numpy(values[:, [LEADS.index(lead) for lead in measurement.prior_leads]])
    own = measurement.to("cpu").at_its_own_rate()
    return own.complete(inner[:, None])[:, 0].numpy()


def observed_samples(measurement: Measurement, rate: float, sampling_rate: float, length: int) -> NDArray[np.bool_]:
    """Returns at which samples of the recording the nearest one of the measurement is known, shape (12, length)."""
    known = measurement.at_its_own_rate().known()[1][0].cpu().numpy()
    return known[:, (np.arange(length) * rate / sampling_rate).round().astype(int).clip(max=known.shape[-1] - 1)]


def noise_level(noise: NoiseModel | None, measurement: Measurement) -> NDArray[np.float32]:
    """Returns the noise of each of the twelve leads in mV, as it was found in the end, NaN where none was measured."""
    assert noise is not None
    rms = np.full(len(LEADS), np.nan, dtype=np.float32)
    rows = [LEADS.index(lead) for lead in measurement.leads]
    rms[rows] = noise.rms(measurement.y).cpu().numpy().reshape(-1)
    return rms
