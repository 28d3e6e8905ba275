"""Conjugate gradients, for each record by itself."""

from collections.abc import Callable

import torch
from torch import Tensor


def conjugate_gradients(
    matrix: Callable[[Tensor], Tensor],
    b: Tensor,
    tolerance: float,
    max_steps: int = 200,
    preconditioner: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Solves `M x = b` for a symmetric positive semi-definite M, from zero.

    Args:
        matrix: `x -> M x`.
        b: Right-hand sides, shape (..., C, L), that of the solutions, in the range of M.
        tolerance: Norm of the residual at which a record is done, relative to its right-hand side.
        max_steps: Most steps.
        preconditioner: `x -> P x`, P positive definite, near the inverse of M; None: the shortest solution is found.
    """
    precondition = preconditioner or (lambda v: v)
    x, residual = torch.zeros_like(b), b
    direction = precondition(residual)
    power = _inner(residual, direction)
    goal = power * tolerance**2
    for _ in range(max_steps):
        if bool((power <= goal).all()):
            break
        image = matrix(direction)
        # A record that has converged stands still, so that its batch-mates change nothing.
        step = torch.where(power > goal, power / _inner(direction, image), 0.0)
        x = x + step * direction
        residual = residual - step * image
        conditioned = precondition(residual)
        previous, power = power, _inner(residual, conditioned)
        direction = conditioned + torch.where(power > goal, power / previous, 0.0) * direction
    return x


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=(-2, -1), keepdim=True)
