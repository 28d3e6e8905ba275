"""How probable a measurement is, given an ECG."""

import math
from typing import Protocol

import torch
from torch import Tensor

from reconstruction.operators import LinearOperator, Mask, MeasuredLeads


class Likelihood(Protocol):
    """What every likelihood offers."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Returns the log density of the measurement for each ECG: `(..., B, C, L)` to `(..., B)`."""
        ...


class GaussianLikelihood:
    """Measurement with white noise, `y = A x + sigma_y z`.

    Where the operator is a mask, samples that were not measured count for nothing.

    Args:
        operator: The forward operator A.
        y: Measurement in mV, shape (B, C', L'). Its zeros stand where nothing was measured.
        sigma_y: Standard deviation of the measurement's noise, in mV.

    Raises:
        ValueError: If `sigma_y` is not positive.
    """

    def __init__(self, operator: LinearOperator, y: Tensor, sigma_y: float) -> None:
        if sigma_y <= 0:
            raise ValueError(f"sigma_y must be positive, but is {sigma_y}; a noise-free measurement: 0.01 mV")
        observed = operator.observed if isinstance(operator, Mask | MeasuredLeads) else torch.ones_like(y)
        self.operator, self.sigma_y = operator, sigma_y
        self.y = torch.where(observed.bool(), y, 0.0)
        self._n_observed = observed.expand_as(y).sum(dim=(-2, -1))

    def log_prob(self, x: Tensor) -> Tensor:
        """Returns the log density of `y` given each ECG.

        Args:
            x: ECG in mV, shape (..., B, C, L).

        Returns:
            Log density in nats, shape (..., B): summed over leads and samples, never over records.
        """
        misfit = ((self.operator(x) - self.y.to(x)) / self.sigma_y).square().sum(dim=(-2, -1))
        return -0.5 * misfit - self._n_observed.to(x) * math.log(self.sigma_y * math.sqrt(2 * math.pi))
