"""Where the beats of a recording are, and the beat that it repeats: their median, aligned at the R peaks."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einthoven.extras import extra

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
        beat: The beat from one R peak's share to the next's, in mV at `BEAT_RATE`, shape (n_leads, n); its ends join.
        peak: Place of the R peak in samples.
        rr_ms: Times between R peaks in ms, shape (number of peaks - 1,).
    """

    beat: NDArray[np.float64]
    peak: int
    rr_ms: NDArray[np.float64]

    def window(self, start_s: float, stop_s: float, sampling_rate: float) -> NDArray[np.float64]:
        """Samples a stretch about the R peak; what lies beyond the beat belongs to its neighbour, the same beat.

        Start and end are in s from the R peak, the rate in Hz is at most `BEAT_RATE`; the result in mV, shape
        (n_leads, n).
        """
        times = start_s + np.arange(round((stop_s - start_s) * sampling_rate)) / sampling_rate
        places = np.round(self.peak + times * BEAT_RATE).astype(np.int64)
        return self.beat[:, places % self.beat.shape[-1]]


def find_r_peaks(x: NDArray[np.float64], observed: NDArray[np.bool_], sampling_rate: float) -> NDArray[np.int64]:
    """Finds the R peaks of one record with neurokit2, on the root mean square over leads.

    Args:
        x: ECG, leads of which none follows from others, in mV, shape (n_leads, L).
        observed: True where a sample was observed, shape (n_leads, L).
        sampling_rate: Sampling rate in Hz.

    Returns:
        Places of the peaks that lie where a lead is observed, in samples, shape (n,); none where neurokit2 fails.
    """
    with extra("measures"):
        from neurokit2 import ecg_findpeaks  # an import of seconds

    strength = np.sqrt(np.mean((x / np.maximum(x.std(axis=-1, keepdims=True), 1e-6)) ** 2, axis=0))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = ecg_findpeaks(strength, sampling_rate=round(sampling_rate))["ECG_R_Peaks"]
        except (ArithmeticError, IndexError, KeyError, TypeError, ValueError):
            return np.zeros(0, dtype=np.int64)
    peaks = np.asarray(found, dtype=np.int64)
    return peaks[np.any(observed[:, peaks], axis=0)]


def whole_beats(
    ecg: NDArray[np.float64], peaks: NDArray[np.int64]
) -> tuple[NDArray[np.float64], int, NDArray[np.float64]]:
    """Cuts a recording into its beats, all as long as the median time between R peaks.

    Args:
        ecg: Leads in mV at `BEAT_RATE`, shape (n_leads, L).
        peaks: Places of the R peaks, shape (n,).

    Returns:
        The beats that lie in the recording as a whole, shape (m, n_leads, n), the place of the R peak in them, and the
        times between R peaks in ms.

    Raises:
        ValueError: If there are fewer than three R peaks, none of them of a whole beat, or seconds between them.
    """
    if len(peaks) < FEWEST_PEAKS:
        raise ValueError(f"{len(peaks)} R peaks")
    between = np.diff(peaks)
    rr = float(np.median(between))
    if rr > LONGEST_RR_S * BEAT_RATE:
        raise ValueError(f"{rr / BEAT_RATE:.1f} s between R peaks")
    before = int(min(BEFORE_R * rr, BEFORE_R_S * BEAT_RATE))
    after = int(rr) - before
    whole = [ecg[:, r - before : r + after] for r in peaks if r >= before and r + after <= ecg.shape[-1]]
    if not whole:
        raise ValueError("no whole beat")
    return np.stack(whole), before, between * 1000.0 / BEAT_RATE
