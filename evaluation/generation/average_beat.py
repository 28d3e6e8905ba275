"""The beats that recordings repeat: the median over the beats of each, in all leads."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.filters import resample
from einthoven.ecg.leads import INDEPENDENT_ROWS
from einthoven.ecg.measures.beats import BEAT_RATE, AverageBeat, find_r_peaks, whole_beats
from einthoven.run.progress import track


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
    beats, peak, rr_ms = whole_beats(fine, peaks)
    return AverageBeat(np.median(beats, axis=0), peak, rr_ms)


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
