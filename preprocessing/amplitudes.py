"""Amplitudes of ECGs that were z-scored lead by lead: what can be recovered exactly, and what can be imputed.

Z-scoring divides each lead by its own standard deviation. For the limb leads the ratios of these deviations come back
exactly, since only one set of them makes Einthoven's and Goldberger's equations hold. What is left are seven numbers:
one common scale of the limb leads and one of each of V1-V6. They are imputed several times over (Rubin, Multiple
Imputation for Nonresponse in Surveys, 1987): ridge regression from the shape of the z-scored leads and the statements
to the logarithms of the scales, plus draws from the residuals' covariance, so that amplitudes vary as they do in truth.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import LIMB_COEFFICIENTS

SCALES: tuple[str, ...] = ("limb", "V1", "V2", "V3", "V4", "V5", "V6")
"""What is imputed; "limb" is the geometric mean of the standard deviations of I and II."""

MAX_LIMB_RESIDUAL = 0.05
"""Largest residual of the limb leads' equations, relative to their signals, with which ratios are trusted."""

_N_LIMB = len(LIMB_COEFFICIENTS)
_STRENGTHS = np.logspace(-1, 4, 21)
_N_PARTS = 5
_LEAST_SPREAD = 0.05
"""Standardised by this at least, a statement that is rare among the reference records weighs little."""


def limb_scales(ecg: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recovers the ratios of the limb leads' standard deviations from z-scored leads.

    With z_l = x_l / s_l, equations such as s_III z_III = s_II z_II - s_I z_I are linear in s: s is the null vector of
    their Gram matrix.

    Args:
        ecg: Z-scored ECGs, leads in the order of `LEADS`, shape (..., 12, L).

    Returns:
        Relative scales of I, II, III, aVR, aVL, aVF, shape (..., 6), the geometric mean of I's and II's being one (NaN
        where a scale comes out negative or zero); and the equations' residual relative to the signals, shape (...).
    """
    limb = ecg[..., :_N_LIMB, :]
    covariance = np.einsum("...al,...bl->...ab", limb, limb) / limb.shape[-1]
    gram = np.zeros_like(covariance)
    for row, (a, b) in enumerate(list(LIMB_COEFFICIENTS.values())[2:], start=2):
        equation = np.zeros(_N_LIMB)
        equation[[0, 1, row]] = a, b, -1.0
        gram += np.outer(equation, equation) * covariance
    values, vectors = np.linalg.eigh(gram)
    scales = vectors[..., 0]
    scales = scales * np.sign(scales.sum(axis=-1, keepdims=True))
    scales = np.where((scales > 0).all(axis=-1, keepdims=True), scales, np.nan)
    scales = scales / np.sqrt(scales[..., 0:1] * scales[..., 1:2])
    residual = np.sqrt(np.maximum(values[..., 0], 0.0) / (covariance.trace(axis1=-2, axis2=-1) / _N_LIMB))
    return scales, residual


def describe_shape(
    ecg: NDArray[np.float64], scales: NDArray[np.float64], labels: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Describes z-scored ECGs by what may tell their amplitudes.

    Args:
        ecg: Z-scored ECGs, leads in the order of `LEADS`, shape (N, 12, L).
        scales: Relative limb scales of `limb_scales`, shape (N, 6).
        labels: Statements, multi-hot, shape (N, 71).

    Returns:
        Features, shape (N, 161): logarithms of the limb scales; of each lead its largest and smallest value, skewness
        and kurtosis, compressed; between I, II and V1-V6 the correlations, and of these leads the logarithm of the
        standard deviation of their differences; the statements.
    """
    skewness = (ecg**3).mean(axis=-1)
    kurtosis = (ecg**4).mean(axis=-1)
    extremes = [np.log(np.maximum(ecg.max(axis=-1), 0.1)), np.log(np.maximum(-ecg.min(axis=-1), 0.1))]
    independent = ecg[:, [0, 1, 6, 7, 8, 9, 10, 11]]
    correlation = np.einsum("nal,nbl->nab", independent, independent) / ecg.shape[-1]
    upper = np.triu_indices(independent.shape[1], k=1)
    roughness = np.log(np.diff(independent, axis=-1).std(axis=-1))
    moments = [*extremes, np.cbrt(skewness), np.log(kurtosis)]
    parts = [np.log(scales), *moments, correlation[:, upper[0], upper[1]], roughness, labels.astype(np.float64)]
    return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class AmplitudeModel:
    """Regression from shape to amplitude.

    Attributes:
        centre: Mean of the features, shape (F,).
        spread: Standard deviation of the features, shape (F,).
        weights: Weights of the standardised features, shape (F, 7).
        intercept: Mean of the logarithmic scales, shape (7,).
        covariance: Covariance of the cross-validated residuals, shape (7, 7).
        r2: Cross-validated share of the variance of each logarithmic scale that is explained, shape (7,).
    """

    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]
    covariance: NDArray[np.float64]
    r2: NDArray[np.float64]

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the expected logarithmic scales (of mV), shape (N, 7), for features of shape (N, F)."""
        return (features - self.centre) / self.spread @ self.weights + self.intercept


def fit_amplitudes(ecg: NDArray[np.float64], labels: NDArray[np.float32], seed: int = 0) -> AmplitudeModel:
    """Fits the regression on ECGs whose amplitudes are known.

    Args:
        ecg: ECGs in mV, leads in the order of `LEADS`, none flat, processed as the z-scored ones, shape (N, 12, L).
        labels: Their statements, multi-hot, shape (N, 71).
        seed: Seed of the parts of the cross-validation.

    Returns:
        The model, its strength chosen by five-fold cross-validation.

    Raises:
        ValueError: If there are too few ECGs or a lead is flat.
    """
    deviations = ecg.std(axis=-1)
    if len(ecg) < 10 * _N_PARTS or not (deviations > 0).all():
        raise ValueError(f"amplitudes are learnt from at least {10 * _N_PARTS} ECGs without flat leads, not {len(ecg)}")
    logs = np.log(deviations)
    targets = np.column_stack([logs[:, :2].mean(axis=1), logs[:, _N_LIMB:]])
    relative = np.exp(logs[:, :_N_LIMB] - targets[:, :1])
    features = describe_shape(ecg / deviations[..., None], relative, labels)
    part = np.random.default_rng(seed).permutation(len(ecg)) % _N_PARTS
    outside = np.empty((len(_STRENGTHS), *targets.shape))
    for number in range(_N_PARTS):
        train, held = part != number, part == number
        for index, strength in enumerate(_STRENGTHS):
            centre, spread, weights, intercept = _ridge(features[train], targets[train], strength)
            outside[index, held] = (features[held] - centre) / spread @ weights + intercept
    residuals = targets - outside
    best = int((residuals**2).sum(axis=(1, 2)).argmin())
    r2 = 1 - residuals[best].var(axis=0) / targets.var(axis=0)
    model = _ridge(features, targets, float(_STRENGTHS[best]))
    return AmplitudeModel(*model, covariance=np.cov(residuals[best].T), r2=r2)


def impute_amplitudes(
    ecg: NDArray[np.float64],
    labels: NDArray[np.float32],
    model: AmplitudeModel,
    keys: NDArray[np.int64],
    n_draws: int = 4,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Draws standard deviations for the leads of z-scored ECGs.

    Args:
        ecg: Z-scored ECGs, leads in the order of `LEADS`, shape (N, 12, L).
        labels: Their statements, multi-hot, shape (N, 71).
        model: Regression from shape to amplitude.
        keys: Keys of the records, shape (N,): a record's draws depend on `seed` and its key only.
        n_draws: Number of draws of each record.
        seed: Seed.

    Returns:
        Standard deviations of all twelve leads in mV, shape (N, n_draws, 12); those of the limb leads keep the ratios
        that were recovered, so that the limb leads' equations hold.

    Raises:
        ValueError: If the ratios of a record's limb leads cannot be recovered.
    """
    scales, residual = limb_scales(ecg)
    bad = ~(residual <= MAX_LIMB_RESIDUAL) | np.isnan(scales).any(axis=1)
    if bad.any():
        raise ValueError(f"the limb leads of record(s) {keys[bad][:10].tolist()} fit no common scale; leave them out")
    expected = model.predict(describe_shape(ecg, scales, labels))
    root = np.linalg.cholesky(model.covariance)
    draws = [np.random.default_rng([seed, int(key)]).standard_normal((n_draws, len(SCALES))) for key in keys]
    imputed = np.exp(expected[:, None] + np.stack(draws) @ root.T)
    return np.concatenate([imputed[..., :1] * scales[:, None], imputed[..., 1:]], axis=-1)


def _ridge(
    features: NDArray[np.float64], targets: NDArray[np.float64], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns centre, spread, weights and intercept of a ridge regression on standardised features."""
    centre, intercept = features.mean(axis=0), targets.mean(axis=0)
    spread = np.maximum(features.std(axis=0), _LEAST_SPREAD)
    x = (features - centre) / spread
    weights = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ (targets - intercept))
    return centre, spread, weights, intercept
