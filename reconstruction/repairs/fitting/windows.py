"""What the finder is fitted on: features of clean ECGs damaged on purpose, and what of them is damaged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.run.progress import show_progress
from preprocessing.clean_records import CleanRecord
from preprocessing.damage import BAD_SHARE, damage_ecg, hurt_pieces
from reconstruction.repairs.finding.context import piece_context
from reconstruction.repairs.finding.trees import Trees

Features = Callable[[NDArray[np.float64], float, str], NDArray[np.float64]]
"""Features of an ECG of shape (12, L), of its rate and its key."""
Noise = Callable[[float], Mapping[str, NDArray[np.float64]]]
"""Recorded noise by type at a rate in Hz: see `damage_noise`."""
N_PARTS = 5
"""The context is fitted on log odds of trees that were fitted on the other parts."""
CONTEXT_TREES = 100, 10, 0.06
"""How many, with how many leaves, and the learning rate."""


@dataclass(frozen=True)
class Windows:
    """Windows of damaged records, and of the same as they were.

    Attributes:
        features: Features of each piece, shape (windows, 12, pieces, features).
        share: How much of each piece is damaged, shape (windows, 12, pieces).
        damaged: False for windows of records as they were, shape (windows,).
        record: Number of the record of each window, shape (windows,).
    """

    features: NDArray[np.float64]
    share: NDArray[np.float64]
    damaged: NDArray[np.bool_]
    record: NDArray[np.int64]

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Pieces that are damaged enough, or not at all, shape (windows, 12, pieces)."""
        return (self.share == 0) | (self.share >= BAD_SHARE)

    def trees(self, columns: int, n_trees: int, n_leaves: int = 12, learning_rate: float = 0.08) -> Trees:
        """Fits trees of the first so many features, but for those that apply nowhere."""
        rows, is_bad = self.features[self.counted], self.share[self.counted] > 0
        there = np.flatnonzero(np.isfinite(rows[:, :columns]).any(axis=0))
        return Trees.fit(rows, is_bad, there, n_trees, n_leaves, learning_rate)

    def only(self, chosen: NDArray[np.bool_]) -> "Windows":
        """Returns some of the windows."""
        return Windows(self.features[chosen], self.share[chosen], self.damaged[chosen], self.record[chosen])

    def context(self, n_trees: int) -> Trees:
        """Fits trees of `piece_context`, of what joined trees say that have not seen the record, (windows, ...)."""
        columns, part = self.features.shape[-1], self.record % N_PARTS
        log_odds = np.zeros(self.share.shape)
        for number in np.unique(part):
            others = self.only(part != number) if (part != number).any() else self
            log_odds[part == number] = others.trees(columns, n_trees).log_odds(self.features[part == number])
        rows = [piece_context(own, features, LEADS) for own, features in zip(log_odds, self.features, strict=True)]
        joined = Windows(np.stack(rows), self.share, self.damaged, self.record)
        return joined.trees(joined.features.shape[-1], *CONTEXT_TREES)


def look(
    records: Sequence[CleanRecord],
    noise: Noise,
    features: Features,
    damage_seed: int,
    clean_every: int,
) -> Windows:
    """Damages ECGs and computes their features; those of each so many-th as it was too."""
    found, share, is_damaged, numbers = [], [], [], []
    with show_progress(len(records), "ECG") as bar:
        for place, record in enumerate(records):
            rate, key = record.sampling_rate, record.name
            damaged = damage_ecg(record.signal, rate, noise(rate), key, damage_seed)
            shares = hurt_pieces(damaged.hurt, rate)
            cases = [(damaged.signal, shares, True), (record.signal, np.zeros_like(shares), False)]
            for signal, part, hurt in cases if place % clean_every == 0 else cases[:1]:
                # float32, as findings hold them
                found.append(features(signal, rate, key).astype(np.float32))
                share.append(part)
                is_damaged.append(hurt)
                numbers.append(place)
            bar.update()
    facts = np.array(is_damaged), np.array(numbers)
    return Windows(np.stack(found).astype(np.float64), np.stack(share), *facts)
