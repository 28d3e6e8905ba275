"""From a recording to a measurement that posterior samplers understand, and from their samples back to twelve leads."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_prior.randomness import record_generators
from preprocessing.filters import HIGH_PASS_HZ, NOTCHES_HZ, clean_signal
from preprocessing.leads import LEADS, LIMB_COEFFICIENTS, canonical_leads
from reconstruction.likelihood import GaussianLikelihood
from reconstruction.noise_model import NoiseModel
from reconstruction.operators import (
    Compose,
    LeadSelection,
    LinearOperator,
    Mask,
    MeasuredLeads,
    Resampling,
)
from reconstruction.posterior_sampler import PosteriorSampler

RESAMPLING_REACH_S = 0.05
"""How far a gap spreads when the rate changes: beyond, the resampling filter's weights add up to less than 3 %."""
LARGEST_LIMB_MISFIT_MV = 0.1


@dataclass(frozen=True)
class Measurement:
    """Samples of some leads of B records, filtered, at the prior's rate.

    Attributes:
        y: Measured samples in mV, shape (B, m, L), zeros where nothing was measured.
        observed: True where measured, shape (B, m, L).
        leads: The m measured leads.
        prior_leads: The C leads of the prior.
        noise: Law of the noise that is to be removed; None: the samples are kept as they were measured.
        resampling: Change of rate from the prior's to that of the measurement; None: the same rate.
    """

    y: Tensor
    observed: Tensor
    leads: tuple[str, ...]
    prior_leads: tuple[str, ...]
    noise: NoiseModel | None = None
    resampling: Resampling | None = None

    @property
    def operator(self) -> LinearOperator:
        """The forward operator, from the prior's leads and rate to the measured ones."""
        if self.resampling is None:
            return MeasuredLeads(self.observed, self.leads, self.prior_leads)
        return Compose(Mask(self.observed), self.resampling, LeadSelection(self.leads, self.prior_leads))

    @property
    def length(self) -> int:
        """Number of samples at the prior's rate."""
        return self.y.shape[-1] if self.resampling is None else self.resampling.length

    def to(self, device: str | torch.device) -> "Measurement":
        """Returns the same measurement on a device."""
        return replace(self, y=self.y.to(device), observed=self.observed.to(device))

    def known(self) -> tuple[Tensor, Tensor]:
        """Finds what the measurement says exactly, also by Einthoven's law.

        Returns:
            Values in mV, zeros where not known, and where they are known (bool), each of shape (B, 12, L).
        """
        inner, known = self._known_inner()
        to_twelve = LeadSelection(LEADS, self.prior_leads)
        twelve = to_twelve(inner)
        if self.noise is not None or self.resampling is not None:
            return torch.zeros_like(twelve), torch.zeros_like(twelve, dtype=torch.bool)
        # A lead is known where all leads that it is made of are.
        unknown = to_twelve.matrix(inner)[0].abs() @ (~known).to(inner)
        known = unknown == 0
        rows = [LEADS.index(lead) for lead in self.leads]
        twelve[:, rows] = torch.where(self.observed, self.y, twelve[:, rows])
        known[:, rows] |= self.observed
        return torch.where(known, twelve, 0.0), known

    def complete(self, samples: Tensor) -> Tensor:
        """Derives the twelve leads of samples, and puts what was measured in its place.

        Args:
            samples: Samples of the prior's leads in mV, shape (S, B, C, L).

        Returns:
            Samples of twelve leads in mV, shape (S, B, 12, L).
        """
        inner, known = self._known_inner()
        twelve = LeadSelection(LEADS, self.prior_leads)(torch.where(known, inner, samples))
        values, known = self.known()
        return torch.where(known, values, twelve)

    def _known_inner(self) -> tuple[Tensor, Tensor]:
        """Returns values and their knownness in the prior's leads, each (B, C, L)."""
        operator = self.operator
        if self.noise is not None or not isinstance(operator, MeasuredLeads):
            nothing = self.y.new_zeros(len(self.y), len(self.prior_leads), self.length)
            return nothing, nothing.bool()
        known, _ = operator.identified(self.y)
        inner = operator.pinv(self.y)
        return inner, known.expand(inner.shape)


def measure_recording(
    ecg: NDArray[np.float64],
    sampling_rate: float,
    leads: Sequence[str],
    prior_leads: Sequence[str],
    prior_rate: float,
) -> tuple[Measurement, tuple[str, ...]]:
    """Fills gaps, filters and resamples one recording as the prior was trained, and marks what was measured.

    A sample at the prior's rate counts as measured where none that its resampling reaches is missing.

    Args:
        ecg: ECG in mV, shape (n_leads, L), NaN where a sample is missing.
        sampling_rate: Sampling rate in Hz.
        leads: Lead names, in the order of `ecg`.
        prior_leads: Leads of the prior.
        prior_rate: Sampling rate of the prior in Hz.

    Returns:
        The measurement (B = 1), and in words what was done.

    Raises:
        ValueError: If nothing is left as measured beside the gaps.
    """
    missing = np.isnan(ecg)
    y = clean_signal(ecg, sampling_rate, prior_rate)
    observed = ~_spread(missing, sampling_rate, prior_rate, y.shape[-1])
    if not observed.any():
        raise ValueError("the gaps leave no sample of the recording to start from: give one with fewer missing samples")
    measurement = Measurement(
        torch.from_numpy(np.where(observed, y, 0.0)).float()[None],
        torch.from_numpy(observed)[None],
        canonical_leads(leads),
        tuple(prior_leads),
    )
    notes = [_describe_filters(sampling_rate, prior_rate)]
    notes += _describe_gaps(missing, observed, measurement.leads, sampling_rate, prior_rate)
    notes += _describe_misfit(measurement)
    return measurement, tuple(notes)


def sample_twelve_leads(
    sampler: PosteriorSampler,
    measurement: Measurement,
    keys: Sequence[int | str],
    n_samples: int,
    seed: int,
    sigma_y: float,
) -> tuple[Tensor, Tensor]:
    """Draws samples of the twelve leads of B records.

    Args:
        sampler: The posterior sampler.
        measurement: What was measured of the B records.
        keys: Keys of the records, to which their random numbers belong.
        n_samples: Number of samples S for each record.
        seed: Seed of the run.
        sigma_y: Standard deviation of the measurement's noise in mV, for samplers that ask for it.

    Returns:
        ECGs in mV, shape (S, B, 12, L), and the posterior mean, shape (B, 12, L), on the device of the measurement. The
        mean is the sampler's own where it has one, else the average of the samples.
    """
    noise = sigma_y if measurement.noise is None else measurement.noise
    likelihood = GaussianLikelihood(measurement.operator, measurement.y, noise)
    samples = sampler(likelihood, n_samples, record_generators(seed, keys, n_samples))
    mean = samples.mean(dim=0) if sampler.posterior_mean is None else sampler.posterior_mean
    return measurement.complete(samples), measurement.complete(mean[None])[0]


def _spread(missing: NDArray[np.bool_], source_rate: float, target_rate: float, length: int) -> NDArray[np.bool_]:
    """Marks the samples at the target rate that missing ones reach, shape (n_leads, length)."""
    if source_rate == target_rate:
        return missing
    time = np.arange(length) / target_rate
    first = np.ceil((time - RESAMPLING_REACH_S) * source_rate - 1e-6).astype(int).clip(0, missing.shape[-1])
    last = np.floor((time + RESAMPLING_REACH_S) * source_rate + 1e-6).astype(int).clip(-1, missing.shape[-1] - 1)
    counts = np.concatenate([np.zeros((len(missing), 1)), missing.cumsum(axis=-1)], axis=-1)
    return np.asarray(counts[:, last + 1] > counts[:, first])


def _describe_filters(source_rate: float, target_rate: float) -> str:
    notches = [f"{notch:g}" for notch in NOTCHES_HZ if notch < source_rate / 2]
    removed = f"notches at {' and '.join(notches)} Hz, " if notches else ""
    resampled = "" if source_rate == target_rate else f", resampled from {source_rate:g} to {target_rate:g} Hz and back"
    return (
        f"filtered as the prior was trained: {removed}high-pass at {HIGH_PASS_HZ:g} Hz{resampled}; "
        f"what is returned holds {HIGH_PASS_HZ:g}-{target_rate / 2:g} Hz"
    )


def _describe_gaps(
    missing: NDArray[np.bool_],
    observed: NDArray[np.bool_],
    leads: Sequence[str],
    source_rate: float,
    target_rate: float,
) -> list[str]:
    notes = []
    for lead, gaps, kept in zip(leads, missing, observed, strict=True):
        if gaps.all():
            notes.append(f"lead {lead} is missing throughout: not measured")
        elif gaps.any():
            notes.append(
                f"lead {lead}: {gaps.sum() / source_rate:.2f} s missing, "
                f"{(~kept).sum() / target_rate:.2f} s restored (with what the resampling reaches)"
            )
    return notes


def _describe_misfit(measurement: Measurement) -> list[str]:
    """Warns where limb leads that were measured together contradict each other."""
    operator = measurement.operator
    misfit = (operator(operator.pinv(measurement.y)) - measurement.y).abs().amax(dim=(0, 2))
    wrong = [
        f"{lead} by {size:.2f} mV"
        for lead, size in zip(measurement.leads, misfit.tolist(), strict=True)
        if lead in LIMB_COEFFICIENTS and size > LARGEST_LIMB_MISFIT_MV
    ]
    if not wrong:
        return []
    note = f"the limb leads contradict Einthoven's law ({', '.join(wrong)}): check lead names and electrodes"
    warnings.warn(note, stacklevel=4)
    return [note]
