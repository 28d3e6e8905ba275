"""The beat that a recording repeats: the median over its beats, aligned at the R peaks, in all leads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.filters import resample
from einthoven.ecg.leads import INDEPENDENT_ROWS
from einthoven.run.progress import track
from evaluation.inpainting.gap_baselines import find_r_peaks

BEAT_RATE = 500.0
"""Rate in Hz of an average beat, so that the places of its waves are not bound to a grid of 10 ms."""

BEFORE_R_S = 0.3
"""Most seconds of a beat before its R peak."""

BEFORE_R = 0.4
"""Most of the time between two R peaks that belongs to the later beat."""

FEWEST_PEAKS = 3
LONGEST_RR_S = 3.0


@dataclass(frozen=True)
class AverageBeat:
    """The median beat of a recording.

    Attributes:
        beat: The beat from one R peak's share to the next's, in mV at `BEAT_RATE`, shape (12, n); its ends join.
        peak: Place of the R peak in samples.
        rr_ms: Times between R peaks in ms, shape (number of peaks - 1,).
    """

    beat: NDArray[np.float64]
    peak: int
    rr_ms: NDArray[np.float64]

    def window(self, start_s: float, stop_s: float, sampling_rate: float) -> NDArray[np.float64]:
        """Samples a stretch about the R peak; what lies beyond the beat belongs to its neighbour, the same beat.

        Start and end are in s from the R peak, the rate in Hz is at most `BEAT_RATE`; the result in mV, shape (12, n).
        """
        times = start_s + np.arange(round((stop_s - start_s) * sampling_rate)) / sampling_rate
        places = np.round(self.peak + times * BEAT_RATE).astype(np.int64)
        return self.beat[:, places % self.beat.shape[-1]]


def average_beat(ecg: NDArray[np.floating], sampling_rate: float) -> AverageBeat:
    """Takes the median of a recording's beats, so that noise and single odd beats do not count.

    Args:
        ecg: Twelve leads in mV, shape (12, L).
        sampling_rate: Sampling rate in Hz.

    Raises:
        ValueError: If the recording is not finite, or has no rhythm: fewer than three R peaks are found in it.
    """
    if not np.isfinite(ecg).all():
        raise ValueError("values that are not finite")
    fine = resample(ecg, sampling_rate, BEAT_RATE)
    independent = fine[INDEPENDENT_ROWS]
    peaks = find_r_peaks(independent, np.ones(independent.shape, dtype=bool), BEAT_RATE)
    if len(peaks) < FEWEST_PEAKS:
        raise ValueError(f"{len(peaks)} R peaks")
    between = np.diff(peaks)
    rr = float(np.median(between))
    if rr > LONGEST_RR_S * BEAT_RATE:
        raise ValueError(f"{rr / BEAT_RATE:.1f} s between R peaks")
    before = int(min(BEFORE_R * rr, BEFORE_R_S * BEAT_RATE))
    after = int(rr) - before
    whole = [fine[:, r - before : r + after] for r in peaks if r >= before and r + after <= fine.shape[-1]]
    if not whole:
        raise ValueError("no whole beat")
    return AverageBeat(np.median(whole, axis=0), before, between * 1000.0 / BEAT_RATE)


def average_beats(
    ecgs: Sequence[NDArray[np.floating]] | NDArray[np.floating], sampling_rate: float, name: str = "beats"
) -> tuple[list[AverageBeat | None], list[str]]:
    """Takes the median beats of recordings in mV, each of shape (12, L), with a progress bar of that name.

    Returns:
        The median beat of each, None where there is none; and why, empty where there is one.
    """
    beats: list[AverageBeat | None] = []
    problems = []
    for ecg in track(ecgs, "ECG", name, keep=False):
        try:
            beats.append(average_beat(ecg, sampling_rate))
            problems.append("")
        except ValueError as error:
            beats.append(None)
            problems.append(str(error))
    return beats, problems
