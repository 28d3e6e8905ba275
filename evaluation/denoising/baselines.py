"""What a denoiser must beat: zero-phase filters, wavelet shrinkage and neurokit2's cleaners, each at its best settings.

The settings of a baseline are those of most output SNR on noisy records whose truth is known (`choose_baselines`):
records of the validation split with noise of NSTDB's first half, of the type and at the level of the test. So every
baseline knows what noise it meets.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from scipy import signal
from scipy.fft import dct, idct
from scipy.ndimage import uniform_filter1d

from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.extras import extra
from einthoven.statistics import finite_mean
from evaluation.denoising.metrics import output_snr
from preprocessing.store.store import Store

with extra("train"):
    import neurokit2
    import pywt

HIGH_PASS_HZ = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
LOW_PASS_HZ = (8.0, 10.0, 12.5, 15.0, 17.5, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0)
HIGH_PASS_ORDERS = (1, 2, 3, 5)
LOW_PASS_ORDERS = (1, 2, 4)
PADDING_S = 6.0
"""Mirrored seconds on each side, at most."""

NEUROKIT_METHODS = ("neurokit", "biosppy", "pantompkins1985", "hamilton2002", "elgendi2010", "engzeemod2012", "vg")

SMOOTHING = 9
"""Neighbouring frequencies that a spectrum is averaged over."""

CHUNK = 64
"""Records per chunk."""


class Cleaner(Protocol):
    """Takes noise from ECGs."""

    def __call__(self, y: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Cleans noisy ECGs in mV, shape (N, C, L), sampled at a rate in Hz; the result is float64."""


@dataclass(frozen=True)
class HighPass:
    """Butterworth high-pass with a cut-off in Hz; forward and backward, so of twice the order."""

    cutoff: float = 0.8
    order: int = 2

    def __call__(self, y: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Filters: see `Cleaner`."""
        return _zero_phase(y, sampling_rate, self.cutoff, self.order, "highpass")


@dataclass(frozen=True)
class BandPass:
    """Butterworth high-pass at `low` and low-pass at `high` Hz, each forward and backward, with orders of their own."""

    low: float = 0.8
    high: float = 35.0
    low_order: int = 2
    high_order: int = 1

    def __call__(self, y: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Filters: see `Cleaner`."""
        passed = _zero_phase(y, sampling_rate, self.low, self.low_order, "highpass")
        return _zero_phase(passed, sampling_rate, self.high, self.high_order, "lowpass")


@dataclass(frozen=True)
class WaveletShrinkage:
    """Shrinks the coefficients of a stationary wavelet transform, after a high-pass.

    The threshold is universal, `scale * sigma * sqrt(2 log L)` (Donoho and Johnstone, Biometrika 81, 425, 1994), with
    sigma the median absolute coefficient over 0.6745, in the transform without decimation (Coifman and Donoho 1995).
    A high-pass takes the drift more sharply than leaving the approximation out would.

    Attributes:
        cutoff: Cut-off of the high-pass in Hz.
        order: Order of the high-pass.
        wavelet: Name of the wavelet.
        n_levels: Levels of details; the approximation below them is kept.
        by_level: Whether each level has a sigma of its own; otherwise the finest level's holds for all (white noise).
        scale: Factor on the threshold.
        rule: "soft", or "garrote" (Gao 1998), which shrinks large coefficients less.
    """

    cutoff: float = 0.8
    order: int = 2
    wavelet: str = "db2"
    n_levels: int = 3
    by_level: bool = False
    scale: float = 0.5
    rule: str = "garrote"

    def __call__(self, y: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Shrinks: see `Cleaner`."""
        length = y.shape[-1]
        passed = _zero_phase(y, sampling_rate, self.cutoff, self.order, "highpass")
        block = 2**self.n_levels
        before = min(block, length - 1)
        after = before + -(length + 2 * before) % block
        padded = np.pad(passed, [(0, 0), (0, 0), (before, after)], mode="symmetric")
        approximation, *details = pywt.swt(padded, self.wavelet, self.n_levels, axis=-1, trim_approx=True, norm=True)
        finest = _noise_sigma(details[-1])
        shrunk = [approximation]
        for detail in details:
            sigma = _noise_sigma(detail) if self.by_level else finest
            shrunk.append(_shrink(detail, self.scale * sigma * np.sqrt(2.0 * np.log(length)), self.rule))
        cleaned = pywt.iswt(shrunk, self.wavelet, norm=True, axis=-1)
        return np.asarray(cleaned[..., before : before + length])


@dataclass(frozen=True)
class NeuroKit:
    """A cleaner of neurokit2 by its name there (Makowski et al., Behav. Res. Methods 53, 1689, 2021), lead by lead."""

    method: str = "neurokit"

    def __call__(self, y: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Cleans: see `Cleaner`."""
        flat = np.asarray(y, dtype=np.float64).reshape(-1, y.shape[-1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its methods were made for higher rates, and say so for every lead
            cleaned = [neurokit2.ecg_clean(lead, sampling_rate=sampling_rate, method=self.method) for lead in flat]
        return np.asarray(cleaned, dtype=np.float64).reshape(y.shape)


@dataclass(frozen=True)
class DeepFade:
    """DeepFADE, the network that ecgdatakit ships: a denoising autoencoder of single leads of ten seconds at 500 Hz.

    It was trained on recordings that are not public, is told nothing, has no setting, and takes seconds a lead.
    """

    def __call__(self, y: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Cleans: see `Cleaner`."""
        with extra("formats"):
            from ecgdatakit.processing.clean import clean_ecg
        flat = np.asarray(y, dtype=np.float64).reshape(-1, y.shape[-1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says for every lead that it is experimental
            cleaned = [clean_ecg(lead, method="deepfade", fs=round(sampling_rate)).samples for lead in flat]
        return np.asarray(cleaned, dtype=np.float64).reshape(y.shape)


@dataclass(frozen=True)
class WienerFilter:
    """The best linear denoiser: the Wiener filter of the eight leads, which knows the spectra of ECG and noise.

    Per frequency k of the orthonormal DCT-II, E[x_k given y_k] = C_k (C_k + n_k I)^-1 y_k, with C_k the covariance of
    the leads' coefficients over training records and n_k the power of the noise, the same in all leads and independent
    between them. It is to denoising what ridge regression is to missing leads.

    Attributes:
        gain: Matrix per frequency, shape (L, C, C).
    """

    gain: np.ndarray

    @classmethod
    def fit(cls, store: Store, noisy: np.ndarray, truth: np.ndarray) -> "WienerFilter":
        """Takes the ECGs' covariance from the training records of a store, and the noise's power from pairs.

        Each record counts alike: its coefficients are taken relative to the root mean square of its clean ECG. `noisy`
        and `truth` are independent leads in mV, shape (N, 8, L), L at most the store's length.
        """
        rows, length = store.rows("train"), truth.shape[-1]
        if len(rows) == 0 or len(truth) == 0:
            raise ValueError(f"{store.path} needs records in train and val to fit the Wiener filter: prepare it again")
        covariance = np.zeros((length, len(INDEPENDENT_LEADS), len(INDEPENDENT_LEADS)))
        for start in range(0, len(rows), CHUNK):
            ecgs = store.read(rows[start : start + CHUNK], INDEPENDENT_LEADS)[..., :length].astype(np.float64)
            coefficients = dct(ecgs / _scale(ecgs), norm="ortho", axis=-1)
            covariance += np.einsum("nak,nbk->kab", coefficients, coefficients)
        covariance = uniform_filter1d(covariance / len(rows), SMOOTHING, axis=0, mode="nearest")
        noise = dct((noisy.astype(np.float64) - truth) / _scale(truth), norm="ortho", axis=-1)
        power = uniform_filter1d(np.square(noise).mean(axis=(0, 1)), SMOOTHING, mode="nearest")
        total = covariance + np.maximum(power, 1e-12)[:, None, None] * np.eye(len(INDEPENDENT_LEADS))
        return cls(np.linalg.solve(total, covariance).swapaxes(-1, -2))

    def __call__(self, y: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Denoises ECGs in mV, shape (N, 8, L), of the length and rate that it was fitted for, to float64."""
        coefficients = dct(y.astype(np.float64), norm="ortho", axis=-1)
        return np.asarray(idct(np.einsum("kab,nbk->nak", self.gain, coefficients), norm="ortho", axis=-1))


@dataclass(frozen=True)
class Chosen:
    """A baseline with its settings by name, and its mean output SNR in dB on the records that it was chosen on."""

    cleaner: Cleaner
    output_snr: float
    settings: Mapping[str, Any] = field(default_factory=dict)


def mean_output_snr(cleaner: Cleaner, noisy: np.ndarray, truth: np.ndarray, sampling_rate: float) -> float:
    """Measures a baseline's mean output SNR in dB; arguments as in `choose_baselines`."""
    return float(finite_mean(output_snr(cleaner(noisy, sampling_rate), truth)))


Adjustable = HighPass | BandPass | WaveletShrinkage | NeuroKit


def choose_baselines(noisy: np.ndarray, truth: np.ndarray, sampling_rate: float) -> dict[str, Chosen]:
    """Chooses the settings of every baseline, by name: those of most output SNR.

    Args:
        noisy: Noisy ECGs in mV, shape (N, C, L).
        truth: The same without noise, in mV, shape (N, C, L).
        sampling_rate: Sampling rate in Hz.
    """
    if len(noisy) == 0:
        raise ValueError("no record to choose the baselines on: the store needs records in val")
    data = (noisy, truth, sampling_rate)
    slow: dict[str, Sequence[Any]] = {"cutoff": HIGH_PASS_HZ, "order": HIGH_PASS_ORDERS}
    high_pass = _search(HighPass(), slow, *data)
    filtered = high_pass.settings
    band = {
        "high": tuple(frequency for frequency in LOW_PASS_HZ if frequency < sampling_rate / 2),
        "high_order": LOW_PASS_ORDERS,
        "low": HIGH_PASS_HZ,
        "low_order": HIGH_PASS_ORDERS,
    }
    shrinkage = {
        "scale": (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4),
        "n_levels": (1, 2, 3, 4, 5),
        "by_level": (False, True),
        "wavelet": ("haar", "db2", "db4", "sym4", "sym8", "coif1"),
        "rule": ("soft", "garrote"),
        **slow,
    }
    return {
        "high-pass": high_pass,
        "band-pass": _search(BandPass(low=filtered["cutoff"], low_order=filtered["order"]), band, *data),
        "wavelet": _search(WaveletShrinkage(cutoff=filtered["cutoff"], order=filtered["order"]), shrinkage, *data),
        "neurokit2": _search(NeuroKit(), {"method": NEUROKIT_METHODS}, *data),
    }


def _search(
    start: Adjustable, choices: Mapping[str, Sequence[Any]], noisy: np.ndarray, truth: np.ndarray, sampling_rate: float
) -> Chosen:
    """Takes the best value of one setting after the other until none improves."""
    found: dict[Adjustable, float] = {}

    def score(cleaner: Adjustable) -> float:
        if cleaner not in found:
            try:
                found[cleaner] = mean_output_snr(cleaner, noisy, truth, sampling_rate)
            except ValueError:  # a fixed cut-off of neurokit2 beyond half the sampling rate
                found[cleaner] = -np.inf
        return found[cleaner]

    best, previous = start, None
    while best != previous:
        previous = best
        for name, values in choices.items():
            best = max([best, *(replace(best, **{name: value}) for value in values)], key=score)
    return Chosen(best, score(best), asdict(best))


def _zero_phase(
    y: np.ndarray, sampling_rate: float, cutoff: float, order: int, kind: Literal["highpass", "lowpass"]
) -> np.ndarray:
    sections = signal.butter(order, cutoff, kind, fs=sampling_rate, output="sos")
    padding = min(round(PADDING_S * sampling_rate), y.shape[-1] - 1)
    return np.asarray(signal.sosfiltfilt(sections, y.astype(np.float64), axis=-1, padtype="even", padlen=padding))


def _noise_sigma(coefficients: np.ndarray) -> np.ndarray:
    return np.asarray(np.median(np.abs(coefficients), axis=-1, keepdims=True) / 0.6745)


def _shrink(coefficients: np.ndarray, threshold: np.ndarray, rule: str) -> np.ndarray:
    size = np.abs(coefficients)
    share = np.divide(threshold, size, out=np.ones_like(size), where=size > threshold)
    return np.asarray(coefficients * (1.0 - share ** {"soft": 1, "garrote": 2}[rule]))


def _scale(ecgs: np.ndarray) -> np.ndarray:
    """Root mean square of each record, shape (N, 1, 1); 1 for a record of zeros."""
    power = np.square(ecgs, dtype=np.float64).mean(axis=(1, 2), keepdims=True)
    return np.sqrt(np.where(power > 0.0, power, 1.0))
