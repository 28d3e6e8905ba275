"""What the finder is fitted on: features of clean ECGs damaged on purpose, and what of them is damaged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einthoven.run.progress import show_progress
from preprocessing.damage import BAD_SHARE, damage_ecg, hurt_pieces
from reconstruction.repairs.trees import Trees

RATE_HZ = 100.0
Features = Callable[[NDArray[np.float64], str], NDArray[np.float64]]
Ecg = tuple[str, NDArray[np.float64]]
"""Key and signal in mV, shape (12, L), at `RATE_HZ`."""


@dataclass(frozen=True)
class Windows:
    """Windows of damaged records, and of the same as they were.

    Attributes:
        features: Features of each piece, shape (windows, 12, pieces, features).
        share: How much of each piece is damaged, shape (windows, 12, pieces).
        damaged: False for windows of records as they were, shape (windows,).
    """

    features: NDArray[np.float64]
    share: NDArray[np.float64]
    damaged: NDArray[np.bool_]

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Pieces that are damaged enough, or not at all, shape (windows, 12, pieces)."""
        return (self.share == 0) | (self.share >= BAD_SHARE)

    def trees(self, columns: int, n_trees: int) -> Trees:
        """Fits trees of the first so many features, but for those that apply nowhere."""
        rows, is_bad = self.features[self.counted], self.share[self.counted] > 0
        there = np.flatnonzero(np.isfinite(rows[:, :columns]).any(axis=0))
        return Trees.fit(rows, is_bad, there, n_trees=n_trees)


def look(
    ecgs: Sequence[Ecg],
    noise: Mapping[str, NDArray[np.float64]],
    features: Features,
    damage_seed: int,
    clean_every: int,
) -> Windows:
    """Damages ECGs and computes their features; those of each so many-th as it was too."""
    found, share, is_damaged = [], [], []
    with show_progress(len(ecgs), "ECG") as bar:
        for place, (key, ecg) in enumerate(ecgs):
            damaged = damage_ecg(ecg, RATE_HZ, noise, key, damage_seed)
            shares = hurt_pieces(damaged.hurt, RATE_HZ)
            cases = [(damaged.signal, shares, True), (ecg, np.zeros_like(shares), False)]
            for signal, part, hurt in cases if place % clean_every == 0 else cases[:1]:
                # float32, as findings hold them
                found.append(features(signal, key).astype(np.float32))
                share.append(part)
                is_damaged.append(hurt)
            bar.update()
    return Windows(np.stack(found).astype(np.float64), np.stack(share), np.array(is_damaged))
