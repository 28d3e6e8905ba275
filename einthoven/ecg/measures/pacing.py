"""Whether a recording shows the spikes of a pacemaker."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

LEAST_RATE_HZ = 400.0
"""At lower rates a spike of a millisecond or two is not told from a QRS complex."""
WIDTH_S = 0.008
"""A spike is what a median over so long takes away."""
LEAST_MV = 0.25
LEAST_NOISE = 12.0
"""A spike is as high as this times the median of what the filter takes away elsewhere."""
LEAST_LEADS = 2
BEFORE_R_S = (-0.012, 0.35)
"""A spike comes so long before the R peak, or is taken for it."""
LEAST_SHARE = 0.5
"""Share of the beats with a spike from which on a recording is a paced one."""


def is_paced(ecg: NDArray[np.floating], sampling_rate: float, peaks_s: NDArray[np.float64]) -> bool:
    """Says whether most beats of a recording follow a pacing spike.

    Args:
        ecg: The recording, unfiltered, in mV, NaN where missing, shape (n_leads, L).
        sampling_rate: Its rate in Hz.
        peaks_s: Times of the R peaks in s, shape (n,).
    """
    if sampling_rate < LEAST_RATE_HZ or len(peaks_s) == 0:
        return False
    x = np.nan_to_num(ecg)
    width = 2 * round(WIDTH_S * sampling_rate / 2) + 1
    high = np.abs(x - median_filter(x, size=(1, width)))
    floor = np.median(high, axis=-1, keepdims=True)
    spiky = (high > np.maximum(LEAST_MV, LEAST_NOISE * floor)).sum(axis=0) >= min(LEAST_LEADS, len(x))
    times = np.flatnonzero(spiky) / sampling_rate
    before = peaks_s[:, None] - times
    return float(((before >= BEFORE_R_S[0]) & (before <= BEFORE_R_S[1])).any(axis=1).mean()) >= LEAST_SHARE
