"""What the bad stretches of a recording of any length were like: windows of ten seconds, joined without steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.statistics import predictive_band
from reconstruction.repairs.windows import WindowRepairer

WINDOW_S = 10.0
OVERLAP_S = 2.0


@dataclass(frozen=True)
class Estimate:
    """Leads as they were estimated, in mV, each array (n_leads, L); NaN where no window was worked on.

    Attributes:
        mean: The estimate.
        lower: 5th percentile.
        upper: 95th percentile.
        noise: Root mean square of the noise that a sample was taken to have, NaN where none was.
    """

    mean: NDArray[np.float32]
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    noise: NDArray[np.float32]

    @classmethod
    def nothing(cls, n_leads: int, length: int) -> "Estimate":
        """Returns the estimate where no window was worked on."""
        blank = np.full((n_leads, length), np.nan, dtype=np.float32)
        return cls(blank, blank, blank, blank)


def estimate_bad(
    ecg: NDArray[np.float64],
    noisy: NDArray[np.bool_],
    sampling_rate: float,
    leads: Sequence[str],
    wanted: Sequence[str],
    repairer: WindowRepairer,
    key: int | str,
    progress: Callable[[int], object] | None = None,
) -> Estimate:
    """Estimates the leads of a recording in those windows where something is bad, or a wanted lead lacks.

    Windows overlap by two seconds, over which one fades into the next.

    Args:
        ecg: ECG in mV, shape (n_leads, L), NaN where it is lost.
        noisy: True where it is noisy, shape (n_leads, L).
        sampling_rate: Its rate in Hz.
        leads: Names of its leads.
        wanted: Names of the leads to estimate.
        repairer: Repairs a window.
        key: Key of the recording, to which with the window's start the random numbers belong.
        progress: Called with the samples of each window that is done.
    """
    length = ecg.shape[-1]
    rows = [LEADS.index(lead) for lead in wanted]
    shape = (len(rows), length)
    total = np.zeros(length, dtype=np.float32)
    sums = [np.zeros(shape, dtype=np.float32) for _ in range(3)]
    noise = np.full(shape, np.nan, dtype=np.float32)
    bad: NDArray[np.bool_] = np.asarray((np.isnan(ecg) | noisy).any(axis=0))
    absent = not set(wanted) <= set(leads)
    for first, last in overlapping_windows(length, sampling_rate):
        if absent or bad[first:last].any():
            span = slice(first, last)
            restored = repairer(ecg[:, span], noisy[:, span], sampling_rate, leads, f"{key}/{first}")
            samples = restored.samples[:, rows]
            weight = _weight(first, last, length, sampling_rate)
            total[span] += weight
            for place, values in enumerate((samples.mean(axis=0), *predictive_band(samples))):
                sums[place][:, span] += weight * values
            noise[:, span] = np.where(np.isnan(restored.noise[rows]), noise[:, span], restored.noise[rows])
        if progress is not None:
            progress(last - first)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, lower, upper = (np.where(total > 0, values / total, np.nan).astype(np.float32) for values in sums)
    return Estimate(mean, lower, upper, noise)


def overlapping_windows(length: int, sampling_rate: float) -> list[tuple[int, int]]:
    """Cuts a recording into windows that overlap, as first sample and last + 1; the last ends where it ends."""
    size, hop = round(WINDOW_S * sampling_rate), round((WINDOW_S - OVERLAP_S) * sampling_rate)
    if length <= size:
        return [(0, length)]
    starts = [*range(0, length - size, hop), length - size]
    return [(start, start + size) for start in starts]


def _weight(first: int, last: int, length: int, rate: float) -> NDArray[np.float32]:
    """Returns what a window counts for at each of its samples: less towards its ends within the recording."""
    fade = (np.arange(last - first) + 1.0) / (OVERLAP_S * rate)
    rise = np.ones_like(fade) if first == 0 else np.minimum(fade, 1.0)
    fall = np.ones_like(fade) if last == length else np.minimum(fade[::-1], 1.0)
    return np.asarray(rise * fall, dtype=np.float32)
