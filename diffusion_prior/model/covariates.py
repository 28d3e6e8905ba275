"""Covariates of the prior: what else may be known of a person or a recording.

Each is given as a number in its own unit, NaN where it is not known; the network is shown the scaled number and whether
it is known. Age and sex help to tell twelve leads from one; the rhythm's mean and irregularity steer generation.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks
from torch import Tensor

SHORTEST_RHYTHM_S = 6.0
"""Shortest piece of which a rhythm is measured."""
MIN_RR_S = 0.24
"""Shortest RR interval, that of 250 beats a minute."""


@dataclass(frozen=True)
class Covariate:
    """A scalar that the network can be told.

    Attributes:
        name: Its name.
        meaning: What it is, with its unit.
        scale: Turns values in that unit into numbers of about unit size.
    """

    name: str
    meaning: str
    scale: Callable[[Tensor], Tensor]


COVARIATES: dict[str, Covariate] = {
    covariate.name: covariate
    for covariate in (
        Covariate("age", "age in years; 90 stands for all above", lambda age: (age.clamp(0, 90) - 60) / 20),
        Covariate("sex", "0 male, 1 female", lambda sex: 2 * sex - 1),
        Covariate("rr_mean", "mean of the RR intervals in s", lambda rr: (rr.clamp(0.2, 3.0) / 0.8).log() / 0.25),
        Covariate(
            "rr_sd", "standard deviation of the RR intervals in s", lambda sd: (sd.clamp(0.005, 1.0) / 0.04).log()
        ),
    )
}


def check_covariates(names: Sequence[str]) -> tuple[str, ...]:
    """Returns names of covariates as a tuple.

    Args:
        names: Names of `COVARIATES`, each once.

    Raises:
        ValueError: If a name is unknown or is given twice.
    """
    unknown = [name for name in names if name not in COVARIATES]
    if unknown or len(set(names)) < len(names):
        raise ValueError(f"covariates must be some of {', '.join(COVARIATES)}, each once; got {', '.join(names)}")
    return tuple(names)


def encode_covariates(names: Sequence[str], values: Tensor) -> Tensor:
    """Turns covariates into what a network is shown.

    Args:
        names: Names of the K covariates.
        values: Their values, each in its own unit, NaN where not known, shape (B, K).

    Returns:
        Scaled values, 0 where not known, and then 1 where known, else 0, shape (B, 2 K).

    Raises:
        ValueError: If there is not one value for each condition.
    """
    if values.shape[-1] != len(names):
        raise ValueError(f"this prior takes the covariates {', '.join(names) or 'none'}; got {values.shape[-1]} values")
    known = ~values.isnan()
    scaled = [COVARIATES[name].scale(values[:, k]) for k, name in enumerate(names)]
    return torch.cat([torch.where(known, torch.stack(scaled, dim=1), 0.0), known.to(values)], dim=1)


def measure_rhythm(x: NDArray[np.float32], sampling_rate: float) -> tuple[float, float]:
    """Measures the mean and the standard deviation of the RR intervals.

    Args:
        x: ECG in mV, shape (C, L).
        sampling_rate: Sampling rate in Hz.

    Returns:
        Mean and standard deviation in s; NaN where the ECG is shorter than `SHORTEST_RHYTHM_S` or has fewer than four
        beats.
    """
    if x.shape[-1] < SHORTEST_RHYTHM_S * sampling_rate:
        return math.nan, math.nan
    peaks = find_beats(x, sampling_rate)
    if len(peaks) < 4:
        return math.nan, math.nan
    intervals = np.diff(peaks) / sampling_rate
    return float(intervals.mean()), float(intervals.std())


def find_beats(x: NDArray[np.float32], sampling_rate: float) -> NDArray[np.int64]:
    """Finds the QRS complexes of an ECG in mV, shape (C, L): their places in samples, none where there are few.

    They are peaks of the mean speed over all leads, each lead scaled by its own largest speeds: crude beside a clinical
    detector, and good enough to tell a network the rate and the irregularity.
    """
    speed = np.square(np.diff(x, axis=-1))
    speed /= np.maximum(np.quantile(speed, 0.98, axis=-1, keepdims=True), 1e-9)
    energy = uniform_filter1d(np.minimum(speed, 4.0).mean(axis=0), max(round(0.1 * sampling_rate), 1))
    strongest, _ = find_peaks(energy, distance=round(MIN_RR_S * sampling_rate))
    if len(strongest) < 4:
        return np.zeros(0, dtype=np.int64)
    height = 0.3 * float(np.quantile(energy[strongest], 0.9))
    return np.asarray(find_peaks(energy, height=height, distance=round(MIN_RR_S * sampling_rate))[0], dtype=np.int64)
