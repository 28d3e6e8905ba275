"""From the samples of the prior's leads to the twelve leads of records, with what was measured in its place."""

from collections.abc import Sequence
from dataclasses import replace

from einthoven.randomness import record_generators
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.measurement import Measurement
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
    noise = sigma_y if measurement.noise is None else measurement.noise
    likelihood = GaussianLikelihood(measurement.operator, measurement.y, noise)
    draws = sampler(likelihood, n_samples, record_generators(seed, keys, n_samples))
    samples, mean = (measurement.complete(x) for x in (draws.samples, draws.mean[None]))
    return replace(draws, samples=samples, mean=mean[0])
