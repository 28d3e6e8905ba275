"""Moves the beats of drawn ECGs to the rate and irregularity that they shall have.

A network hardly learns from covariates how regularly beats come. So the beats of a draft are moved, and what lies
between them stretched: intervals keep their order and pattern, their mean and standard deviation become those told.
Noise is then added and taken off again by the sampler (`Sampler.redraw`), so that waves and beats fit each other; that
is SDEdit:

    Meng, He, Song, Song, Wu, Zhu, Ermon, SDEdit: Guided Image Synthesis and Editing with Stochastic Differential
    Equations, ICLR 2022, https://arxiv.org/abs/2108.01073.
"""

import math

import numpy as np
from numpy.typing import NDArray

from diffusion_prior.model.covariates import MIN_RR_S, find_beats

REDRAWN_SIGMA = 0.3
"""Noise that is added to a moved draft, in mV: QRS complexes stay where they are, P waves are drawn anew."""
LEAST_BEATS = 4
_AFTER, _BEFORE = (0.40, 0.55), (0.24, 0.30)
"""What is not stretched after and before an R peak: s, and at most that share of the interval."""


def retime(x: NDArray[np.float32], sampling_rate: float, mean: float, sd: float) -> NDArray[np.float32]:
    """Moves the beats of an ECG.

    The n-th interval becomes `mean + (RR_n - mean RR) sd / sd RR`, at least that of 250 beats a minute; the middle beat
    stays. Beats that come in from the ends are those next to them, in reverse order.

    Args:
        x: ECG in mV, shape (C, L).
        sampling_rate: Sampling rate in Hz.
        mean: Mean of the RR intervals in s; NaN: as it is.
        sd: Standard deviation of the RR intervals in s; NaN: as it is, relative to the mean.

    Returns:
        The ECG in mV, shape (C, L); as it is where it has fewer than four beats.
    """
    peaks = find_beats(x, sampling_rate).astype(np.float64)
    if len(peaks) < LEAST_BEATS or (math.isnan(mean) and math.isnan(sd)):
        return x
    rr = np.diff(peaks)
    centre = rr.mean() if math.isnan(mean) else mean * sampling_rate
    spread = rr.std() * centre / rr.mean() if math.isnan(sd) else sd * sampling_rate
    wanted = centre + (rr - rr.mean()) * spread / max(float(rr.std()), 1e-9)
    wanted = np.maximum(wanted, MIN_RR_S * sampling_rate)
    middle, n_more = len(peaks) // 2, math.ceil(x.shape[-1] / wanted.min())
    order = np.pad(np.arange(len(rr)), n_more, mode="symmetric")
    edges = np.concatenate([[0.0], np.cumsum(wanted[order])])
    edges += peaks[middle] - edges[n_more + middle]
    place = np.arange(x.shape[-1])
    interval = np.searchsorted(edges, place, side="right") - 1
    source = np.empty(len(place))
    for one in np.unique(interval):
        here, first = interval == one, peaks[order[one]]
        old, new = rr[order[one]], edges[one + 1] - edges[one]
        after, before = (min(s * sampling_rate, share * min(old, new)) for s, share in (_AFTER, _BEFORE))
        knots = [(edges[one] + at, first + at) for at in (0.0, after)]
        knots += [(edges[one] + new - at, first + old - at) for at in (before, 0.0)]
        source[here] = np.interp(place[here], *zip(*knots, strict=True))
    return np.stack([np.interp(source, place, lead) for lead in x]).astype(np.float32)
