"""From a recording to a measurement that posterior samplers understand, and from their samples back to twelve leads."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from einthoven.ecg.filters import HIGH_PASS_HZ, NOTCHES_HZ, clean_signal, fill_gaps, resample
from einthoven.ecg.leads import LEADS, LIMB_COEFFICIENTS, canonical_leads, independent_part
from reconstruction.measurement.noise_model import NoiseModel
from reconstruction.measurement.noise_start import initial_noise
from reconstruction.measurement.operators import Compose, LeadSelection, LinearOperator, Mask, MeasuredLeads, Resampling
from reconstruction.measurement.saturation import SaturatedLeads, Saturation, find_saturated

RESAMPLING_REACH_S = 0.05
"""How far a gap spreads when the rate changes: beyond, the resampling filter's weights add up to less than 3 %."""
SATURATION_REACH_S = 0.01
"""The same of a saturated stretch, which is far nearer to the truth: with peaks cut at 60 % of their height the error
beyond is 0.014 mV (root mean square, fold 9 of PTB-XL)."""
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
        lower: What the ECG is not below, in mV, (B, m, L), as saturated samples say; -inf: not known; None: none is.
        upper: What it is not above, inf where nobody knows.
    """

    y: Tensor
    observed: Tensor
    leads: tuple[str, ...]
    prior_leads: tuple[str, ...]
    noise: NoiseModel | None = None
    resampling: Resampling | None = None
    lower: Tensor | None = None
    upper: Tensor | None = None

    @cached_property
    def operator(self) -> LinearOperator:
        """The forward operator, from the prior's leads and rate to the measured ones."""
        if self.resampling is None and self.lower is None and self.upper is None:
            return MeasuredLeads(self.observed, self.leads, self.prior_leads)
        if self.resampling is None:
            return SaturatedLeads(self.observed, self.leads, self.prior_leads, self.lower, self.upper)
        return Compose(Mask(self.observed), self.resampling, LeadSelection(self.leads, self.prior_leads))

    @property
    def length(self) -> int:
        """Number of samples at the prior's rate."""
        return self.y.shape[-1] if self.resampling is None else self.resampling.length

    @property
    def is_kept(self) -> bool:
        """Whether samples are the result where they were measured: without noise, at the prior's rate."""
        return self.noise is None and self.resampling is None

    def to(self, device: str | torch.device) -> "Measurement":
        """Returns the same measurement on a device; itself where it is there already."""
        if torch.empty(0, device=device).device == self.y.device:
            return self
        lower, upper = (None if bound is None else bound.to(device) for bound in (self.lower, self.upper))
        return replace(self, y=self.y.to(device), observed=self.observed.to(device), lower=lower, upper=upper)

    def at_its_own_rate(self) -> "Measurement":
        """Returns the same measurement of an ECG at its own rate."""
        return self if self.resampling is None else replace(self, resampling=None)

    def known(self) -> tuple[Tensor, Tensor]:
        """Finds what the measurement says exactly, also by Einthoven's law.

        Returns values in mV, zeros where not known, and where they are known (bool), each of shape (B, 12, L).
        """
        if self._independent is not self:
            return self._independent.known()
        inner, known, _ = self._known_inner
        twelve = self._to_twelve(inner)
        if not self.is_kept:
            return torch.zeros_like(twelve), torch.zeros_like(twelve, dtype=torch.bool)
        # A lead is known where all leads that it is made of are.
        unknown = self._to_twelve.matrix(inner)[0].abs() @ (~known).to(inner)
        known = unknown == 0
        rows = [LEADS.index(lead) for lead in self.leads]
        twelve[:, rows] = torch.where(self.observed, self.y, twelve[:, rows])
        known[:, rows] |= self.observed
        return torch.where(known, twelve, 0.0), known

    def complete(self, samples: Tensor) -> Tensor:
        """Derives the twelve leads (S, B, 12, L) of samples (S, B, C, L), in mV, with what was measured in its place.

        Samples within the bounds stay; the others are pulled to the nearest bound. Where only a sum of leads was
        measured, such as III without I and II, these are moved by the least that fits it. So Einthoven's law holds for
        the twelve, as far as it holds for what was measured. Of priors with a lead III of its own the leads I and II
        are taken that fit all three best.
        """
        own = self._independent
        if own is not self:
            return own.complete(LeadSelection(own.prior_leads, self.prior_leads)(samples))
        inner, known, fits = self._known_inner
        inner, operator = torch.where(known, inner, samples), self.operator
        if not bool(fits.all()):
            fitted = inner + operator.pinv(self.y - operator(inner))
            inner = torch.where(fits[..., None, :], inner, fitted)
        if self.is_kept and isinstance(operator, SaturatedLeads):
            inner = operator.pull(inner)
        values, known = self.known()
        return torch.where(known, values, self._to_twelve(inner))

    @property
    def _independent(self) -> "Measurement":
        """The same measurement for a prior without leads that follow from others; itself where there is none."""
        return self if independent_part(self.prior_leads) == self.prior_leads else self._of_independent_leads

    @cached_property
    def _of_independent_leads(self) -> "Measurement":
        return replace(self, prior_leads=independent_part(self.prior_leads))

    @cached_property
    def _to_twelve(self) -> LeadSelection:
        return LeadSelection(LEADS, self.prior_leads)

    @cached_property
    def _known_inner(self) -> tuple[Tensor, Tensor, Tensor]:
        """What is known in the prior's leads, and where, (B, C, L); where it is all that was measured, (B, L)."""
        operator = self.operator
        if not self.is_kept or not isinstance(operator, MeasuredLeads):
            nothing = self.y.new_zeros(len(self.y), len(self.prior_leads), self.length)
            return nothing, nothing.bool(), nothing[:, 0] == 0
        known, fits = operator.identified(self.y)
        inner = operator.pinv(self.y)
        return inner, known.expand(inner.shape), fits.expand(inner[:, 0].shape)


def measure_recording(
    ecg: NDArray[np.float64],
    sampling_rate: float,
    leads: Sequence[str],
    prior_leads: Sequence[str],
    prior_rate: float,
    *,
    noise: str | None = None,
    saturation: Saturation = None,
) -> tuple[Measurement, tuple[str, ...]]:
    """Fills gaps, filters and resamples one recording as the prior was trained, and marks what was measured.

    A sample counts as measured where none that its resampling reaches is missing. A recording at a lower rate than the
    prior's stays at its own: the operator then says how it came from an ECG at the prior's. Returns the measurement
    (B = 1), and in words what was done; raises ValueError if nothing is left as measured beside the gaps.

    Args:
        ecg: ECG in mV, shape (n_leads, L), NaN where a sample is missing.
        sampling_rate: Sampling rate in Hz.
        leads: Lead names, in the order of `ecg`.
        prior_leads: Leads of the prior.
        prior_rate: Sampling rate of the prior in Hz.
        noise: Type of the noise that is to be removed, one of `noise_start.NOISES`; None: none.
        saturation: Which samples are at the recorder's limits (see `reconstruction.measurement.saturation`).
    """
    missing, rate = np.isnan(ecg), min(sampling_rate, prior_rate)
    at_low, at_high = find_saturated(ecg, sampling_rate, saturation)
    y = clean_signal(ecg, sampling_rate, rate)
    spread = partial(_spread, source_rate=sampling_rate, target_rate=rate, length=y.shape[-1])
    gaps = spread(missing, reach=RESAMPLING_REACH_S)
    low, high = (spread(there, reach=SATURATION_REACH_S) for there in (at_low, at_high))
    observed, resampling = ~(gaps | low | high), None
    if rate < prior_rate:
        resampling = _resampling_from(prior_rate, rate, y.shape[-1])
        n_edge = math.ceil(RESAMPLING_REACH_S * rate)  # beyond its ends the operator's ECG is zero
        observed[:, :n_edge] = observed[:, -n_edge:] = False
    if not observed.any():
        raise ValueError(
            "the gaps leave no sample of the recording to start from: give one with fewer missing or saturated samples"
        )
    values, names = torch.from_numpy(np.where(observed, y, 0.0)).float()[None], canonical_leads(leads)
    # A wave that was cut and then filtered is still nearer to zero than the whole one.
    bounds = _bound(y, high, -np.inf), _bound(y, low, np.inf)
    there = torch.from_numpy(observed)[None]
    measurement = Measurement(values, there, names, tuple(prior_leads), None, resampling, *bounds)
    notes = [_describe_filters(sampling_rate, prior_rate)]
    notes += _describe_gaps(missing, gaps, names, sampling_rate, rate)
    if saturation is not None:
        notes += _describe_saturation(at_low | at_high, names, sampling_rate)
    notes += _describe_misfit(measurement)
    if noise is not None:
        raw = torch.from_numpy(resample(fill_gaps(ecg), sampling_rate, rate, y.shape[-1]))
        measurement = _with_noise(measurement, raw[None], rate, noise)
    return measurement, tuple(notes)


def _bound(y: NDArray[np.float64], saturated: NDArray[np.bool_], nothing: float) -> Tensor | None:
    """Returns the bound (1, m, L) that saturated samples set, `nothing` elsewhere."""
    return torch.from_numpy(np.where(saturated, y, nothing)).float()[None] if saturated.any() else None


def _resampling_from(prior_rate: float, rate: float, length: int) -> Resampling:
    """Returns the change of rate that leaves `length` samples."""
    ratio = Fraction(rate / prior_rate).limit_denominator(1000)
    return Resampling(ratio.numerator, ratio.denominator, length * ratio.denominator // ratio.numerator)


def _with_noise(measurement: Measurement, raw: Tensor, rate: float, noise: str) -> Measurement:
    """Adds the law of the noise, guessed from the unfiltered recording `raw` (1, m, L).

    Limb leads follow from two of them with their noise too, so at each sample the first two alone count: each
    electrode's noise is taken into account once. The bounds are dropped: they hold for the ECG with its noise.
    """
    rows = sorted(range(len(measurement.leads)), key=lambda row: LEADS.index(measurement.leads[row]))
    observed = measurement.observed.clone()
    n_limb = torch.zeros_like(observed[:, 0], dtype=torch.int64)
    for row in rows:
        if measurement.leads[row] in LIMB_COEFFICIENTS:
            observed[:, row] &= n_limb < 2
            n_limb += observed[:, row]
    kept = [row for row, there in enumerate(observed.any(dim=(0, 2)).tolist()) if there]
    y, observed = measurement.y[:, kept], observed[:, kept]
    return replace(
        measurement,
        y=torch.where(observed, y, 0.0),
        observed=observed,
        leads=tuple(measurement.leads[row] for row in kept),
        noise=initial_noise(raw[:, kept].to(y), observed, rate, noise, filtered=True),
        lower=None,
        upper=None,
    )


def _spread(
    missing: NDArray[np.bool_], source_rate: float, target_rate: float, length: int, reach: float
) -> NDArray[np.bool_]:
    """Marks the samples at the target rate that missing ones reach within `reach` s, shape (n_leads, length)."""
    if source_rate == target_rate:
        return missing
    time = np.arange(length) / target_rate
    first = np.ceil((time - reach) * source_rate - 1e-6).astype(int).clip(0, missing.shape[-1])
    last = np.floor((time + reach) * source_rate + 1e-6).astype(int).clip(-1, missing.shape[-1] - 1)
    counts = np.concatenate([np.zeros((len(missing), 1)), missing.cumsum(axis=-1)], axis=-1)
    return np.asarray(counts[:, last + 1] > counts[:, first])


def _describe_filters(source_rate: float, target_rate: float) -> str:
    notches = [f"{notch:g}" for notch in NOTCHES_HZ if notch < source_rate / 2]
    removed = f"notches at {' and '.join(notches)} Hz, " if notches else ""
    resampled = "" if source_rate <= target_rate else f", resampled from {source_rate:g} to {target_rate:g} Hz and back"
    return (
        f"filtered as the prior was trained: {removed}high-pass at {HIGH_PASS_HZ:g} Hz{resampled}; "
        f"what is returned holds {HIGH_PASS_HZ:g}-{min(source_rate, target_rate) / 2:g} Hz"
    )


def _describe_saturation(saturated: NDArray[np.bool_], leads: Sequence[str], sampling_rate: float) -> list[str]:
    notes = [
        f"lead {lead}: {there.sum() / sampling_rate:.2f} s at the recorder's limit, restored"
        for lead, there in zip(leads, saturated, strict=True)
        if there.any()
    ]
    return notes or ["no sample was at the recorder's limits"]


def _describe_gaps(
    missing: NDArray[np.bool_],
    hidden: NDArray[np.bool_],
    leads: Sequence[str],
    source_rate: float,
    target_rate: float,
) -> list[str]:
    notes = []
    for lead, gaps, restored in zip(leads, missing, hidden, strict=True):
        if gaps.all():
            notes.append(f"lead {lead} is missing throughout: not measured")
        elif gaps.any():
            notes.append(
                f"lead {lead}: {gaps.sum() / source_rate:.2f} s missing, "
                f"{restored.sum() / target_rate:.2f} s restored (with what the resampling reaches)"
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
