"""From a recording, or a part of it, to a measurement that posterior samplers understand."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from einthoven.ecg.filters import HIGH_PASS_HZ, NOTCHES_HZ, clean_signal, fill_gaps, resample
from einthoven.ecg.hum import describe_hum, mains_hum
from einthoven.ecg.leads import LEADS, LIMB_COEFFICIENTS, canonical_leads
from reconstruction.measurement.measurement import Measurement
from reconstruction.measurement.noise_start import initial_noise
from reconstruction.measurement.operators import RateChange, Resampling
from reconstruction.measurement.saturation import Saturation, find_saturated

RESAMPLING_REACH_S = 0.05
"""How far a gap spreads when the rate changes: beyond, the resampling filter's weights add up to less than 3 %."""
SATURATION_REACH_S = 0.01
"""The same of a saturated stretch, which is far nearer to the truth: with peaks cut at 60 % of their height the error
beyond is 0.014 mV (root mean square, fold 9 of PTB-XL)."""
LARGEST_DENOMINATOR = 100
"""Of a ratio of rates, so that whole numbers of Hz are resampled by `Resampling`; others by `RateChange`."""
LARGEST_LIMB_MISFIT_MV = 0.1


class NothingMeasured(ValueError):
    """Says that the gaps leave no sample to start from."""


@dataclass(frozen=True)
class MeasuredPiece:
    """A measurement of a recording or of a part of it, and what came of its samples.

    Attributes:
        measurement: The measurement (B = 1).
        missing: Where the recording has no sample, shape (n_leads, L).
        gaps: Where that leaves none in the measurement, at its own rate.
        saturated: Where the recording is at the recorder's limits, shape (n_leads, L).
        rate: Sampling rate of the measurement in Hz.
        misfit: By how many mV limb leads that were measured together contradict each other, by name, where it is much.
        hum: Amplitude of the mains' hum that the notches removed, at each of their frequencies, in mV, (n_leads, 2).
    """

    measurement: Measurement
    missing: NDArray[np.bool_]
    gaps: NDArray[np.bool_]
    saturated: NDArray[np.bool_]
    rate: float
    misfit: dict[str, float]
    hum: NDArray[np.float64]


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
    """Measures one recording (see `measure_piece`), and says in words what was done."""
    piece = measure_piece(ecg, sampling_rate, leads, prior_leads, prior_rate, noise=noise, saturation=saturation)
    names = canonical_leads(leads)
    notes = [describe_filters(sampling_rate, prior_rate)]
    lost = zip(names, piece.missing.sum(axis=-1) / sampling_rate, piece.gaps.sum(axis=-1) / piece.rate, strict=True)
    duration = ecg.shape[-1] / sampling_rate
    notes += [describe_gap(lead, missing, restored, duration) for lead, missing, restored in lost if missing]
    if saturation is not None:
        notes += describe_saturation(names, piece.saturated.sum(axis=-1) / sampling_rate)
    notes += describe_hum(names, piece.hum)
    notes += _describe_misfit(piece.misfit)
    return piece.measurement, tuple(notes)


def measure_piece(
    ecg: NDArray[np.float64],
    sampling_rate: float,
    leads: Sequence[str],
    prior_leads: Sequence[str],
    prior_rate: float,
    *,
    noise: str | None = None,
    saturation: Saturation = None,
    context: tuple[int, int] = (0, 0),
) -> MeasuredPiece:
    """Fills gaps, filters and resamples a recording as the prior was trained, and marks what was measured.

    A sample counts as measured where none that its resampling reaches is missing. A recording at a lower rate than the
    prior's stays at its own: the operator then says how it came from an ECG at the prior's.

    Args:
        ecg: ECG in mV, shape (n_leads, L), NaN where a sample is missing.
        sampling_rate: Sampling rate in Hz.
        leads: Lead names, in the order of `ecg`.
        prior_leads: Leads of the prior.
        prior_rate: Sampling rate of the prior in Hz.
        noise: Type of the noise that is to be removed, one of `noise_start.NOISES`; None: none.
        saturation: Which samples are at the recorder's limits (see `reconstruction.measurement.saturation`).
        context: Samples at either end that are filtered with the rest, so that its ends are not mirrored, and then cut
            off: each a whole number of samples at the prior's rate too.

    Raises:
        NothingMeasured: If nothing is left as measured beside the gaps.
    """
    missing, rate = np.isnan(ecg), min(sampling_rate, prior_rate)
    at_low, at_high = find_saturated(ecg, sampling_rate, saturation)
    y = clean_signal(ecg, sampling_rate, rate)
    spread = partial(_spread, source_rate=sampling_rate, target_rate=rate, length=y.shape[-1])
    own = slice(context[0], ecg.shape[-1] - context[1])
    kept = slice(*(round(end * rate / sampling_rate) for end in (own.start, own.stop)))
    gaps = spread(missing, reach=RESAMPLING_REACH_S)[:, kept]
    low, high = (spread(there, reach=SATURATION_REACH_S)[:, kept] for there in (at_low, at_high))
    y, observed, resampling = y[:, kept], ~(gaps | low | high), None
    if rate < prior_rate:
        resampling = _resampling_from(prior_rate, rate, y.shape[-1])
        n_edge = math.ceil(RESAMPLING_REACH_S * rate)  # beyond its ends the operator's ECG is zero
        observed[:, :n_edge] = observed[:, -n_edge:] = False
    if not observed.any():
        raise NothingMeasured(
            "the gaps leave no sample of the recording to start from: give one with fewer missing or saturated samples"
        )
    values, names = torch.from_numpy(np.where(observed, y, 0.0)).float()[None], canonical_leads(leads)
    # A wave that was cut and then filtered is still nearer to zero than the whole one.
    bounds = _bound(y, high, -np.inf), _bound(y, low, np.inf)
    there = torch.from_numpy(observed)[None]
    measurement = Measurement(values, there, names, tuple(prior_leads), None, resampling, *bounds)
    misfit = _limb_misfit(measurement)
    if noise is not None:
        raw = torch.from_numpy(
            resample(fill_gaps(ecg), sampling_rate, rate, round(ecg.shape[-1] * rate / sampling_rate))
        )
        measurement = _with_noise(measurement, raw[None, :, kept], rate, noise)
    hum = mains_hum(ecg[:, own], sampling_rate)
    return MeasuredPiece(measurement, missing[:, own], gaps, (at_low | at_high)[:, own], rate, misfit, hum)


def _bound(y: NDArray[np.float64], saturated: NDArray[np.bool_], nothing: float) -> Tensor | None:
    """Returns the bound (1, m, L) that saturated samples set, `nothing` elsewhere."""
    return torch.from_numpy(np.where(saturated, y, nothing)).float()[None] if saturated.any() else None


def _resampling_from(prior_rate: float, rate: float, length: int) -> Resampling | RateChange:
    """Returns the change of rate that leaves `length` samples."""
    ratio = Fraction(rate / prior_rate).limit_denominator(1000)
    if ratio.denominator > LARGEST_DENOMINATOR:
        return RateChange(rate / prior_rate, math.floor(length * prior_rate / rate + 1e-6))
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


def describe_filters(source_rate: float, target_rate: float) -> str:
    """Says what `measure_piece` does to a recording, given its and the prior's rate in Hz."""
    notches = [f"{notch:g}" for notch in NOTCHES_HZ if notch < source_rate / 2]
    removed = f"notches at {' and '.join(notches)} Hz, " if notches else ""
    resampled = "" if source_rate <= target_rate else f", resampled from {source_rate:g} to {target_rate:g} Hz and back"
    return (
        f"filtered as the prior was trained: {removed}high-pass at {HIGH_PASS_HZ:g} Hz{resampled}; "
        f"what is returned holds {HIGH_PASS_HZ:g}-{min(source_rate, target_rate) / 2:g} Hz"
    )


def describe_saturation(leads: Sequence[str], saturated: NDArray[np.float64]) -> list[str]:
    """Says for how many s each lead was at the recorder's limits."""
    notes = [
        f"lead {lead}: {seconds:.2f} s at the recorder's limit, restored"
        for lead, seconds in zip(leads, saturated, strict=True)
        if seconds
    ]
    return notes or ["no sample was at the recorder's limits"]


def describe_gap(lead: str, missing: float, restored: float, duration: float) -> str:
    """Says how much of a lead was missing and how much restored, in s, of a recording of a duration in s."""
    if math.isclose(missing, duration):
        return f"lead {lead} is missing throughout: not measured"
    return f"lead {lead}: {missing:.2f} s missing, {restored:.2f} s restored (with what the resampling reaches)"


def _describe_misfit(misfit: dict[str, float]) -> list[str]:
    """Warns where limb leads that were measured together contradict each other."""
    wrong = [f"{lead} by {size:.2f} mV" for lead, size in misfit.items()]
    if not wrong:
        return []
    note = f"the limb leads contradict Einthoven's law ({', '.join(wrong)}): check lead names and electrodes"
    warnings.warn(note, stacklevel=4)
    return [note]


def _limb_misfit(measurement: Measurement) -> dict[str, float]:
    operator = measurement.operator
    misfit = (operator(operator.pinv(measurement.y)) - measurement.y).abs().amax(dim=(0, 2))
    return {
        lead: size
        for lead, size in zip(measurement.leads, misfit.tolist(), strict=True)
        if lead in LIMB_COEFFICIENTS and size > LARGEST_LIMB_MISFIT_MV
    }
