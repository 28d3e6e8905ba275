"""How probable a measurement is, given an ECG, and the Gaussian algebra that posterior samplers are made of."""

import math
from functools import cached_property

import torch
from torch import Tensor

from reconstruction.measurement.linear_solver import conjugate_gradients
from reconstruction.measurement.noise_model import NoiseModel, WhiteNoise
from reconstruction.measurement.operators import LinearOperator, SamplewiseOperator

_TOLERANCE = 1e-8


class GaussianLikelihood:
    """Measurement with Gaussian noise, `y = A x + n`, `n ~ N(0, Sigma)`.

    Where the operator has a mask, samples that were not measured count for nothing.

    Args:
        operator: The forward operator A.
        y: Measurement in mV, shape (B, C', L'). What stands where nothing was measured is not read.
        noise: The noise's law, or the (positive) standard deviation of white noise in mV.
    """

    def __init__(self, operator: LinearOperator, y: Tensor, noise: NoiseModel | float) -> None:
        self.operator = operator
        self.noise = noise if isinstance(noise, NoiseModel) else WhiteNoise(noise)
        observed = operator.observed
        self.observed = torch.ones_like(y, dtype=torch.bool) if observed is None else observed.to(y.device).expand_as(y)
        self.y = torch.where(self.observed, y, 0.0)

    @property
    def sigma_y(self) -> Tensor:
        """Root mean square of the noise over all leads in mV, shape () or (B, 1, 1)."""
        rms = self.noise.rms(self.y).square().mean(dim=-1).sqrt()
        return rms if rms.ndim == 0 else rms[:, None, None]

    @property
    def least_variance(self) -> Tensor:
        """Smallest variance of the noise in any direction in mV^2, shape () or (B, 1, 1)."""
        least = self.noise.variances(self.y).amin(dim=(-2, -1))
        return least if least.ndim == 0 else least[:, None, None]

    def residual(self, x: Tensor) -> Tensor:
        """Returns `y - A x` where measured, else 0, in mV: `(..., B, C, L)` to `(..., B, C', L')`."""
        return torch.where(self.observed, self.y.to(x) - self.operator(x), 0.0)

    def log_prob(self, x: Tensor) -> Tensor:
        """Returns the log density in nats of `y` given ECGs `(..., B, C, L)`, shape (..., B): one for each record."""
        residual = self.residual(x)
        with torch.no_grad():
            weighted = self.solve(residual, 0.0)
        # The gradient of r' W r / 2 is W r: the solver itself need not be differentiated.
        product = (residual * weighted).sum(dim=(-2, -1))
        misfit = product - 0.5 * product.detach()
        return -misfit - 0.5 * self._log_determinant.to(x)

    def solve(self, v: Tensor, prior_std: Tensor | float) -> Tensor:
        """Returns `(r^2 A A^T + Sigma)^-1 v` on the measured samples, r = `prior_std` in mV; 0: Sigma^-1 v.

        This is all that the conjugate updates of a Gaussian with covariance `r^2 I` need; `v` is of shape (..., B, C',
        L'), it and the result are zero where nothing was measured. In closed form where leads mix at each sample alone
        and the noise is white, or where leads were measured throughout; else by conjugate gradients.
        """
        r2 = torch.as_tensor(prior_std, dtype=torch.float64, device=v.device).square()
        gram = self._gram
        if gram is None:
            return self._solve_iteratively(v, r2)
        if isinstance(prior_std, float | int) and prior_std == 0:
            return torch.where(self.observed, self.noise.synthesise(self.noise.analyse(v) / self.noise.variances(v)), 0)
        variances = self.noise.variances(self.y.double())
        if self._gram_is_diagonal:
            total = r2 * gram.diagonal(dim1=-2, dim2=-1).mT + variances
            return torch.where(self.observed, self.noise.synthesise(self.noise.analyse(v) / total.to(v)), 0.0)
        coefficients = self.noise.analyse(v.double()).mT.unsqueeze(-1)
        inverse = torch.linalg.inv(r2 * gram + torch.diag_embed(variances.mT))
        solved = (inverse @ coefficients).squeeze(-1).mT
        return torch.where(self.observed, self.noise.synthesise(solved).to(v), 0.0)

    def posterior_mean(self, mean: Tensor, prior_std: Tensor | float) -> Tensor:
        """Returns the mean of x given y where `x ~ N(mean, r^2 I)`, r = `prior_std`: the likelihood's proximal point.

        In mV, of the shape of `mean` (..., B, C, L).
        """
        r2 = torch.as_tensor(prior_std, dtype=mean.dtype, device=mean.device).square()
        return mean + r2 * self.operator.adjoint(self.solve(self.residual(mean), prior_std))

    def posterior_sample(self, mean: Tensor, prior_std: Tensor | float, z_x: Tensor, z_y: Tensor) -> Tensor:
        """Draws x given y where `x ~ N(mean, r^2 I)`, exactly: a draw of both x and y, corrected by the true y.

        Args:
            mean: ECG in mV, shape (..., B, C, L), that of the result.
            prior_std: r in mV, a number or of shape ().
            z_x: Standard normal numbers of the shape of `mean`.
            z_y: Standard normal numbers in the space of measurements, shape (..., B, C', L').
        """
        r = torch.as_tensor(prior_std, dtype=mean.dtype, device=mean.device)
        drawn = mean + r * z_x
        misfit = torch.where(self.observed, self.residual(drawn) - self.noise.colour(z_y), 0.0)
        return drawn + r.square() * self.operator.adjoint(self.solve(misfit, prior_std))

    @cached_property
    def _gram(self) -> Tensor | None:
        """`A A^T` at each coefficient of the noise's basis, (..., L or 1, m, m), float64; None: it is not so simple."""
        if not isinstance(self.operator, SamplewiseOperator):
            return None
        matrix = self.operator.matrix(self.y.double())
        if not isinstance(self.noise, WhiteNoise):
            if not bool((self.observed == self.observed[..., :1]).all()):
                return None
            matrix = matrix[..., :1, :, :]
        return matrix @ matrix.mT

    @cached_property
    def _gram_is_diagonal(self) -> bool:
        """Whether no two measured leads share a lead of the prior: then each is solved by itself."""
        gram = self._gram
        return gram is not None and bool((gram == torch.diag_embed(gram.diagonal(dim1=-2, dim2=-1))).all())

    def _solve_iteratively(self, v: Tensor, r2: Tensor) -> Tensor:
        observed, variances = self.observed, self.noise.variances(v.double())

        def total(u: Tensor) -> Tensor:
            return torch.where(observed, r2 * self.operator(self.operator.adjoint(u)) + self.noise.covariance(u), 0.0)

        def near_inverse(u: Tensor) -> Tensor:
            return torch.where(observed, self.noise.synthesise(self.noise.analyse(u) / (r2 + variances)), 0.0)

        return conjugate_gradients(total, v.double(), _TOLERANCE, preconditioner=near_inverse).to(v)

    @cached_property
    def _log_determinant(self) -> Tensor:
        """Log determinant of `2 pi Sigma` on the measured samples, shape (B,), float64."""
        y = self.y.double()
        variances = self.noise.variances(y).expand(y.shape)
        n_observed = self.observed.double().sum(dim=(-2, -1))
        whole = (self.observed == self.observed[..., :1]).all()
        if isinstance(self.noise, WhiteNoise) or bool(whole):
            logs = torch.where(self.observed, variances.log(), 0.0).sum(dim=(-2, -1))
        else:
            logs = torch.stack(
                [self._dense_log_determinant(*row) for row in zip(variances, self.observed, strict=True)]
            )
        return logs + n_observed * math.log(2 * math.pi)

    def _dense_log_determinant(self, variances: Tensor, observed: Tensor) -> Tensor:
        basis = self.noise.analyse(torch.eye(variances.shape[-1], dtype=torch.float64, device=variances.device)).mT
        rows = [(basis.mT * s) @ basis for s in variances]
        logs = [torch.linalg.slogdet(row[keep][:, keep])[1] for row, keep in zip(rows, observed, strict=True)]
        return torch.stack(logs).sum()
