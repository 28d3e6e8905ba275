"""Pieces of about a second, in which a recording is judged, and stretches of samples."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

PIECE_S = 1.0


def piece_edges(length: int, sampling_rate: float, n_pieces: int | None = None) -> NDArray[np.int64]:
    """Returns the first samples of the pieces of a recording and, last, its end, shape (n + 1,).

    The number of pieces is given where the recording has been resampled: its length then rounds otherwise.
    """
    n_pieces = n_pieces or max(1, round(length / (PIECE_S * sampling_rate)))
    return np.round(np.linspace(0, length, n_pieces + 1)).astype(np.int64)


def runs(mask: ArrayLike) -> list[tuple[int, int]]:
    """Returns the stretches of True in a mask of shape (L,), as first and last + 1."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(mask, dtype=bool), [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def spread_pieces(values: NDArray[np.bool_], edges: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Gives each sample the value of its piece, (..., n) to (..., L)."""
    return np.repeat(values, np.diff(edges), axis=-1)
