"""Amortised posterior sampling: the network has learnt the conditional denoiser, so a plain sampler is enough.

The denoiser sees the measured samples and where they are in extra channels (see `diffusion_prior.model.denoiser`); its
reverse process then draws from the posterior itself, without a likelihood or a gradient.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import ConditionalDenoiser, Conditions, Prior, PriorDenoiser
from diffusion_prior.model.schedule import EDMSchedule
from diffusion_prior.sampler import Sampler
from einthoven.randomness import Generators, randn
from einthoven.run.registry import check_choice
from reconstruction.measurement.channels import measured_samples, only_whole_leads
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import WhiteNoise
from reconstruction.measurement.operators import SamplewiseOperator
from reconstruction.samplers.amplitudes import draw_factors
from reconstruction.samplers.base import Calls, Draws, PosteriorSampler, fitted, need

PRESETS = {"fastest": 4, "fast": 8, "best": 18}
"""Sampling steps of each preset."""
DISTILLED_PRESET = "fastest"
"""The preset that needs distilled weights."""
_LEAST_MV = 1e-3
"""Least noise that the network is told of, in mV."""
_UNINFORMED_MV = 20.0
"""Noise from which on `x_t` says nothing of an ECG: less than its standard deviation times the root of its samples."""


class AmortisedSampler(PosteriorSampler):
    """Runs the conditional denoiser.

    At the largest noise level `x_t` says nothing of the ECG, and the denoiser is the posterior mean itself: one more
    call estimates it without the error of an average over few samples. Of a record with gaps or noise the average is
    taken: see `only_whole_leads`.

    Where the measurement is noisy, the noise in each lead is estimated first: the network gets the measurement as if
    all of it might be noise, as in a part of its training. What its estimate leaves of the measurement is the noise and
    that estimate's own error; so the root mean square of the likelihood's noise is taken as far as it lies within these
    limits. Its spectrum does not enter: the network has learnt how noise looks.

    The preset "best" walks down the prior's own grid. "fast" leaves out what lies between the largest noise level and
    `_UNINFORMED_MV`, where the denoiser returns the posterior mean all the time, and takes its first call, at the
    largest, for the estimate of that mean too. "fastest" needs weights that were distilled (see
    `diffusion_prior.training.distillation`). Those are called at the levels that they were distilled for, without
    extrapolation, whatever the preset; the first call again gives the mean. They know no noise.

    Samples of records without gaps are then moved away from the mean (`spread`), and the amplitudes of their unmeasured
    leads vary as patients' do (`amplitude_spread`, see `reconstruction.samplers.amplitudes`).

    Args:
        denoiser: A denoiser trained with measured samples as condition.
        n_steps: Number of sampling steps, each one network call. None: as the preset has it.
        eta: Stochasticity: 1 is the ancestral sampler, 0 the deterministic one.
        order: Order of the sampler, 1 or 2 (see `diffusion_prior.sampler.Sampler`).
        spread: Factor by which samples of records without gaps are moved away from the posterior mean: a network that
            saw few records is too sure. None: as it was fitted for the weights, else 1, which changes nothing.
        amplitude_spread: Factor on the standard deviation of the logarithms of amplitudes that was fitted for the
            weights; 0 leaves the amplitudes as they were drawn. None: 1.
        exact_below: Noise with a smaller root mean square in all leads, in mV, is taken for a part of the ECG, as it
            was in training, and the measured samples for exact.
        blind_error: Largest root mean square error in mV of the estimate that knows no strength of the noise. None: as
            it was fitted for the weights, else infinity: the likelihood's root mean square is taken as it is.
        preset: "best", or "fast": at most eight network calls, and one more to find the strength of noise; or, with
            distilled weights, "fastest".

    Raises:
        ValueError: If the prior's network takes no measurement, a setting does not fit it, or distilled weights are
            asked to remove noise.
    """

    takes_any_measurement = False

    def __init__(
        self,
        denoiser: Prior,
        n_steps: int | None = None,
        eta: float = 0.0,
        order: int = 2,
        spread: float | None = None,
        amplitude_spread: float | None = None,
        exact_below: float = 0.02,
        blind_error: float | None = None,
        preset: str = "best",
    ) -> None:
        check_choice("preset", preset, list(PRESETS))
        if not denoiser.takes_measurements:
            raise ValueError(
                "the amortised sampler tells the network what was measured, which this prior's network has not learnt: "
                'take a method that needs the prior alone, method="decoupled" or "mgps", to remove noise "spectral_em" '
                "(for the scripts algo=decoupled, algo=mgps, algo=spectral_em)"
            )
        super().__init__(denoiser)
        self.denoiser, self.eta, self.order = denoiser, eta, order
        self.preset, self.n_steps = preset, PRESETS[preset] if n_steps is None else n_steps
        self._levels = denoiser.distilled_levels
        if self._levels:
            if n_steps not in (None, len(self._levels)):
                raise ValueError(
                    f"these weights were distilled for {len(self._levels)} steps: leave n_steps={n_steps} out"
                )
            self.n_steps, self.order, self.eta = len(self._levels), 1, 0.0
        elif preset == DISTILLED_PRESET:
            raise ValueError(
                f'preset="{preset}" needs distilled weights, which these are not: take preset="fast", or leave the '
                "weights out (checkpoint=null) for the bundled distilled ones"
            )
        self.spread = fitted(denoiser, self.name, "spread", spread)
        self.amplitude_spread = 1.0 if amplitude_spread is None else amplitude_spread
        need(self.amplitude_spread >= 0, "amplitude_spread >= 0", self.amplitude_spread)
        self.exact_below = exact_below
        self.blind_error = fitted(denoiser, self.name, "blind_error", blind_error, math.inf)

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Draws:
        """Draws samples: see `PosteriorSampler`; refuses measurements that are not of samples of the prior's leads."""
        y, observed = measured_samples(likelihood.operator, likelihood.y)
        shape = (n_samples, *y.shape)
        sigma_y, n_calls = None, 0
        if bool((likelihood.noise.rms(likelihood.y) > self.exact_below).any()):
            if self._levels:
                raise ValueError(
                    'distilled weights know no noise: take preset="fast", or the weights that they were made of'
                )
            sigma_y, n_calls = self._estimate_noise(likelihood, y, observed, shape, generator)
        denoiser = self.denoiser.given(Conditions(y=y, observed=observed, sigma_y=sigma_y))
        noted = _FirstEstimate(denoiser)
        sampler = self._sampler(noted)
        samples = self.consistent(sampler.sample(shape, generator, dtype=y.dtype, device=y.device))
        average = samples.mean(dim=0)
        if sigma_y is not None:
            noise = WhiteNoise(_root_mean_square(likelihood.residual(average), likelihood.observed))
            samples = torch.lerp(average.expand_as(samples), samples, self.spread)
            return Draws(samples, average, Calls(n_calls + denoiser.n_calls), noise)
        whole = only_whole_leads(observed)
        if type(sampler) is Sampler:
            estimate = self._mean(denoiser, shape, generator, y)
        else:
            estimate = self.consistent(noted.first).mean(dim=0)
        moved = torch.lerp(estimate.expand_as(samples), samples, self.spread)
        covariance = self._amplitude_covariance()
        if covariance is not None:
            z = randn((*shape[:-1], 1), generator, y.dtype).squeeze(-1)
            moved = self.consistent(moved * draw_factors(covariance, observed.all(dim=-1), z)[..., None])
        samples = torch.where(whole, moved, samples)
        return Draws(samples, torch.where(whole, estimate, average), Calls(n_calls + denoiser.n_calls))

    def has_estimate(self, likelihood: GaussianLikelihood) -> bool:
        """Says whether leads were measured throughout or not at all, without noise: see the class."""
        if bool((likelihood.noise.rms(likelihood.y) > self.exact_below).any()):
            return False
        return bool(only_whole_leads(measured_samples(likelihood.operator, likelihood.y)[1]).all())

    @torch.no_grad()
    def estimate(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Tensor:
        """Returns the network's own estimate of the posterior mean: one call."""
        y, observed = measured_samples(likelihood.operator, likelihood.y)
        denoiser = self.denoiser.given(Conditions(y=y, observed=observed, sigma_y=None))
        return self._mean(denoiser, (n_samples, *y.shape), generator, y)

    def _amplitude_covariance(self) -> Tensor | None:
        """Covariance (C, C) of the logarithms of amplitudes that samples lack; None where nothing was fitted."""
        rows = self.denoiser.facts.get("fitted", {}).get(self.name, {}).get("amplitude_covariance")
        if rows is None or self.amplitude_spread == 0:
            return None
        return self.amplitude_spread**2 * torch.tensor(rows, dtype=torch.float64)

    def _sampler(self, denoiser: "_FirstEstimate") -> Sampler:
        """Returns the sampler of the posterior; all but the plain one begin with a call that gives the mean."""
        if self._levels:
            return _AtLevels(denoiser, self._levels)
        make = Sampler if self.preset == "best" else _EarlyJump
        return make(denoiser, self.n_steps, self.eta, self.order)

    def _estimate_noise(
        self, likelihood: GaussianLikelihood, y: Tensor, observed: Tensor, shape: tuple[int, ...], generator: Generators
    ) -> tuple[Tensor, int]:
        """Finds the root mean square of the noise in the prior's leads, in mV, shape (B, C); and counts its calls."""
        sigma_y = _noise_of_prior_leads(likelihood, y)
        if math.isinf(self.blind_error):
            return sigma_y, 0
        denoiser = self.denoiser.given(Conditions(y=y, observed=observed, sigma_y=_root_mean_square(y, observed)))
        left = _root_mean_square(y - self._mean(denoiser, shape, generator, y), observed)
        least = (left.square() - self.blind_error**2).clamp(min=_LEAST_MV**2).sqrt()
        return torch.minimum(torch.maximum(sigma_y, least), left), denoiser.n_calls

    def _mean(self, denoiser: ConditionalDenoiser, shape: tuple[int, ...], generator: Generators, y: Tensor) -> Tensor:
        time = torch.ones((), dtype=y.dtype, device=y.device)
        noisiest = denoiser.schedule(time)[1] * randn(shape, generator, y.dtype, y.device)
        return self.consistent(denoiser(noisiest, time)).mean(dim=0)


class _FirstEstimate:
    """A denoiser that keeps what it returned first, at the largest noise."""

    first: Tensor

    def __init__(self, denoiser: ConditionalDenoiser) -> None:
        self.denoiser, self.schedule = denoiser, denoiser.schedule

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        x = self.denoiser(x_t, t)
        if not hasattr(self, "first"):
            self.first = x
        return x


class _EarlyJump(Sampler):
    """Goes from the largest noise to one that says nothing either in its first step; the rest is Karras et al.'s grid.

    No level depends on the weights: they are those of `EDMSchedule`, from the second to the last of the prior's.
    """

    def times(self, like: Tensor) -> Tensor:
        """Returns the grid of times from 1 to 0, shape (n_steps,)."""
        schedule = self.denoiser.schedule
        ends = torch.tensor([1.0, 0.0], dtype=like.dtype, device=like.device)
        alpha, sigma = schedule(ends)
        largest, least = (sigma / alpha).tolist()
        levels = EDMSchedule(least, min(_UNINFORMED_MV, largest / 2))
        alpha, sigma = levels(levels.grid(self.n_steps - 2, like))
        return torch.cat([ends[:1], schedule.inverse(sigma[:-1] / alpha[:-1]), ends[1:]]).unique_consecutive()


class _AtLevels(Sampler):
    """DDIM at noise levels in mV that are given, the last call at the last of them."""

    def __init__(self, denoiser: PriorDenoiser, levels: Sequence[float]) -> None:
        super().__init__(denoiser, max(len(levels), 2), eta=0.0, order=1)
        self.levels = tuple(levels)

    def times(self, like: Tensor) -> Tensor:
        """Returns the times of the levels, shape (levels,)."""
        return self.denoiser.schedule.inverse(torch.tensor(self.levels, dtype=like.dtype, device=like.device))


def _root_mean_square(v: Tensor, observed: Tensor) -> Tensor:
    """Root mean square of each lead where measured, never zero, (B, C, L) to (B, C)."""
    total = torch.where(observed, v, 0.0).square().sum(dim=-1)
    return (total / observed.sum(dim=-1).clamp(min=1)).sqrt().clamp(min=_LEAST_MV)


def _noise_of_prior_leads(likelihood: GaussianLikelihood, like: Tensor) -> Tensor:
    """Root mean square of the noise of the prior's leads in mV, shape (B, C), from that of the measured leads."""
    assert isinstance(likelihood.operator, SamplewiseOperator)
    inverse = torch.linalg.pinv(likelihood.operator.matrix(like.double()), rtol=1e-9)
    variances = likelihood.noise.rms(likelihood.y).double().square()
    spread = (inverse.square() @ variances[..., None, :, None]).squeeze(-1)
    rms = (spread.sum(dim=-2) / (spread > 0).sum(dim=-2).clamp(min=1)).sqrt()
    return rms.clamp(min=_LEAST_MV).to(like).expand(like.shape[:-1])
