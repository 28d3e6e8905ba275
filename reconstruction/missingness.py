"""Patterns of missing samples, to hide parts of whole records.

Reference:
    The patterns `rm`, `mnr` and `bm` are those of Alcaraz and Strodthoff, Diffusion-based Time Series Imputation and
    Forecasting with Structured State Space Models, 2022, arXiv 2208.09399.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessing.leads import INDEPENDENT_LEADS, LEADS, lead_matrix
from reconstruction.checks import check_choice

PATTERNS: tuple[str, ...] = ("lead", "rm", "mnr", "bm")
_MASK_STREAM = 0x6D61736B
"""Keeps the masks' random numbers apart from all others of the same seed."""


@dataclass(frozen=True)
class Missingness:
    """Which samples of a record are hidden.

    Leads count as in `LEADS`. The random patterns hide samples of the eight independent leads; a derived lead is hidden
    where a lead that it is made of is.

    Attributes:
        kind: `lead`: all but the first `amount` of the twelve leads; `rm`: `amount` random samples of each lead;
            `mnr`: one block of `amount` samples of each lead; `bm`: the same block of `amount` samples of all leads.
            Blocks start at multiples of their length.
        amount: As `kind` says: the number of *observed* leads, or of *hidden* samples.

    Raises:
        ValueError: If the pattern is unknown or the amount not positive.
    """

    kind: str = "lead"
    amount: int = 1

    def __post_init__(self) -> None:
        check_choice("missingness_type", self.kind, PATTERNS)
        limit = len(LEADS) - 1 if self.kind == "lead" else None
        if self.amount < 1 or (limit is not None and self.amount > limit):
            span = f"1 to {limit} observed leads" if limit else "1 or more hidden samples"
            raise ValueError(f"missingness is {self.amount}: with missingness_type={self.kind} give {span}")

    def observed(self, keys: Sequence[int | str], length: int, seed: int) -> NDArray[np.bool_]:
        """Returns which samples of the twelve leads stay.

        Args:
            keys: Keys of B records; a record's pattern depends on its own key only.
            length: Number of samples L.
            seed: Seed.

        Returns:
            True where a sample stays, shape (B, 12, L).

        Raises:
            ValueError: If the pattern would hide everything.
        """
        if self.kind == "lead":
            observed = np.zeros((len(keys), len(LEADS), length), dtype=bool)
            observed[:, : self.amount] = True
            return observed
        if self.amount >= length:
            raise ValueError(f"missingness is {self.amount}, but a record has {length} samples: hide fewer of them")
        inner = np.stack([self._hide(np.random.default_rng(_entropy(seed, key)), length) for key in keys])
        sources = np.abs(lead_matrix(LEADS, INDEPENDENT_LEADS)) > 0
        return ~np.einsum("ij,bjl->bil", sources, ~inner)

    def _hide(self, rng: np.random.Generator, length: int) -> NDArray[np.bool_]:
        """Draws the observed samples of the independent leads, shape (8, L)."""
        n_leads = len(INDEPENDENT_LEADS)
        observed = np.ones((n_leads, length), dtype=bool)
        if self.kind == "rm":
            order = rng.permuted(np.tile(np.arange(length), (n_leads, 1)), axis=1)
            np.put_along_axis(observed, order[:, : self.amount], False, axis=1)
            return observed
        blocks = rng.integers(0, length // self.amount, size=n_leads)
        blocks = blocks if self.kind == "mnr" else np.full(n_leads, blocks[0])
        start = blocks[:, None] * self.amount
        time = np.arange(length)
        return (time < start) | (time >= start + self.amount)


def _entropy(seed: int, key: int | str) -> list[int]:
    return [_MASK_STREAM, seed, *str(key).encode()]
