"""A window of at most ten seconds repaired: what is good in it, what is noisy and what is lost, to twelve leads.

Good samples are kept; noisy ones tell the network as much as their noise leaves, stretch by stretch; the others are
filled in from the other leads and times.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from torch import Generator, Tensor

from diffusion_prior.model.denoiser import Conditions, Denoiser
from diffusion_prior.sampler import Sampler
from einthoven.ecg.filters import clean_signal, fill_gaps, resample
from einthoven.ecg.leads import LEADS, independent_part, to_twelve
from einthoven.randomness import NoiseInTime, randn, record_generators
from einthoven.statistics import median_of
from reconstruction.measurement.operators import MeasuredLeads
from reconstruction.repairs.pieces import runs

RecordGenerators = Sequence[Sequence[Generator | NoiseInTime]]
"""Generators indexed `[sample][record]`."""
N_STEPS = 18
N_FIRST_GUESSES = 4
"""Calls that the first guess of what is bad is averaged over: the noise is what a stretch differs from it by."""
GUESS_ERROR = 0.3
"""Root mean square error of that guess, relative to the guess itself: how much of the difference is not noise."""
LEAST_NOISE_MV = 0.02
SPREAD_S = 0.05
"""How far a bad sample spoils others when the rate changes."""


@dataclass(frozen=True)
class Restored:
    """Twelve leads of a window.

    Attributes:
        samples: Draws of what the ECG may be, in mV, shape (S, 12, L), high-passed as the prior's ECGs.
        noise: Root mean square of the noise of each sample of the twelve leads in mV, shape (12, L); NaN where nothing
            noisy was measured.
    """

    samples: NDArray[np.float32]
    noise: NDArray[np.float32]


class WindowRepairer:
    """Repairs windows with a prior that takes measurements; ValueError for one that does not."""

    def __init__(
        self,
        denoiser: Denoiser,
        n_samples: int = 10,
        seed: int = 0,
        n_steps: int = N_STEPS,
        *,
        takes_median: bool = False,
    ) -> None:
        if not denoiser.takes_measurements or independent_part(denoiser.leads) != denoiser.leads:
            raise ValueError("repair needs weights whose network takes measured samples of the eight independent leads")
        if denoiser.distilled_levels:
            raise ValueError("repair needs the weights that distilled ones were made of: these know no noise")
        self.denoiser, self.n_samples, self.seed, self.n_steps = denoiser, n_samples, seed, n_steps
        self.rate, self._takes_median = denoiser.sampling_rate, takes_median

    def depends_on(self) -> dict[str, bool]:
        """Says what else its results depend on; folders that were begun before there was a choice go on."""
        return {"takes_median": True} if self._takes_median else {}

    def point_estimate(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the mean of samples (S, ...), or the median where it `takes_median`."""
        return median_of(samples) if self._takes_median else samples.mean(axis=0)

    def __call__(
        self,
        ecg: NDArray[np.float64],
        noisy: NDArray[np.bool_],
        sampling_rate: float,
        leads: Sequence[str],
        key: int | str,
    ) -> Restored:
        """Repairs one window.

        Args:
            ecg: ECG in mV, shape (n_leads, L), NaN where it is lost.
            noisy: True where a sample is noisy, shape (n_leads, L).
            sampling_rate: Its rate in Hz.
            leads: Names of its leads.
            key: Key of the window, to which its random numbers belong.
        """
        given = self._given(ecg, noisy, sampling_rate, leads)
        generators = record_generators(self.seed, [key], self.n_samples)
        shape = (self.n_samples, *given.values.shape)
        denoiser = self.denoiser.given(Conditions(y=given.values, observed=given.observed, sigma_y=given.sigma))
        samples = Sampler(denoiser, self.n_steps, 0.0, 2).sample(shape, generators, device=given.values.device)
        twelve = to_twelve(samples[:, 0]).cpu().numpy()
        noise = np.full((len(LEADS), ecg.shape[-1]), np.nan, dtype=np.float32)
        sigma = given.sigma[0].cpu().numpy()
        at = (np.arange(ecg.shape[-1]) * self.rate / sampling_rate).round().astype(int).clip(max=sigma.shape[-1] - 1)
        for row, lead in enumerate(self.denoiser.leads):
            noise[LEADS.index(lead)] = np.where(sigma[row] > 0, sigma[row], np.nan)[at]
        return Restored(resample(twelve, self.rate, sampling_rate, ecg.shape[-1]).astype(np.float32), noise)

    @torch.no_grad()
    def expect(
        self, values: Tensor, observed: Tensor, generators: Sequence[Sequence[Generator | NoiseInTime]]
    ) -> Tensor:
        """Returns the network's own estimate of the prior's leads in mV, (B, C, L), from what was measured of them."""
        denoiser = self.denoiser.given(Conditions(y=values, observed=observed))
        n_guesses = len(generators)
        time = torch.ones((), dtype=values.dtype, device=values.device)
        start = denoiser.schedule(time)[1] * randn((n_guesses, *values.shape), generators, device=values.device)
        return denoiser(start, time).mean(dim=0)

    def _given(self, ecg: NDArray[np.float64], noisy: NDArray[np.bool_], rate: float, leads: Sequence[str]) -> "_Given":
        """Filters and resamples as the prior was trained, and finds what is known of its leads."""
        lost = np.isnan(ecg)
        good = at_rate(~(lost | noisy), rate, self.rate)
        filtered = clean_signal(np.where(noisy, np.nan, ecg), rate, self.rate)
        values, known = self.known(filtered, good, leads)
        guess = self.expect(values, known, record_generators(self.seed, ["first guess"], N_FIRST_GUESSES))
        bad = noisy & ~lost
        if not bad.any():
            return _Given(values, known, torch.zeros_like(values))
        noisy_values = clean_signal(self._bridged(ecg, guess, rate, leads), rate, self.rate)
        at_bad = at_rate(~lost, rate, self.rate) & binary_dilation(
            at_rate(bad, rate, self.rate), np.ones((1, 3), dtype=bool)
        )
        sigma = torch.zeros_like(values)
        for row, lead in enumerate(self.denoiser.leads):
            if lead not in leads:
                continue
            place = list(leads).index(lead)
            for first, last in runs(at_bad[place] & ~known[0, row].cpu().numpy()):
                span = slice(first, last)
                y = torch.from_numpy(noisy_values[place, span]).to(values)
                difference = (y - guess[0, row, span]).square().mean()
                own_error = GUESS_ERROR**2 * guess[0, row, span].square().mean()
                values[0, row, span], known[0, row, span] = y, True
                sigma[0, row, span] = (difference - own_error).clamp(min=LEAST_NOISE_MV**2).sqrt()
        return _Given(values, known, sigma)

    def known(
        self, filtered: NDArray[np.float64], good: NDArray[np.bool_], leads: Sequence[str]
    ) -> tuple[Tensor, Tensor]:
        """Returns what measured leads say exactly of the prior's, by Einthoven's law too: values, and where, (1, C, L).

        Args:
            filtered: ECG in mV at the prior's rate, shape (n_leads, L).
            good: True where a sample counts as measured, shape (n_leads, L).
            leads: Names of its leads.
        """
        device = next(self.denoiser.parameters()).device
        y = torch.from_numpy(np.where(good, filtered, 0.0)).float()[None].to(device)
        operator = MeasuredLeads(torch.from_numpy(good)[None].to(device), tuple(leads), self.denoiser.leads)
        known = operator.identified(y)[0]
        values = operator.pinv(y)
        known = known.expand(values.shape).clone()
        return torch.where(known, values, 0.0), known

    def _bridged(
        self, ecg: NDArray[np.float64], guess: Tensor, rate: float, leads: Sequence[str]
    ) -> NDArray[np.float64]:
        """Fills what is lost by the first guess, on a line between the ends, so that filters do not ring there."""
        length = ecg.shape[-1]
        twelve = resample(to_twelve(guess[0]).cpu().numpy(), self.rate, rate, length)
        rows = twelve[[LEADS.index(lead) for lead in leads]]
        return fill_gaps(ecg - rows) + rows


@dataclass(frozen=True)
class _Given:
    """What the network is told: values in mV, where there are some, and their noise in mV, each (1, C, L)."""

    values: Tensor
    observed: Tensor
    sigma: Tensor


def at_rate(mask: NDArray[np.bool_], source_rate: float, target_rate: float) -> NDArray[np.bool_]:
    """Brings a mask (n, L) of what is well to another rate: where all is well within the reach of the resampling."""
    if source_rate == target_rate:
        return mask
    length = round(mask.shape[-1] * target_rate / source_rate)
    time = np.arange(length) / target_rate
    first = np.ceil((time - SPREAD_S) * source_rate - 1e-6).astype(int).clip(0, mask.shape[-1] - 1)
    last = np.floor((time + SPREAD_S) * source_rate + 1e-6).astype(int).clip(0, mask.shape[-1] - 1)
    counts = np.concatenate([np.zeros((len(mask), 1), dtype=int), (~mask).cumsum(axis=-1)], axis=-1)
    return np.asarray(counts[:, last + 1] == counts[:, first])
