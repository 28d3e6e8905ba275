"""Recordings longer than ten seconds: overlapping windows, each of which goes on where the one before it ended.

What the window before restored in the overlap is observed by the next one, sample by sample: its sample i continues
sample i, so there is no seam. Where nothing can be observed, because noise is to be removed (then no sample is exact)
or the rate is below the prior's, windows take the same random numbers at the same instants and are faded into each
other. Windows of which all twelve leads are known are kept; where nothing was measured, nothing is restored.

A window's random numbers belong to the seed, the record's key, the window and the sample's number, so each one can be
computed again from the recording and the tail of the window before it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from einthoven.ecg.filters import PADDING_S
from einthoven.randomness import NoiseInTime, seeded_generator
from einthoven.statistics import median_of
from reconstruction.measurement.measurement import Measurement
from reconstruction.measurement.recorded import MeasuredPiece, NothingMeasured, measure_piece
from reconstruction.measurement.saturation import Saturation
from reconstruction.method_choice import PRIOR_RATE_HZ
from reconstruction.result import MEAN, MEDIAN
from reconstruction.samplers.base import Calls, Draws, PosteriorSampler
from reconstruction.twelve_leads import at_own_rate, draw_twelve_leads, likelihood_of, noise_level, observed_samples

WINDOW_S = 10.0
OVERLAP_S = 2.0
HELD_S = 0.5
"""Where windows are faded into each other, so much of the overlap is as the one before has it."""
GIVEN_S = 0.25
"""From so far into the overlap on a window's result counts: before, the change of rate feels its mirrored end."""
GRID_S = 1.0
"""Windows begin at samples of the recording that are samples of the prior too, at most so far apart: rates whose ratio
is no such fraction are taken for the nearest one that is."""

Choose = Callable[[NDArray[np.float64], float], tuple[str, PosteriorSampler]]
"""Names and makes the sampler for a window, shape (n_leads, L), NaN where missing, at a rate in Hz."""


@dataclass(frozen=True)
class Window:
    """A window of a recording; all places are samples of the recording.

    Attributes:
        number: Its number.
        start: First sample.
        stop: Last sample + 1.
        first: First sample for which its result is taken.
        last: Last one + 1.
        n_before: Samples at the prior's rate that it has in common with the window before.
        n_after: The same of the window after.
    """

    number: int
    start: int
    stop: int
    first: int
    last: int
    n_before: int
    n_after: int


@dataclass(frozen=True)
class Layout:
    """Windows over a recording.

    Attributes:
        rate: Sampling rate in Hz that the recording's is taken for, equal to it for whole numbers.
        up: So many samples of the prior ...
        down: ... last as long as so many of the recording.
        windows: The windows, in the order of time.
    """

    rate: float
    up: int
    down: int
    windows: tuple[Window, ...]

    def at_prior(self, n_samples: int) -> int:
        """Returns how many samples of the prior last as long as some of the recording."""
        return n_samples * self.up // self.down


def lay_windows(length: int, sampling_rate: float, prior_rate: float) -> Layout:
    """Lays windows of equal length, evenly spaced, over a recording of `length` samples, 10 s at least."""
    up, down = _ratio(sampling_rate, prior_rate)
    rate = nominal_rate(sampling_rate, prior_rate)
    size, overlap = (int(seconds * rate / down) * down for seconds in (WINDOW_S, OVERLAP_S))
    n_windows = max(1, -(-(length - size) // (size - overlap)) + 1)
    room = (length - size) // down
    starts = [room * number // max(n_windows - 1, 1) * down for number in range(n_windows)]
    stops = [*(start + size for start in starts[:-1]), length]
    given = round(GIVEN_S * rate)
    firsts = [0, *(start + given for start in starts[1:]), length]
    common = [0, *((stop - start) * up // down for start, stop in zip(starts[1:], stops, strict=False)), 0]
    windows = tuple(
        Window(number, starts[number], stops[number], *firsts[number : number + 2], *common[number : number + 2])
        for number in range(n_windows)
    )
    return Layout(rate, up, down, windows)


def nominal_rate(sampling_rate: float, prior_rate: float) -> float:
    """Returns the rate in Hz that a recording's is taken for: see `GRID_S`."""
    up, down = _ratio(sampling_rate, prior_rate)
    return prior_rate * down / up


def _ratio(sampling_rate: float, prior_rate: float) -> tuple[int, int]:
    ratio = Fraction(prior_rate / sampling_rate).limit_denominator(max(1, int(sampling_rate * GRID_S)))
    return ratio.numerator, ratio.denominator


@dataclass(frozen=True)
class Settings:
    """What else decides the result: see `reconstruction.api.reconstruct`."""

    n_samples: int
    seed: int
    sigma_y: float
    key: int | str
    noise: str | None
    saturation: Saturation
    device: str | torch.device
    point_estimate: str = MEAN


@dataclass(frozen=True)
class Tail:
    """The end of a window, which it has in common with the next one, at the prior's rate.

    Attributes:
        samples: In mV, shape (S, 12, n), float32.
        mean: In mV, shape (12, n), float32.
        spread: How far the result's samples are moved away from the mean.
    """

    samples: NDArray[np.float32]
    mean: NDArray[np.float32]
    spread: float


@dataclass(frozen=True)
class Restored:
    """What came of a window: of its samples from `first` to `last`, at the recording's own rate.

    Attributes:
        samples: In mV, shape (S, 12, n), float32.
        mean: In mV, shape (12, n).
        observed: True where measured, or known from measured ones, shape (12, n).
        tail: What the next window goes on from.
        piece: The measurement.
        method: Name of the method; "": all was known.
        calls: How often the network was evaluated.
        seconds: Time that the samples took.
        noise: Noise of each of the twelve leads in mV, NaN where it was not looked at, shape (12,); None: none.
    """

    samples: NDArray[np.float32]
    mean: NDArray[np.float32]
    observed: NDArray[np.bool_]
    tail: Tail
    piece: MeasuredPiece
    method: str
    calls: Calls
    seconds: float
    noise: NDArray[np.float32] | None


class WindowRestorer:
    """Restores single windows of a recording.

    Args:
        ecg: The recording in mV, shape (n_leads, L), NaN where missing; it is read piece by piece.
        sampling_rate: Its sampling rate in Hz.
        leads: Its leads.
        choose: Names and makes the sampler for a window.
        settings: What else decides the result.

    Attributes:
        first: Name and sampler of the first window.
        prior_rate: Sampling rate of the prior in Hz.
        layout: The windows.
    """

    def __init__(
        self,
        ecg: NDArray[np.floating],
        sampling_rate: float,
        leads: tuple[str, ...],
        choose: Choose,
        settings: Settings,
    ) -> None:
        self.ecg, self.leads, self.choose, self.settings = ecg, leads, choose, settings
        start = self._cut(0, round(WINDOW_S * sampling_rate))
        self.first = choose(start, nominal_rate(sampling_rate, PRIOR_RATE_HZ))
        self.prior_rate = self.first[1].sampling_rate
        self.layout = lay_windows(ecg.shape[-1], sampling_rate, self.prior_rate)

    def __call__(self, window: Window, tail: Tail | None) -> Restored | None:
        """Restores a window that goes on from the tail of the one before, None: there is none.

        Returns None where nothing was measured.
        """
        rate, settings = self.layout.rate, self.settings
        own = self._cut(window.start, window.stop)
        if np.isnan(own).all():
            return None
        method, sampler = self.choose(own, rate)
        try:
            piece = self._measure(window, sampler)
        except NothingMeasured:
            return None
        measurement, start = piece.measurement.to(settings.device), time.perf_counter()
        values, known = measurement.known()
        if settings.noise is None and bool(known.all()):
            n, method = settings.n_samples, ""
            drawn = _Drawn(Draws(values.expand(n, 1, -1, -1), values, Calls()), 1.0)
        else:
            drawn = self._draw(window, measurement, sampler, tail)
        seconds = time.perf_counter() - start
        draws, mean = drawn.draws, drawn.draws.mean[0]
        state = draws.samples[:, 0]
        samples = mean + drawn.factor(state, tail, self._n_held) * (state - mean)
        given = slice(window.first - window.start, window.last - window.start)
        length = window.stop - window.start
        shape = (measurement, self.prior_rate, rate, length)
        observed = observed_samples(measurement, min(self.prior_rate, rate), rate, length)
        rest = state.shape[-1] - window.n_after
        own_samples = at_own_rate(samples, *shape)[..., given]
        is_median = settings.point_estimate == MEDIAN
        return Restored(
            samples=own_samples,
            mean=median_of(own_samples) if is_median else at_own_rate(mean[None], *shape)[0][..., given],
            observed=observed[..., given],
            tail=Tail(state[..., rest:].cpu().numpy(), mean[..., rest:].cpu().numpy(), drawn.spread),
            piece=piece,
            method=method,
            calls=draws.calls,
            seconds=seconds,
            noise=None if settings.noise is None else noise_level(draws.noise or measurement.noise, measurement),
        )

    def _cut(self, first: int, last: int) -> NDArray[np.float64]:
        return np.asarray(self.ecg[:, first:last], dtype=np.float64)

    def _measure(self, window: Window, sampler: PosteriorSampler) -> MeasuredPiece:
        """Measures a window, filtered together with what lies around it."""
        down = self.layout.down
        margin = -(-int(PADDING_S * self.layout.rate) // down) * down
        before = min(margin, window.start)
        after = min(margin, self.ecg.shape[-1] - window.stop) // down * down
        return measure_piece(
            self._cut(window.start - before, window.stop + after),
            self.layout.rate,
            self.leads,
            sampler.leads,
            sampler.sampling_rate,
            noise=self.settings.noise,
            saturation=self.settings.saturation,
            context=(before, after),
        )

    @property
    def _n_held(self) -> float:
        return HELD_S * self.prior_rate

    def _draw(self, window: Window, measurement: Measurement, sampler: PosteriorSampler, tail: Tail | None) -> "_Drawn":
        """Draws samples that go on from those of the window before."""
        settings, owner = self.settings, (self.settings.seed, self.settings.key)
        numbers, sigma_y, n = range(settings.n_samples), self.settings.sigma_y, settings.n_samples
        place = self.layout.at_prior(window.start)
        shared = [[NoiseInTime((*owner, number), place)] for number in numbers]
        likelihood = likelihood_of(measurement, sigma_y)
        has_estimate = measurement.is_kept and sampler.has_estimate(likelihood)
        spread = sampler.spread if has_estimate else 1.0
        if tail is None or not (measurement.is_kept and sampler.takes_gaps):
            draws = draw_twelve_leads(sampler, measurement, n, shared, sigma_y)
            samples, mean = torch.lerp(draws.mean.expand_as(draws.samples), draws.samples, 1 / spread), draws.mean
            if tail is not None:
                samples = fade(torch.from_numpy(tail.samples)[:, None], samples, self._n_held)
        else:
            own = [seeded_generator(*owner, "window", window.number, number) for number in numbers]
            continued = measurement.continued(torch.from_numpy(tail.samples).to(measurement.y))
            draws = draw_twelve_leads(sampler, continued, 1, [own], sigma_y)
            samples, mean = draws.samples.transpose(0, 1), draws.samples.mean(dim=1)
            if has_estimate:
                mean = measurement.complete(sampler.estimate(likelihood, n, shared)[None])[0]
                draws = replace(draws, calls=draws.calls + Calls(network=1))
        if tail is not None:
            mean = fade(torch.from_numpy(tail.mean)[None], mean, self._n_held)
        return _Drawn(replace(draws, samples=samples, mean=mean), spread)


@dataclass(frozen=True)
class _Drawn:
    """Samples (S, 1, 12, L) from which the next window goes on, their mean (1, 12, L), and how far to move them away.

    They are moved only in what is returned: what goes from window to window would be moved each time.
    """

    draws: Draws
    spread: float

    def factor(self, like: Tensor, tail: Tail | None, n_held: float) -> Tensor:
        """Returns the factor at each sample of a window, shape (L,), after that of the window before."""
        factor = torch.full_like(like[0, 0], self.spread)
        if tail is None:
            return factor
        return fade(torch.full((tail.mean.shape[-1],), tail.spread), factor, n_held)


def fade(before: Tensor, x: Tensor, n_held: float) -> Tensor:
    """Fades what was before, shape (..., n), into the beginning of x, shape (..., L), after `n_held` samples of it."""
    n = before.shape[-1]
    share = ((torch.arange(n) - n_held) / max(n - n_held, 1)).clamp(0, 1)
    weight = (0.5 - 0.5 * torch.cos(torch.pi * share)).to(x)
    return torch.cat([torch.lerp(before.to(x), x[..., :n], weight), x[..., n:]], dim=-1)
