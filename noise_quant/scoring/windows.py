"""Windows of ten seconds over a recording of any length, and which columns of their images count.

As published (Han et al., arXiv 2506.11815): whole windows one after the other, then, for what is left over, the last
ten seconds of the recording, scored on its new part only. A recording shorter than a window, which was refused there,
is mirrored to its length and scored on what is real.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noise_quant.scalogram.image import WIDTH, WINDOW_S

MIN_DURATION_S = 1.0
"""Shortest recording that is scored: about one beat."""
MIN_JUDGED_S = 2.0
"""What is left over is judged usable or not on at least so many seconds: two beats or so."""

Columns = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """One window of a recording.

    Attributes:
        start: First sample in the recording.
        length: Samples of the window; beyond the recording's end they are mirrored.
        judged: Samples of the recording on which leads are judged usable, as first and last + 1.
        scored: Columns of the image that count, as first and last + 1.
    """

    start: int
    length: int
    judged: tuple[int, int]
    scored: Columns

    @property
    def scored_s(self) -> float:
        """Seconds of the recording that it scores."""
        return (self.scored[1] - self.scored[0]) * WINDOW_S / WIDTH

    def cut(self, ecg: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the window of a recording, shape (C, L) to (C, length)."""
        return self.padded(ecg[:, self.start : self.start + self.length])

    def padded(self, piece: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mirrors what there is of the window, shape (C, n), to its length."""
        missing = self.length - piece.shape[1]
        return np.pad(piece, ((0, 0), (0, missing)), mode="reflect") if missing else piece

    def partitions(self, n_partitions: int) -> tuple[Columns, ...]:
        """Returns the columns of each of `n_partitions` parts of a whole window that holds something to score.

        Partitions are as wide as in a whole window and start with the first column that counts, as published.
        """
        first, last = self.scored
        width = WIDTH // n_partitions
        parts = []
        for number in range(n_partitions):
            start = first + number * width
            stop = min(start + width if number < n_partitions - 1 else WIDTH, last)
            if start < stop:
                parts.append((start, stop))
        return tuple(parts)


def cut_windows(n_samples: int, sampling_rate: float) -> tuple[Window, ...]:
    """Lays windows over a recording, in the order of time, at least one.

    What is left over and narrower than a column of an image (0.04 s) gets no window.

    Args:
        n_samples: Samples of the recording; ValueError if it is shorter than `MIN_DURATION_S`.
        sampling_rate: Sampling rate in Hz.
    """
    length = round(WINDOW_S * sampling_rate)
    if n_samples < MIN_DURATION_S * sampling_rate:
        raise ValueError(
            f"the recording lasts {n_samples / sampling_rate:.2f} s, but a noise score needs at least "
            f"{MIN_DURATION_S:g} s: give a longer one"
        )
    if n_samples < length:
        return (Window(0, length, (0, n_samples), (0, WIDTH * n_samples // length)),)
    starts = range(0, n_samples - length + 1, length)
    windows = [Window(start, length, (start, start + length), (0, WIDTH)) for start in starts]
    rest = n_samples % length
    columns = WIDTH * rest // length
    if columns:
        judged = max(rest, math.ceil(MIN_JUDGED_S * sampling_rate))
        windows.append(Window(n_samples - length, length, (n_samples - judged, n_samples), (WIDTH - columns, WIDTH)))
    return tuple(windows)
