"""The denoiser of a Gaussian prior, in closed form: what samplers are tested against."""

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import NOTHING, Conditions, Prior
from diffusion_prior.model.schedule import Schedule


class GaussianDenoiser(Prior):
    r"""Exact denoiser for `x ~ N(mean, covariance)`.

    `E[x given x_t] = mean + alpha C (alpha^2 C + sigma^2 I)^-1 (x_t - alpha mean)`. With measured samples, mean and
    covariance are first replaced by their exact conditional values, so that it stands in for a `Denoiser` as well.

    Args:
        mean: Mean in mV, shape (C, L).
        covariance: Covariance in mV^2 over the flattened signal, shape (C L, C L).
        schedule: Noise schedule.

    Attributes:
        n_calls: Calls so far.
    """

    takes_measurements = True

    def __init__(self, mean: Tensor, covariance: Tensor, schedule: Schedule) -> None:
        self.mean, self.covariance, self.schedule = mean, covariance, schedule
        self.n_calls = 0

    def __call__(self, x_t: Tensor, t: Tensor, conditions: Conditions = NOTHING) -> Tensor:
        """Denoises.

        Args:
            x_t: Noised signal in mV, shape (..., C, L).
            t: Diffusion time, shape ().
            conditions: What was measured; shapes may have any leading dimensions. A Gaussian has no labels.

        Returns:
            E[x given x_t], and given the measured samples if there are any, shape of `x_t`.
        """
        self.n_calls += 1
        flat = x_t.reshape(-1, self.mean.numel())
        y, observed, sigma_y = conditions.y, conditions.observed, conditions.sigma_y
        if y is None or observed is None:
            return self._denoise(flat, t, self.mean.reshape(-1), self.covariance).reshape(x_t.shape)
        sigma_y = x_t.new_zeros(x_t.shape[:-1]) if sigma_y is None else sigma_y
        measured = (value.expand(x_t.shape).reshape(flat.shape) for value in (y, observed, sigma_y[..., None]))
        rows = [self._denoise(f, t, *self._given(*row)) for f, *row in zip(flat, *measured, strict=True)]
        return torch.stack(rows).reshape(x_t.shape)

    def posterior(self, operator: Tensor, y: Tensor, sigma_y: float | Tensor) -> tuple[Tensor, Tensor]:
        """Returns the exact posterior given `y = operator x + sigma_y z`.

        Args:
            operator: Matrix over the flattened signal, shape (m, C L).
            y: Measurement, shape (m,).
            sigma_y: Standard deviation of the measurement noise, a number or of shape (m,).

        Returns:
            Mean, shape (C, L), and covariance, shape (C L, C L).
        """
        prior_mean = self.mean.reshape(-1)
        cross = self.covariance @ operator.T
        total = operator @ cross + torch.diag(torch.as_tensor(sigma_y, dtype=y.dtype).square().expand(len(y)))
        gain = torch.linalg.solve(total, cross.T).T
        mean = prior_mean + gain @ (y - operator @ prior_mean)
        return mean.reshape(self.mean.shape), self.covariance - gain @ cross.T

    def _given(self, y: Tensor, observed: Tensor, sigma_y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance given measured samples; `y`, `observed` and `sigma_y` have shape (C L,)."""
        if not observed.any():
            return self.mean.reshape(-1), self.covariance
        identity = torch.eye(len(observed), dtype=y.dtype)
        mean, covariance = self.posterior(identity[observed], y[observed], sigma_y[observed])
        return mean.reshape(-1), covariance

    def _denoise(self, x_t: Tensor, t: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
        alpha, sigma = self.schedule(torch.as_tensor(t, dtype=x_t.dtype))
        total = alpha**2 * covariance + sigma**2 * torch.eye(len(mean), dtype=x_t.dtype)
        return (
            mean
            + alpha
            * torch.linalg.solve(total, (x_t - alpha * mean).reshape(-1, len(mean)).T).T.reshape(x_t.shape)
            @ covariance
        )
