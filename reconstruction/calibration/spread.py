"""How far samples are moved away from the posterior mean, fitted on several archives, each of which counts alike.

A network that saw few patients, or patients of one hospital, is too sure of others. Samples at the factor k are
mean + k (sample - mean); the CRPS says which k is best. It is taken relative to each archive's own best, so that one
with large amplitudes counts no more than another, and averaged over the archives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffusion_prior.checkpoint import add_facts, load_denoiser
from einthoven.statistics import crps, predictive_band

FACTORS: tuple[float, ...] = tuple(round(0.8 + 0.05 * step, 2) for step in range(35))
SETTING = "spread"


@dataclass(frozen=True)
class SpreadFit:
    """What each factor of `FACTORS` gives, by archive.

    Attributes:
        crps: CRPS in mV, shape (factors,).
        coverage: Share of the hidden samples in the 90 % band, shape (factors,).
    """

    crps: Mapping[str, NDArray[np.float64]]
    coverage: Mapping[str, NDArray[np.float64]]

    @property
    def best(self) -> float:
        """The factor of least CRPS, relative to each archive's least, on average over archives."""
        return FACTORS[int(np.mean([values / values.min() for values in self.crps.values()], axis=0).argmin())]

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
        return "\n".join(lines)


def fit_spread(folders: Mapping[str, Path]) -> SpreadFit:
    """Fits the factor on folders of `reconstruct_batch`, by archive, whose samples were not moved (spread 1)."""
    found = {name: _curves(folder) for name, folder in folders.items()}
    return SpreadFit(*({name: np.array(both[part]) for name, both in found.items()} for part in (0, 1)))


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


def write_spread(weights: str | Path | None, path: Path, method: str, spread: float) -> None:
    """Writes weights of the prior, with a method's spread among their facts."""
    settings = load_denoiser(weights).facts.get("fitted", {})
    own = {**settings.get(method, {}), SETTING: spread}
    add_facts(weights, path, {"fitted": {**settings, method: own}})
