"""What goes into the conditional channels of a network: samples of the prior's leads that were measured."""

import torch
from torch import Tensor

from reconstruction.measurement.operators import LinearOperator, SamplewiseOperator


def measured_samples(
    operator: LinearOperator, y: Tensor, method: str = "the amortised sampler"
) -> tuple[Tensor, Tensor]:
    """Turns a measurement `y (B, C', L')` into samples of the prior's leads, where it is no more and no less than that.

    Two limb leads at one time give leads I and II exactly.

    Returns:
        ECG in mV with zeros where nothing is known, and where it is known (bool), each of shape (B, C, L).

    Raises:
        ValueError: If a part of it is something else, such as a single limb lead other than I and II; names `method`.
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


def only_whole_leads(observed: Tensor) -> Tensor:
    """Tells the records, (B, 1, 1), of which leads were measured throughout or not at all, from `observed (B, C, L)`.

    Of the others, the denoiser's one estimate from noise alone is worse than the average of samples (measured on
    PTB-XL's fold 9): next to what was measured, details show only at low noise.
    """
    return (observed == observed[..., :1]).all(dim=-1).all(dim=-1)[:, None, None]
