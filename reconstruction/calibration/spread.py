"""How far samples are moved away from the posterior mean, fitted on several archives, each of which counts alike.

A network that saw few patients, or patients of one hospital, is too sure of others. Samples at the factor k are
mean + k (sample - mean); the CRPS says which k is best. It is taken relative to each archive's own best, so that one
with large amplitudes counts no more than another, and averaged over the archives.

Whole leads may then still be too alike in their amplitudes (`reconstruction.samplers.amplitudes`). What is missing is
the covariance of the logarithms' errors beyond that of the samples, again an average over the archives: of Gaussian
samples it is what makes the truth look like one of them. Chest leads' errors go together, so it is no number a lead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion_prior.checkpoint import add_facts, load_denoiser
from einthoven.ecg.amplitude import amplitude
from einthoven.ecg.leads import INDEPENDENT_LEADS, lead_rows
from einthoven.statistics import crps, predictive_band

FACTORS: tuple[float, ...] = tuple(round(0.8 + 0.05 * step, 2) for step in range(35))
_LEAST_MV = 1e-3
"""Least amplitude: the logarithm of a flat lead's is none."""


@dataclass(frozen=True)
class SpreadFit:
    """What each factor of `FACTORS` gives, by archive.

    Attributes:
        crps: CRPS in mV, shape (factors,).
        coverage: Share of the hidden samples in the 90 % band, shape (factors,).
        amplitudes: What the amplitudes of samples at the best factor lack, by archive: the covariance of the logarithms
            of the eight independent leads, shape (8, 8), zero for those that were measured; negative in directions
            where samples differ more than they should. Empty: not fitted.
    """

    crps: Mapping[str, NDArray[np.float64]]
    coverage: Mapping[str, NDArray[np.float64]]
    amplitudes: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def best(self) -> float:
        """The factor of least CRPS, relative to each archive's least, on average over archives."""
        return FACTORS[int(np.mean([values / values.min() for values in self.crps.values()], axis=0).argmin())]

    @property
    def settings(self) -> dict[str, Any]:
        """What to keep among the facts of the weights: the factor, and the archives' mean covariance made positive."""
        found: dict[str, Any] = {"spread": self.best}
        if self.amplitudes:
            values, vectors = np.linalg.eigh(np.mean(list(self.amplitudes.values()), axis=0))
            found["amplitude_covariance"] = (vectors * values.clip(min=0.0) @ vectors.T).round(4).tolist()
        return found

    def describe(self) -> str:
        """Says in a line for each archive what the best factor for all gives, and what its own best is."""
        place = FACTORS.index(self.best)
        lines = [f"spread {self.best:g}"]
        for name, values in self.crps.items():
            own, covered = int(values.argmin()), 100 * self.coverage[name]
            lines.append(
                f"{name}: CRPS {values[place]:.4f} mV, coverage {covered[place]:.1f} % (its own best: spread "
                f"{FACTORS[own]:g}, CRPS {values[own]:.4f} mV, coverage {covered[own]:.1f} %)"
            )
        for name, missing in self.amplitudes.items():
            lacking = ", ".join(f"{value:.2f}" for value in np.diag(missing).clip(min=0.0) ** 0.5)
            lines.append(
                f"{name}: log amplitudes lack standard deviations of {lacking} ({', '.join(INDEPENDENT_LEADS)})"
            )
        return "\n".join(lines)


def fit_spread(folders: Mapping[str, Path], amplitude_rate: float | None = None) -> SpreadFit:
    """Fits the factor on folders of `reconstruct_batch`, by archive, whose samples were not moved (spread 1).

    Args:
        folders: The folders.
        amplitude_rate: Their sampling rate in Hz, to fit what amplitudes lack too, where whole leads were hidden; None:
            only the factor.
    """
    found = {name: _curves(folder) for name, folder in folders.items()}
    fit = SpreadFit(*({name: np.array(both[part]) for name, both in found.items()} for part in (0, 1)))
    if amplitude_rate is None:
        return fit
    missing = {name: _missing_covariance(folder, fit.best, amplitude_rate) for name, folder in folders.items()}
    return replace(fit, amplitudes=missing)


def _curves(folder: Path) -> tuple[Sequence[float], Sequence[float]]:
    """Returns CRPS and coverage of the hidden samples at each factor."""
    samples, mean, truth, observed = (
        np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("samples", "mean", "truth", "observed")
    )
    totals = np.zeros((2, len(FACTORS)))
    n_hidden = 0
    for one, centre, true, known in zip(samples, mean, truth, observed, strict=True):
        hidden = ~known & np.isfinite(true)
        n_hidden += int(hidden.sum())
        counts = hidden.sum(axis=-1)
        for place, factor in enumerate(FACTORS):
            moved = centre + np.float32(factor) * (one - centre)
            lower, upper = predictive_band(moved)
            totals[0, place] += np.nansum(crps(moved, true, hidden) * counts)
            totals[1, place] += ((lower <= true) & (true <= upper))[hidden].sum()
    if not n_hidden:
        raise ValueError(f"{folder}: no sample was hidden, so no spread can be fitted: choose another missingness")
    return tuple(totals[0] / n_hidden), tuple(totals[1] / n_hidden)


def _missing_covariance(folder: Path, spread: float, sampling_rate: float) -> NDArray[np.float64]:
    """Returns the covariance of the errors beyond that of the samples."""
    rows = lead_rows(INDEPENDENT_LEADS)
    samples, mean, truth, observed = (
        np.load(folder / f"{name}.npy", mmap_mode="r")[..., rows, :]
        for name in ("samples", "mean", "truth", "observed")
    )
    if len(truth) < 2:
        raise ValueError(f"{folder}: amplitudes are fitted on two records or more: raise n_records")
    hidden = np.flatnonzero(~observed.any(axis=(0, 2)))
    drawn = mean[:, None] + np.float32(spread) * (samples - mean[:, None])
    everywhere = np.ones((1, 1), dtype=bool)
    logs = np.log(amplitude(drawn[..., hidden, :], everywhere, sampling_rate).clip(min=_LEAST_MV))
    true = np.log(amplitude(truth[:, hidden], everywhere, sampling_rate).clip(min=_LEAST_MV))
    own = np.mean([np.cov(one.T) for one in logs], axis=0) * (1 + 1 / logs.shape[1])
    missing = np.zeros((len(rows), len(rows)))
    missing[np.ix_(hidden, hidden)] = np.cov((true - logs.mean(axis=1)).T) - own
    return missing


def write_settings(weights: str | Path | None, path: Path, method: str, settings: Mapping[str, object]) -> None:
    """Writes weights of the prior, with a method's settings among those that were fitted for them."""
    fitted = load_denoiser(weights).facts.get("fitted", {})
    add_facts(weights, path, {"fitted": {**fitted, method: {**fitted.get(method, {}), **settings}}})
