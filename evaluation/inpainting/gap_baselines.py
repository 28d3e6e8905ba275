"""What a reconstruction of gaps must beat: linear interpolation, copies of other beats, and the best linear estimate.

All take ECGs in mV, shape (N, 12, L), read only where `observed`, of the same shape, is True, and return them filled:
gaps are filled in the eight independent leads, the others follow by Einthoven's law, what was observed stays as it was.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpotri

from einthoven.ecg.leads import INDEPENDENT_LEADS, INDEPENDENT_ROWS, LEADS, lead_matrix, to_twelve
from einthoven.ecg.measures.beats import find_r_peaks
from preprocessing.store.store import Store

STRENGTHS = tuple(10.0**power for power in range(-4, 2))
"""Variances of the ridge's noise to choose from, relative to the mean variance of a sample."""

N_VALIDATION = 24
"""Validation records that the strength is chosen on."""

TYPICAL_RR_S = 0.8
"""Time between beats in s where a record shows one beat only."""

BEFORE_R = 0.4
"""Share of the time between two R peaks that belongs to the later beat."""

N_COPIED = 3
"""Most beats that a copy is the mean of."""

CHUNK = 64
"""Records per chunk of the covariance."""

_N_LIMB = 6


def interpolate_gaps(ecg: NDArray[np.floating], observed: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fills gaps by straight lines, at the ends by the nearest value, and leads without any sample by zero."""
    inner = [_interpolate(x[INDEPENDENT_ROWS], o[INDEPENDENT_ROWS]) for x, o in zip(ecg, observed, strict=True)]
    return _complete(np.stack(inner), ecg, observed)


def copy_beats(ecg: NDArray[np.floating], observed: NDArray[np.bool_], sampling_rate: float) -> NDArray[np.float32]:
    """Fills gaps with other beats of the same lead.

    R peaks are found where any lead is observed (neurokit2, on the root mean square over leads); inside gaps, beats are
    expected at the rhythm of the peaks around them. The missing part of each beat is the mean of the nearest beats that
    have this part (at most `N_COPIED`), aligned at the R peaks; where none has all of it, each sample comes from the
    nearest beat that has it. What no beat says, and records without a peak, are interpolated.
    """
    inner = []
    for x, o in zip(ecg, observed, strict=True):
        filled, seen = _interpolate(x[INDEPENDENT_ROWS], o[INDEPENDENT_ROWS]), o[INDEPENDENT_ROWS]
        peaks = find_r_peaks(filled, seen, sampling_rate)
        inner.append(_copy(filled, seen, peaks, sampling_rate) if len(peaks) else filled)
    return _complete(np.stack(inner), ecg, observed)


@dataclass(frozen=True)
class GapRidge:
    """The best linear estimate of missing samples from all observed ones, for any pattern.

    The mean of a stationary Gaussian process, given its observed samples with white noise: the covariance of leads a
    and b, `E[x_a(s) x_b(t)]`, is a function of the lag t - s (a block-Toeplitz matrix). So each missing sample is a
    ridge regression on all observed samples of all leads.

    Attributes:
        lags: Covariance in mV^2 of the eight independent leads at lags -(L - 1) to L - 1, shape (8, 8, 2 L - 1).
        strength: Variance of the noise, relative to the mean variance of a sample.
        validation_mae: MAE in mV over the hidden samples of validation records, one per strength tried.
    """

    lags: NDArray[np.float64]
    strength: float
    validation_mae: tuple[float, ...] = ()
    _inverse: dict[str, NDArray[np.float64]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def fit(cls, store: Store, observed: NDArray[np.bool_]) -> "GapRidge":
        """Estimates the covariance on the training records; the strength is the one of least MAE on validation records.

        The MAE is over the samples that the given masks hide in as many validation records, at most `N_VALIDATION`; of
        records longer than the masks the first samples are taken.

        Args:
            store: Store with the splits `train` and `val`; a ValueError if one is empty.
            observed: Masks such as those to fill, shape (n, 12, L), L not above the length of the store's records.
        """
        train, validation = store.rows("train"), store.rows("val")
        if len(train) == 0 or len(validation) == 0:
            raise ValueError(f"{store.path} needs records in train and val to fit the ridge baseline: prepare it again")
        length = observed.shape[-1]
        lags = _lag_covariance(store, train, length)
        masks = np.asarray(observed[: min(N_VALIDATION, len(validation))])
        truth = store.read(validation[: len(masks)], LEADS)[..., :length]
        errors = []
        for strength in STRENGTHS:
            error = np.abs(cls(lags, strength).predict(truth, masks) - truth)
            errors.append(float(error[~masks].mean(dtype=np.float64)))
        return cls(lags, STRENGTHS[int(np.argmin(errors))], tuple(errors))

    def predict(self, ecg: NDArray[np.floating], observed: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Fills gaps."""
        masks, mask_of = np.unique(np.packbits(observed, axis=-1), axis=0, return_inverse=True)
        groups = [np.flatnonzero(mask_of.ravel() == mask) for mask in range(len(masks))]
        used = [_without_repeats(observed[rows[0]]) for rows in groups]
        estimate = self._from_hidden if self._has_smaller_inverse(used) else self._from_observed
        inner = np.empty((len(ecg), len(INDEPENDENT_ROWS), ecg.shape[-1]))
        for rows, mask in zip(groups, used, strict=True):
            inner[rows] = estimate(np.where(mask, ecg[rows], 0.0).astype(np.float64), mask)
        return _complete(inner, ecg, observed)

    def _has_smaller_inverse(self, used: list[NDArray[np.bool_]]) -> bool:
        """Tells whether it is less work to invert the covariance of whole records, and solve for the hidden samples."""
        seen = np.array([float(mask.sum()) for mask in used])
        size = float(len(INDEPENDENT_ROWS) * used[0].shape[-1])
        only_inner = all(mask[INDEPENDENT_ROWS].sum() == mask.sum() for mask in used)
        return only_inner and 3 * size**3 + ((size - seen) ** 3).sum() < (seen**3).sum()

    def _from_observed(self, ecg: NDArray[np.float64], used: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Estimates the independent leads (n, 8, L) from the same samples of all records, zero elsewhere (n, 12, L)."""
        leads, times = np.nonzero(used)
        matrix = lead_matrix(LEADS)
        lags = np.einsum("ia,jb,abk->ijk", matrix, matrix, self.lags)
        gram = _covariance(lags, leads, times, leads, times)
        gram[np.diag_indices_from(gram)] += self._noise
        weights = cho_solve(cho_factor(gram, overwrite_a=True), ecg[:, leads, times].T)
        all_leads, all_times = np.indices((len(INDEPENDENT_ROWS), used.shape[-1])).reshape(2, -1)
        cross = _covariance(lags, np.asarray(INDEPENDENT_ROWS)[all_leads], all_times, leads, times)
        return np.asarray((cross @ weights).T.reshape(len(ecg), len(INDEPENDENT_ROWS), -1))

    def _from_hidden(self, ecg: NDArray[np.float64], used: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The same from independent leads alone: E[hidden | seen] = -P_hh^-1 P_hs seen, P the inverse covariance."""
        hidden = np.flatnonzero(~used[INDEPENDENT_ROWS])
        x, inverse = ecg[:, INDEPENDENT_ROWS].reshape(len(ecg), -1), self._precision(used.shape[-1])
        system = cho_factor(inverse[np.ix_(hidden, hidden)], overwrite_a=True)
        x[:, hidden] = -cho_solve(system, inverse[hidden] @ x.T).T
        return x.reshape(len(ecg), len(INDEPENDENT_ROWS), -1)

    @property
    def _noise(self) -> float:
        centre = self.lags.shape[-1] // 2
        return self.strength * float(self.lags[..., centre].diagonal().mean())

    def _precision(self, length: int) -> NDArray[np.float64]:
        """Returns the inverse of the covariance with noise of whole records, shape (8 L, 8 L); found once."""
        if "all" not in self._inverse:
            leads, times = np.indices((len(INDEPENDENT_ROWS), length)).reshape(2, -1)
            whole = _covariance(self.lags, leads, times, leads, times)
            whole[np.diag_indices_from(whole)] += self._noise
            inverse, _ = dpotri(cho_factor(whole, lower=True, overwrite_a=True)[0], lower=True, overwrite_c=True)
            self._inverse["all"] = np.tril(inverse) + np.tril(inverse, -1).T
        return self._inverse["all"]


def _lag_covariance(store: Store, rows: NDArray[np.int64], length: int) -> NDArray[np.float64]:
    """Covariance of the independent leads at lags -(length - 1) to length - 1 over records, (8, 8, 2 length - 1).

    The sum of products at a lag is divided by the length of the record, not by their number: a covariance is then
    positive semi-definite, at any length up to the record's.
    """
    size = 2 * store.n_samples
    spectrum = np.zeros((len(INDEPENDENT_ROWS), len(INDEPENDENT_ROWS), size // 2 + 1), dtype=np.complex128)
    for start in range(0, len(rows), CHUNK):
        transform = np.fft.rfft(store.read(rows[start : start + CHUNK], INDEPENDENT_LEADS).astype(np.float64), size)
        spectrum += np.einsum("naf,nbf->abf", transform.conj(), transform)
    circular = np.fft.irfft(spectrum, size) / (len(rows) * store.n_samples)
    return np.asarray(circular[..., np.arange(1 - length, length)])


def _covariance(
    lags: NDArray[np.float64],
    leads_a: NDArray[np.int64],
    times_a: NDArray[np.int64],
    leads_b: NDArray[np.int64],
    times_b: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Gathers the covariance of samples a with samples b, shape (n_a, n_b)."""
    centre = lags.shape[-1] // 2
    return np.asarray(lags[leads_a[:, None], leads_b, times_b - times_a[:, None] + centre])


def _without_repeats(observed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drops limb leads that follow from two others at the same sample, shape (12, L)."""
    limb = observed[:_N_LIMB]
    return np.concatenate([limb & (limb.cumsum(axis=0) <= 2), observed[_N_LIMB:]])


def _complete(
    inner: NDArray[np.float64], ecg: NDArray[np.floating], observed: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Derives twelve leads (N, 12, L) from the eight, and puts what was observed in its place."""
    return np.where(observed, ecg, to_twelve(inner)).astype(np.float32)


def _interpolate(x: NDArray[np.floating], observed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Interpolates each of some leads (C, L) linearly."""
    time = np.arange(x.shape[-1])
    filled = np.zeros(x.shape)
    for lead, (row, seen) in enumerate(zip(x, observed, strict=True)):
        if seen.any():
            filled[lead] = np.interp(time, time[seen], row[seen])
    return filled


def _beats(peaks: NDArray[np.int64], seen: NDArray[np.bool_], sampling_rate: float) -> NDArray[np.int64]:
    """Adds to the R peaks those expected where nothing was seen (L,), and one beyond each end."""
    between = np.diff(peaks)
    whole = np.array([seen[a:b].all() for a, b in zip(peaks[:-1], peaks[1:], strict=True)], dtype=bool)
    if whole.any():
        rr = float(np.median(between[whole]))
    else:
        # The only peak of a stretch is at least that far from the next.
        edges = np.flatnonzero(np.diff(np.pad(seen, 1)))
        rr = max(TYPICAL_RR_S * sampling_rate, *(float(np.abs(edges - peak).min()) for peak in peaks))
    beats = [float(peaks[0])]
    while beats[0] > 0:
        beats.insert(0, beats[0] - rr)
    for peak, step, is_whole in zip(peaks[:-1], between, whole, strict=True):
        n_steps = 1 if is_whole else max(1, round(step / rr))
        beats += [float(peak) + step * (k + 1) / n_steps for k in range(n_steps)]
    while beats[-1] < len(seen):
        beats.append(beats[-1] + rr)
    return np.round(beats).astype(np.int64)


def _copy(
    x: NDArray[np.float64], observed: NDArray[np.bool_], peaks: NDArray[np.int64], sampling_rate: float
) -> NDArray[np.float64]:
    """Replaces the missing samples of one record (8, L) by those of other beats."""
    length, filled = x.shape[-1], x.copy()
    beats = _beats(peaks, np.asarray(observed.any(axis=0)), sampling_rate)
    starts = np.round(beats[1:] - BEFORE_R * np.diff(beats)).astype(np.int64)
    owner = np.searchsorted(starts, np.arange(length), side="right")  # the beat of each sample
    for beat in np.unique(owner):
        time = np.flatnonzero(owner == beat)
        shifts = peaks - beats[beat]
        shifts = shifts[np.argsort(np.abs(shifts), kind="stable")]
        places = time + shifts[:, None]
        inside = (places >= 0) & (places < length)
        places = places.clip(0, length - 1)
        for lead in range(len(x)):
            missing = ~observed[lead, time]
            if missing.any():
                has = (inside & observed[lead, places])[:, missing]
                copies = x[lead, places][:, missing]
                filled[lead, time[missing]] = _mean_copy(copies, has, x[lead, time[missing]])
    return filled


def _mean_copy(
    copies: NDArray[np.float64], has: NDArray[np.bool_], default: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Chooses among copies (n, k) of k samples, nearest beats first, each good where it has the sample."""
    whole = has.all(axis=1)
    if whole.any():
        return np.asarray(copies[whole][:N_COPIED].mean(axis=0))
    nearest = np.take_along_axis(copies, has.argmax(axis=0)[None], axis=0)[0]
    return np.where(has.any(axis=0), nearest, default)
