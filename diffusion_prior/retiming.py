"""Moves the beats of drawn ECGs to the rate and irregularity that they shall have.

A network hardly learns from covariates how regularly beats come. So the beats of a draft are moved: intervals keep
their order and pattern, their mean and standard deviation become those told. Where beats shall come regularly, each is
the draft's clearest one, as the waves of a draft change from beat to beat more than those of people do. Noise is
then added and taken off again by the sampler (`Sampler.redraw`), so that no two beats are the same; that is SDEdit:

    Meng, He, Song, Song, Wu, Zhu, Ermon, SDEdit: Guided Image Synthesis and Editing with Stochastic Differential
    Equations, ICLR 2022, https://arxiv.org/abs/2108.01073.
"""

import math

import numpy as np
from numpy.typing import NDArray

from diffusion_prior.model.covariates import MIN_RR_S, find_beats

REDRAWN_SIGMA = 0.03
"""Noise that is added to a moved draft, in mV: the more, the more the P waves shrink (on PTB-XL's fold 9)."""
REGULAR = 0.1
"""Standard deviation of the RR intervals over their mean, below which all beats are the clearest one."""
LEAST_BEATS = 4
_AFTER, _BEFORE = (0.42, 0.55), (0.32, 0.36)
"""What belongs to a beat after and before its R peak: s, and at most that share of an interval."""
_HALF_QRS_S = 0.1
"""Half the span about a peak over which the size of a beat is taken, in s."""
SETTINGS = {
    "redrawn_sigma": REDRAWN_SIGMA,
    "regular": REGULAR,
    "least_beats": LEAST_BEATS,
    "extents": (_AFTER, _BEFORE),
    "repeated": "clearest",
    "half_qrs": _HALF_QRS_S,
}
"""What moved beats depend on, beside the draft and the rhythm: finished chunks of other settings are not taken."""


def retime(x: NDArray[np.float32], sampling_rate: float, mean: float, sd: float) -> NDArray[np.float32]:
    """Moves the beats of an ECG.

    The n-th interval becomes `mean + (RR_n - mean RR) sd / sd RR`, to whole samples and at least that of 250 beats a
    minute; the middle beat stays. Beats that come in from the ends are those next to them, in reverse order. From what
    belongs to one beat to what belongs to the next the signal is cross-faded.

    Args:
        x: ECG in mV, shape (C, L).
        sampling_rate: Sampling rate in Hz.
        mean: Mean of the RR intervals in s; NaN: as it is.
        sd: Standard deviation of the RR intervals in s; NaN: as it is, relative to the mean.

    Returns:
        The ECG in mV, shape (C, L); as it is where it has fewer than four beats.
    """
    peaks = find_beats(x, sampling_rate)
    if len(peaks) < LEAST_BEATS or (math.isnan(mean) and math.isnan(sd)):
        return x
    rr = np.diff(peaks)
    centre = float(rr.mean()) if math.isnan(mean) else mean * sampling_rate
    spread = float(rr.std() * centre / rr.mean()) if math.isnan(sd) else sd * sampling_rate
    wanted = centre + (rr - rr.mean()) * spread / max(float(rr.std()), 1e-9)
    wanted = np.maximum(wanted, MIN_RR_S * sampling_rate)
    middle, n_more = len(peaks) // 2, math.ceil(x.shape[-1] / wanted.min())
    edges = np.concatenate([[0.0], np.cumsum(np.pad(wanted, n_more, mode="symmetric"))])
    places = np.round(edges - edges[n_more + middle] + peaks[middle]).astype(np.int64)
    beats = np.pad(np.arange(len(peaks)), n_more, mode="symmetric")
    if spread < REGULAR * centre:
        beats[:] = _clearest(x, peaks, sampling_rate)
    after, before = _extents(rr, sampling_rate)
    moved = np.zeros_like(x)
    for one in range(len(places) - 1):
        start, stop = places[one], places[one + 1]
        here = np.arange(max(start, 0), min(stop, x.shape[-1]))
        if len(here):
            first, second, length = beats[one], beats[one + 1], stop - start
            own, next_own = min(after[first], _AFTER[1] * length), min(before[second], _BEFORE[1] * length)
            late = np.clip((here - start - own) / max(length - own - next_own, 1.0), 0.0, 1.0)
            left = peaks[first] + np.minimum(here - start, round(1.3 * after[first]))
            right = peaks[second] - np.minimum(stop - here, round(1.3 * before[second]))
            parts = (x[:, np.clip(source, 0, x.shape[-1] - 1)] for source in (left, right))
            moved[:, here] = (1 - late) * next(parts) + late * next(parts)
    return moved


def _extents(rr: NDArray[np.int64], sampling_rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns how many samples belong to each beat after and before its peak."""
    following, preceding = np.append(rr, rr[-1]), np.append(rr[0], rr)
    after = np.minimum(_AFTER[0] * sampling_rate, _AFTER[1] * following)
    return after, np.minimum(_BEFORE[0] * sampling_rate, _BEFORE[1] * preceding)


def _clearest(x: NDArray[np.float32], peaks: NDArray[np.int64], sampling_rate: float) -> int:
    """Returns the number of the beat to repeat, of those that lie within the signal.

    It is the one with the largest QRS complex of the half that the others are most like: where the network could not
    place a beat well, it drew a smaller one; and an ectopic beat is like few others.
    """
    before, after, half = (round(span * sampling_rate) for span in (_BEFORE[0], _AFTER[0], _HALF_QRS_S))
    whole = [n for n, peak in enumerate(peaks) if before <= peak < x.shape[-1] - after]
    if len(whole) < 2:
        return len(peaks) // 2
    beats = [x[:, peaks[n] - before : peaks[n] + after].ravel() for n in whole]
    likeness = np.nan_to_num(np.corrcoef(beats)).mean(axis=0)
    sizes = np.array([x[:, peaks[n] - half : peaks[n] + half + 1].std() for n in whole])
    return whole[int(np.where(likeness >= np.median(likeness), sizes, 0.0).argmax())]
