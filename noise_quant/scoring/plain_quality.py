"""Plain signal quality of ECG leads, the baseline beside noise scores: flat and saturated leads, band powers, beats.

The spectral ratios and the kurtosis are the indices of Zhao and Zhang, SQI quality evaluation mechanism of single-lead
ECG signal, Front. Physiol. 9, 727 (2018), https://doi.org/10.3389/fphys.2018.00727; the correlation of beats with their
template is that of Orphanidou et al., IEEE J. Biomed. Health Inform. 19, 832 (2015), as neurokit2 has it: of its six
methods the one that parted noisy from clean training leads of PTB-XL best (AUROC 0.60 static, 0.70 baseline).
"""

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import periodogram
from scipy.stats import kurtosis

from einthoven.ecg.checks import longest_hold, longest_run
from einthoven.extras import extra

FEATURES = ("power_baseline", "power_qrs", "power_high", "kurtosis", "neurokit")
"""The indices that `plain` sums up."""

FLAT_MV = 0.01
"""A lead that varies by less than this, ten units of PTB-XL's files, carries no ECG."""
FLAT_S = 1.0
"""A lead that does not change at all for so long is flat too: there is a beat in it, and noise at least."""
SATURATED_S = 0.2
"""A lead that stays at its largest or smallest value for so long is saturated: no wave of an ECG is that flat."""

BASELINE_HZ = (0.0, 1.0)
ECG_HZ = (1.0, 40.0)
QRS_HZ = (5.0, 15.0)
BEAT_HZ = (5.0, 40.0)
HIGH_HZ = (40.0, 250.0)
"""Muscle and mains, where the sampling rate reaches them ..."""
LOW_RATE_HIGH_HZ = (30.0, 45.0)
"""... and what is left of them at low rates."""
FULL_RATE = 200.0
"""Sampling rate in Hz from which `HIGH_HZ` holds the mains and most of the muscle noise."""

CLEAN_CENTRE = {"power_baseline": -2.33, "power_qrs": 0.72, "power_high": -4.92, "kurtosis": 2.61, "neurokit": 0.977}
CLEAN_SPREAD = {"power_baseline": 1.69, "power_qrs": 0.60, "power_high": 1.04, "kurtosis": 0.62, "neurokit": 0.019}
"""Median and 1.48 median absolute deviations of the indices, as `_scale` lays them out, over a tenth of the clean leads
of PTB-XL's folds 1-8."""
LOW_RATE_CENTRE, LOW_RATE_SPREAD = -4.16, 1.10
"""The same of `power_high` at low rates."""
NOISY_SIDE = {"power_baseline": 1.0, "power_qrs": -1.0, "power_high": 1.0, "kurtosis": -1.0, "neurokit": -1.0}
"""To which side each index moves with noise."""
LARGEST_BENEFIT, LARGEST_HARM = 3.0, 10.0
"""How far one index can move `plain`, in its spreads."""


def lead_quality(ecg: NDArray[np.floating], sampling_rate: float) -> pd.DataFrame:
    """Judges the leads of a recording without any model.

    Args:
        ecg: ECG in mV, unfiltered, shape (n_leads, L), at least 2 s.
        sampling_rate: Sampling rate in Hz, at least 100 Hz.

    Returns:
        One row per lead, in the order of the leads: `flat` and `saturated` (bool); `power_baseline`, the log ratio of
        the power below 1 Hz to that of 1-40 Hz; `power_qrs`, of 5-15 Hz to the rest of 5-40 Hz; `power_high`, of 40 Hz
        and more (below 200 Hz: 30-45 Hz) to 1-40 Hz, in clean leads' spreads from their median; `kurtosis` (3 for a
        Gaussian); `neurokit`, the mean correlation of beats with their template, 0 where no beats are found; and
        `plain`, all in one number, higher is cleaner (`plain_score`). The indices of leads that are flat or not finite
        are NaN, and their `plain` is -inf, as is that of saturated leads.

    Raises:
        ValueError: If the shape, the rate or the length does not suit.
    """
    ecg = np.asarray(ecg, dtype=np.float64)
    if ecg.ndim != 2:
        raise ValueError(f"lead_quality needs an ECG of shape (n_leads, L), not {ecg.shape}")
    if sampling_rate < 100 or ecg.shape[1] < 2 * sampling_rate:
        raise ValueError(
            f"lead_quality needs 100 Hz and 2 s or more, not {sampling_rate:g} Hz and {ecg.shape[1]} samples: "
            "give a longer recording, or one of a higher rate"
        )
    table = pd.DataFrame([_one_lead(lead, sampling_rate) for lead in ecg])
    table["plain"] = plain_score(table)
    return table


def plain_score(table: pd.DataFrame) -> NDArray[np.float64]:
    """Sums up the indices of `lead_quality`: minus their mean distance from clean leads' medians, in spreads.

    Each index moves the mean by 3 spreads to the clean side and 10 to the noisy side at most. As with the diffusion
    models, clean leads alone were seen: no label of noise is used.

    Returns:
        Scores, shape (rows,), higher is cleaner; -inf for leads that are flat, saturated or not finite.
    """
    score = -quality_features(table).mean(axis=1)
    unusable = table["flat"].to_numpy(dtype=bool) | table["saturated"].to_numpy(dtype=bool) | np.isnan(score)
    return np.where(unusable, -np.inf, score)


def quality_features(table: pd.DataFrame) -> NDArray[np.float64]:
    """Lays the indices of `lead_quality` out: distance from clean leads' median, in spreads, noisy side positive.

    In the order of `FEATURES`, cut to [-3, 10], shape (rows, 5); NaN for leads without indices.
    """
    columns = [_scale(table[name].to_numpy(dtype=np.float64), name) for name in FEATURES]
    return np.clip(np.stack(columns, axis=1), -LARGEST_BENEFIT, LARGEST_HARM)


def _scale(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    if name == "power_high":
        return values
    logs = np.log(np.maximum(values, 1.0)) if name == "kurtosis" else values
    return NOISY_SIDE[name] * (logs - CLEAN_CENTRE[name]) / CLEAN_SPREAD[name]


def _one_lead(lead: NDArray[np.float64], sampling_rate: float) -> dict[str, float | bool]:
    if not np.isfinite(lead).all():
        return {"flat": False, "saturated": False, **dict.fromkeys(FEATURES, np.nan)}
    if float(np.ptp(lead)) < FLAT_MV or longest_run(np.diff(lead) == 0) + 1 >= FLAT_S * sampling_rate:
        return {"flat": True, "saturated": False, **dict.fromkeys(FEATURES, np.nan)}
    saturated = longest_hold(lead) >= SATURATED_S * sampling_rate
    return {
        "flat": False,
        "saturated": saturated,
        **_band_powers(lead, sampling_rate),
        "kurtosis": float(kurtosis(lead, fisher=False)),
        "neurokit": _beat_correlation(lead, sampling_rate),
    }


def _band_powers(lead: NDArray[np.float64], sampling_rate: float) -> dict[str, float]:
    """Returns the log ratios of band powers of a lead, shape (L,) in mV."""
    frequencies, density = periodogram(lead, sampling_rate, window="hann", detrend="constant")

    def log_power(band: tuple[float, float]) -> float:
        inside = (frequencies >= band[0]) & (frequencies < band[1])
        return float(np.log(density[inside].sum() + np.finfo(np.float64).tiny))

    qrs = np.exp(log_power(QRS_HZ) - log_power(BEAT_HZ))
    low_rate = sampling_rate < FULL_RATE
    high = log_power(LOW_RATE_HIGH_HZ if low_rate else HIGH_HZ) - log_power(ECG_HZ)
    centre, spread = LOW_RATE_CENTRE, LOW_RATE_SPREAD
    if not low_rate:
        centre, spread = CLEAN_CENTRE["power_high"], CLEAN_SPREAD["power_high"]
    return {
        "power_baseline": log_power(BASELINE_HZ) - log_power(ECG_HZ),
        "power_qrs": float(np.log(qrs) - np.log1p(-min(qrs, 1 - 1e-9))),
        "power_high": (high - centre) / spread,
    }


def _beat_correlation(lead: NDArray[np.float64], sampling_rate: float) -> float:
    """Returns neurokit2's quality of a lead in mV, shape (L,): 0 where it finds no beats, on which it raises."""
    with extra("train"):
        from neurokit2 import ecg_clean, ecg_quality  # an import of seconds

    rate = round(sampling_rate)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            quality = np.asarray(
                ecg_quality(ecg_clean(lead, sampling_rate=rate), sampling_rate=rate, method="templatematch")
            )
        except (ArithmeticError, IndexError, KeyError, TypeError, ValueError):
            return 0.0
    finite = quality[np.isfinite(quality)]
    return float(finite.mean()) if len(finite) else 0.0
