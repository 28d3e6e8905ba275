"""The best linear denoiser: the Wiener filter of the eight leads together, which knows the spectra of ECG and noise.

Per frequency k of the orthonormal DCT-II, E[x_k given y_k] = C_k (C_k + n_k I)^-1 y_k, with C_k the covariance of the
leads' coefficients over training records and n_k the power of the noise, the same in all leads and independent between
them. It is to denoising what ridge regression is to missing leads.
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import dct, idct
from scipy.ndimage import uniform_filter1d

from einthoven.ecg.leads import INDEPENDENT_LEADS
from preprocessing.store.store import Store

SMOOTHING = 9
"""Neighbouring frequencies that a spectrum is averaged over."""

CHUNK = 64
"""Records per chunk."""


@dataclass(frozen=True)
class WienerFilter:
    """Multi-lead Wiener filter: `gain` is a matrix per frequency, shape (L, C, C)."""

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


def _scale(ecgs: np.ndarray) -> np.ndarray:
    """Root mean square of each record, shape (N, 1, 1); 1 for a record of zeros."""
    power = np.square(ecgs, dtype=np.float64).mean(axis=(1, 2), keepdims=True)
    return np.sqrt(np.where(power > 0.0, power, 1.0))
