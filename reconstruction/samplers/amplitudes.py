"""How much more the amplitudes of leads differ between patients than between samples of a network.

A network that saw few patients draws leads whose amplitudes agree too well with each other. What its samples lack is a
covariance of logarithms, fitted for its weights (see `reconstruction.calibration.spread`): each sample gets one
factor a lead, drawn with it, so that neighbouring chest leads grow and shrink together. Where further leads were
measured, theirs need no factor, and the factors of the others are drawn given that.
"""

import torch
from torch import Tensor


def draw_factors(covariance: Tensor, known: Tensor, z: Tensor) -> Tensor:
    """Draws the factors of the leads of samples; 1 where a lead is known.

    Gaussian logarithms with mean 0, given that those of known leads are 0 (Matheron's rule). Their median is 1, so a
    lead's median amplitude stays.

    Args:
        covariance: Covariance of the logarithms, shape (C, C), on the CPU as `z`.
        known: Leads that were measured, bool of shape (B, C).
        z: Standard normal numbers, shape (S, B, C).

    Returns:
        Factors, shape (S, B, C), on the device of `known`.
    """
    covariance, mask = covariance.double(), known.cpu().double()
    values, vectors = torch.linalg.eigh(covariance)
    logs = z.double() @ (vectors * values.clamp(min=0.0).sqrt()).T
    inner = mask[:, :, None] * covariance * mask[:, None]
    gain = covariance @ torch.linalg.pinv(inner, rtol=1e-9, hermitian=True)
    logs = logs - torch.einsum("bij,sbj->sbi", gain, mask * logs)
    return torch.where(known, 1.0, logs.exp().to(known.device, z.dtype))
