"""Gaussian noise of a measurement: white, or with a spectrum for each lead.

The noise of different leads is independent, its mean is zero. A spectrum is diagonal in the orthonormal cosine basis
(DCT-II), not in that of the discrete Fourier transform: baseline wander does not end where it began, and the
Fourier basis would take the step between the two ends for power at all frequencies.
"""

import math
from abc import ABC, abstractmethod
from functools import lru_cache

import torch
from torch import Tensor


class NoiseModel(ABC):
    """Gaussian noise of B records or of all, with covariance `Sigma` over the samples of each lead."""

    @abstractmethod
    def variances(self, like: Tensor) -> Tensor:
        """Returns the variances in the basis where Sigma is diagonal, mV^2, for a measurement `like (..., B, m, L)`.

        Their shape is (m, L) or (B, m, L), or with 1 for L where they are equal; type and device are those of `like`.
        """

    @abstractmethod
    def analyse(self, v: Tensor) -> Tensor:
        """Takes samples `(..., m, L)` to the basis where Sigma is diagonal."""

    @abstractmethod
    def synthesise(self, v: Tensor) -> Tensor:
        """Takes coefficients `(..., m, L)` of that basis back to samples: the transpose of `analyse`."""

    def covariance(self, v: Tensor) -> Tensor:
        """Returns `Sigma v`, shape of `v` (..., B, m, L)."""
        return self.synthesise(self.variances(v) * self.analyse(v))

    def colour(self, z: Tensor) -> Tensor:
        """Turns standard normal numbers `(..., B, m, L)` into noise in mV of the same shape."""
        return self.synthesise(self.variances(z).sqrt() * self.analyse(z))

    def rms(self, like: Tensor) -> Tensor:
        """Returns the root mean square of the noise of each lead in mV, shape (m,) or (B, m)."""
        return self.variances(like).mean(dim=-1).sqrt()


class WhiteNoise(NoiseModel):
    """Independent noise of each sample, with standard deviations > 0 in mV: a number, or of shape (m,) or (B, m)."""

    def __init__(self, sigma: float | Tensor) -> None:
        self.sigma = torch.as_tensor(sigma, dtype=torch.float64)
        if not bool((self.sigma > 0).all()) or not bool(self.sigma.isfinite().all()):
            raise ValueError(f"sigma_y must be positive, but is {sigma}; a noise-free measurement: 0.01 mV")

    def variances(self, like: Tensor) -> Tensor:
        """Returns the variance of each lead, shape (m, 1) or (B, m, 1)."""
        sigma = self.sigma if self.sigma.ndim else self.sigma.expand(like.shape[-2])
        return sigma.square().to(like)[..., None]

    def analyse(self, v: Tensor) -> Tensor:
        """Returns `v` itself."""
        return v

    def synthesise(self, v: Tensor) -> Tensor:
        """Returns `v` itself."""
        return v


class SpectralNoise(NoiseModel):
    """Noise with a spectrum for each lead.

    Args:
        spectrum: Variances > 0 of the coefficients of the orthonormal DCT-II, in mV^2, shape (m, L) or (B, m, L); their
            mean over L is the variance of a sample. Coefficient k has frequency `k rate / (2 L)`.
    """

    def __init__(self, spectrum: Tensor) -> None:
        if spectrum.ndim not in (2, 3) or not bool((spectrum > 0).all()) or not bool(spectrum.isfinite().all()):
            raise ValueError("a spectrum needs positive, finite variances of shape (m, L) or (B, m, L)")
        self.spectrum = spectrum

    def variances(self, like: Tensor) -> Tensor:
        """Returns the spectrum, shape (m, L) or (B, m, L)."""
        return self.spectrum.to(like)

    def analyse(self, v: Tensor) -> Tensor:
        """Returns the cosine coefficients of `v (..., m, L)`."""
        return v @ cosine_basis(v.shape[-1]).to(v).T

    def synthesise(self, v: Tensor) -> Tensor:
        """Returns the samples of coefficients `v (..., m, L)`."""
        return v @ cosine_basis(v.shape[-1]).to(v)


@lru_cache(maxsize=8)
def cosine_basis(length: int) -> Tensor:
    """Returns the orthonormal DCT-II as a matrix, shape (length, length): row k is the cosine of frequency k."""
    sample, k = torch.arange(length, dtype=torch.float64) + 0.5, torch.arange(length, dtype=torch.float64)
    basis = torch.cos(math.pi / length * k[:, None] * sample) * math.sqrt(2 / length)
    basis[0] /= math.sqrt(2)
    return basis
