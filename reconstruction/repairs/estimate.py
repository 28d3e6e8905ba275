"""What the bad stretches of a recording of any length were like: windows of ten seconds, joined without steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.statistics import predictive_band
from reconstruction.repairs.storage import Storage
from reconstruction.repairs.windows import Restored, WindowRepairer

WINDOW_S = 10.0
OVERLAP_S = 2.0


Band = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Estimate:
    """Leads as they were estimated, in mV, window by window.

    Attributes:
        total: What the windows at each sample count for together, shape (L,); 0 where none was worked on.
        sums: Of their means (or medians), 5th and 95th percentiles, weighted, shape (3, n_leads, L).
        noise: Root mean square of the noise that a sample was taken to have in mV, shape (n_leads, L); 0: none.
        samples: Of their samples, weighted, shape (n_samples, n_leads, L); None: they are not kept.
    """

    total: NDArray[np.float32]
    sums: NDArray[np.float32]
    noise: NDArray[np.float32]
    samples: NDArray[np.float32] | None = None

    @classmethod
    def nothing(cls, n_leads: int, length: int, storage: Storage, n_samples: int = 0) -> "Estimate":
        """Returns the estimate where no window was worked on, or as far as they have been; samples in memory only."""
        shape = (n_leads, length)
        sizes = {"total": (length,), "sums": (3, *shape), "noise": shape}
        samples = np.zeros((n_samples, *shape), np.float32) if n_samples and storage.folder is None else None
        return cls(**{name: storage.array(name, size, np.float32) for name, size in sizes.items()}, samples=samples)

    def departures(self) -> NDArray[np.float32] | None:
        """Returns how far each sample is from the mean in mV, as `samples`; 0 where no window was worked on."""
        if self.samples is None:
            return None
        return np.asarray((self.samples - self.sums[0]) / np.where(self.total > 0, self.total, np.float32(1.0)))

    def band(self, row: int, span: slice) -> Band:
        """Returns mean, 5th and 95th percentile of a part of a lead; NaN where no window was worked on."""
        total = self.total[span]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean, lower, upper = (
                np.where(total > 0, part[row, span] / total, np.nan).astype(np.float32) for part in self.sums
            )
        return mean, lower, upper


@dataclass(frozen=True)
class Given:
    """A recording whose bad parts are known.

    Attributes:
        signal: ECG in mV, shape (n_leads, L).
        lost: Where nothing of it is to be believed, same shape.
        noisy: Where it is noisy, same shape.
        sampling_rate: Its rate in Hz.
        leads: Names of its leads.
        key: Key of the recording, to which with a window's start the random numbers belong.
    """

    signal: NDArray[np.float64]
    lost: NDArray[np.bool_]
    noisy: NDArray[np.bool_]
    sampling_rate: float
    leads: Sequence[str]
    key: int | str


def estimate_bad(
    given: Given,
    wanted: Sequence[str],
    repairer: WindowRepairer,
    storage: Storage,
    progress: Callable[[int], object] | None = None,
) -> Estimate:
    """Estimates the leads of a recording in those windows where something is bad, or a wanted lead lacks.

    Windows overlap by two seconds, over which one fades into the next. Where windows have been done before, those that
    reach into the first one that has not are done again, so that the result is the same to the bit.

    Args:
        given: The recording.
        wanted: Names of the leads to estimate.
        repairer: Repairs a window.
        storage: Where the estimate is kept.
        progress: Called with the samples of each window that is done.
    """
    length, rate = given.signal.shape[-1], given.sampling_rate
    rows = [LEADS.index(lead) for lead in wanted]
    estimate = Estimate.nothing(len(wanted), length, storage, repairer.n_samples)
    spans = overlapping_windows(length, rate)
    done = storage.array("estimated", (len(spans),), np.bool_)
    n_done = len(spans) if done.all() else int(done.argmin())
    begin = spans[n_done][0] if n_done < len(spans) else length
    for array in () if storage.is_new else (estimate.total, estimate.sums, estimate.noise):
        array[..., begin:] = 0.0
    absent = not set(wanted) <= set(given.leads)
    for number, (first, last) in enumerate(spans):
        span = slice(first, last)
        lost, noisy = given.lost[:, span], given.noisy[:, span]
        if last > begin and (absent or lost.any() or noisy.any()):
            ecg = np.where(lost, np.nan, given.signal[:, span])
            restored = repairer(ecg, noisy, rate, given.leads, f"{given.key}/{first}")
            weight = _weight(first, last, length, rate)
            middle = repairer.point_estimate(restored.samples[:, rows])
            _add(estimate, restored, middle, rows, weight, first, max(first, begin) if number < n_done else first)
        if number >= n_done:
            storage.done("estimated", number)
        if progress is not None:
            progress(last - first)
    storage.flush()
    return estimate


def _add(
    estimate: Estimate,
    restored: Restored,
    middle: NDArray[np.float32],
    rows: list[int],
    weight: NDArray[np.float32],
    first: int,
    begin: int,
) -> None:
    """Adds what a window from the sample `first` on gave, `middle` its point estimate, from the sample `begin` on."""
    cut = slice(begin - first, None)
    span = slice(begin, first + len(weight))
    samples = restored.samples[:, rows]
    estimate.total[span] += weight[cut]
    for place, values in enumerate((middle, *predictive_band(samples))):
        estimate.sums[place][:, span] += (weight * values)[:, cut]
    if estimate.samples is not None:
        estimate.samples[..., span] += (weight * samples)[..., cut]
    noise = restored.noise[rows][:, cut]
    estimate.noise[:, span] = np.where(np.isnan(noise), estimate.noise[:, span], noise)


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
