"""Amortised posterior sampling: the network has learnt the conditional denoiser, so a plain sampler is enough.

The denoiser sees the measured samples and where they are in extra channels (see `diffusion_prior.model.denoiser`); its
reverse process then draws from the posterior itself, without a likelihood or a gradient.
"""

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import ConditionalDenoiser, Denoiser
from diffusion_prior.sampler import Sampler
from einthoven.randomness import Noise, randn
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import WhiteNoise
from reconstruction.measurement.operators import LinearOperator, SamplewiseOperator
from reconstruction.samplers.base import PosteriorSampler, only_whole_leads, takes_measurements

_LEAST_LEVEL = 1e-3
"""Smallest noise level that is told to the network, in mV."""


class AmortisedSampler(PosteriorSampler):
    """Runs the conditional denoiser.

    At the largest noise level `x_t` says nothing of the ECG, and the denoiser is the posterior mean itself: one more
    call estimates it without the error of an average over few samples. Of a record with gaps or noise the average is
    taken: see `only_whole_leads`.

    Where the measurement is noisy, the level of the noise in each lead is found first: the network is told that all of
    the measurement might be noise, as in a part of its training. What its estimate leaves of the measurement is the
    noise and that estimate's own error; so the likelihood's level is taken as far as it lies within these limits. Of
    the spectrum of the likelihood's noise nothing enters: the network has learnt how noise looks.

    Args:
        denoiser: A denoiser trained with measured samples as condition.
        n_steps: Number of sampling steps, each one network call.
        eta: Stochasticity: 1 is the ancestral sampler, 0 the deterministic one.
        order: Order of the sampler, 1 or 2 (see `diffusion_prior.sampler.Sampler`).
        spread: Factor by which the samples of records without gaps are moved away from the posterior mean. A network
            that saw few records is too sure of itself; the default was chosen for lead I and the bundled weights, on
            48 records of PTB-XL's fold 9. 1 changes nothing.
        exact_below: Noise with a smaller root mean square in all leads, in mV, is taken for a part of the ECG, as it
            was in training, and the measured samples for exact.
        blind_error: Largest root mean square error in mV of the estimate without a level, chosen on fold 9; None: the
            likelihood's level is taken as it is.

    Raises:
        ValueError: If the denoiser cannot be told measured samples.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        n_steps: int = 18,
        eta: float = 0.0,
        order: int = 2,
        spread: float = 1.15,
        exact_below: float = 0.02,
        blind_error: float | None = 0.035,
    ) -> None:
        if not takes_measurements(denoiser):
            raise ValueError(
                "the amortised sampler tells the network what was measured, which this prior's network has not learnt: "
                'take a method that needs the prior alone, method="decoupled" or "mgps", to remove noise "spectral_em" '
                "(for the scripts algo=decoupled, algo=mgps, algo=spectral_em)"
            )
        super().__init__(denoiser)
        self.denoiser, self.n_steps, self.eta, self.order, self.spread = denoiser, n_steps, eta, order, spread
        self.exact_below, self.blind_error = exact_below, blind_error

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Noise) -> Tensor:
        """Draws samples: see `PosteriorSampler`.

        Raises:
            ValueError: If the measurement is not one of samples of the prior's leads.
        """
        y, observed = measured_samples(likelihood.operator, likelihood.y)
        shape = (n_samples, *y.shape)
        self.network_calls, self.noise = 0, None
        level = None
        if bool((likelihood.noise.levels(likelihood.y) > self.exact_below).any()):
            level = self._estimate_level(likelihood, y, observed, shape, generator)
        denoiser = ConditionalDenoiser(self.denoiser, y=y, observed=observed, level=level)
        sampler = Sampler(denoiser, self.n_steps, self.eta, self.order)
        samples = self.consistent(sampler.sample(shape, generator, dtype=y.dtype, device=y.device))
        average = samples.mean(dim=0)
        if level is not None:
            self.posterior_mean, self.network_calls = average, self.network_calls + denoiser.n_calls
            left = likelihood.residual(average)
            self.noise = WhiteNoise(_root_mean_square(left, likelihood.observed))
            return torch.lerp(average.expand_as(samples), samples, self.spread)
        whole, estimate = only_whole_leads(observed), self._mean(denoiser, shape, generator, y)
        self.posterior_mean = torch.where(whole, estimate, average)
        self.network_calls += denoiser.n_calls
        return torch.where(whole, torch.lerp(estimate.expand_as(samples), samples, self.spread), samples)

    def _estimate_level(
        self, likelihood: GaussianLikelihood, y: Tensor, observed: Tensor, shape: tuple[int, ...], generator: Noise
    ) -> Tensor:
        """Finds the root mean square of the noise in the prior's leads, in mV, shape (B, C)."""
        level = _prior_levels(likelihood, y)
        if self.blind_error is None:
            return level
        denoiser = ConditionalDenoiser(self.denoiser, y=y, observed=observed, level=_root_mean_square(y, observed))
        mean = self._mean(denoiser, shape, generator, y)
        self.network_calls += denoiser.n_calls
        left = _root_mean_square(y - mean, observed)
        least = (left.square() - self.blind_error**2).clamp(min=_LEAST_LEVEL**2).sqrt()
        return torch.minimum(torch.maximum(level, least), left)

    def _mean(self, denoiser: ConditionalDenoiser, shape: tuple[int, ...], generator: Noise, y: Tensor) -> Tensor:
        time = torch.ones((), dtype=y.dtype, device=y.device)
        noisiest = self.denoiser.schedule(time)[1] * randn(shape, generator, y.dtype, y.device)
        return self.consistent(denoiser(noisiest, time)).mean(dim=0)


def _root_mean_square(v: Tensor, observed: Tensor) -> Tensor:
    """Root mean square of each lead where measured, never zero, (B, C, L) to (B, C)."""
    total = torch.where(observed, v, 0.0).square().sum(dim=-1)
    return (total / observed.sum(dim=-1).clamp(min=1)).sqrt().clamp(min=_LEAST_LEVEL)


def _prior_levels(likelihood: GaussianLikelihood, like: Tensor) -> Tensor:
    """Noise levels of the prior's leads in mV, shape (B, C), from those that the likelihood says of measured leads."""
    assert isinstance(likelihood.operator, SamplewiseOperator)
    inverse = torch.linalg.pinv(likelihood.operator.matrix(like.double()), rtol=1e-9)
    variances = likelihood.noise.levels(likelihood.y).double().square()
    spread = (inverse.square() @ variances[..., None, :, None]).squeeze(-1)
    levels = (spread.sum(dim=-2) / (spread > 0).sum(dim=-2).clamp(min=1)).sqrt()
    return levels.clamp(min=_LEAST_LEVEL).to(like).expand(like.shape[:-1])


def measured_samples(
    operator: LinearOperator, y: Tensor, method: str = "the amortised sampler"
) -> tuple[Tensor, Tensor]:
    """Turns a measurement into samples of the prior's leads, where it is no more and no less than that.

    Two limb leads at one time give leads I and II exactly.

    Args:
        operator: The forward operator.
        y: Measurement in mV, shape (B, C', L').
        method: Name of the method, for the messages.

    Returns:
        ECG in mV with zeros where nothing is known, and where it is known (bool), each of shape (B, C, L).

    Raises:
        ValueError: If a part of the measurement is something else, such as a single limb lead other than I and II.
    """
    if not isinstance(operator, SamplewiseOperator):
        name = type(operator).__name__
        raise ValueError(f'{method} cannot use a measurement by {name}: take method="decoupled"')
    observed, complete = operator.identified(y)
    if not bool(complete.all()):
        raise ValueError(
            f"{method} needs samples of leads I, II, V1-V6, or two limb leads at the same time, from which "
            'I and II follow; here a single other limb lead was measured: take method="decoupled"'
        )
    x = operator.pinv(y)
    observed = observed.expand(x.shape)
    return torch.where(observed, x, 0.0), observed
