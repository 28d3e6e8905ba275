"""How much the estimates of a network that finds noise are worth, step by step.

`(x_t - sigma_t F) / alpha_t` multiplies the network's error by `sigma_t / alpha_t`, up to 157 at RhythmDiff's last
step: there the estimate of a network that has not been trained for very long is mostly noise, and samplers that add
none of their own never lose it. The error of a perfect estimate is orthogonal to it, so that its gain
`E[x D] / E[D^2]` is one. With the gain of any other, by which the denoiser multiplies it, its squared error is least.
"""

import torch
from torch import Tensor

from diffusion_prior.model.denoiser import Conditions
from diffusion_prior.model.epsilon import EpsilonDenoiser
from einthoven.randomness import seeded_generator

SHARES: tuple[float, ...] = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
"""Where gains are measured, as shares of the steps; between them they are interpolated."""


@torch.no_grad()
def measure_gain(denoiser: EpsilonDenoiser, x: Tensor, label: Tensor, chunk: int = 16) -> list[list[float]]:
    """Measures the gain of a denoiser's estimates on ECGs that it was not trained on.

    Args:
        denoiser: The denoiser; a gain that it has already does not count.
        x: ECGs in mV, shape (B, C, L).
        label: Multi-hot SCP statements, shape (B, 71).
        chunk: ECGs denoised at a time.

    Returns:
        Pairs of step and gain, from 0 to 1, ascending by step, always with the same noise.
    """
    generator, gain = seeded_generator("gain"), denoiser.gain
    device, pairs = denoiser.device, []
    noise = torch.randn(x.shape, generator=generator)
    denoiser.set_gain(None)
    for share in SHARES:
        step = round(share * (denoiser.schedule.n_steps - 1))
        t = denoiser.schedule.time(torch.tensor(step))
        alpha, sigma = denoiser.schedule(t)
        product, square = 0.0, 0.0
        for start in range(0, len(x), chunk):
            rows = slice(start, start + chunk)
            x_t = alpha * x[rows] + sigma * noise[rows]
            known = label[rows].to(device) if denoiser.n_labels else None
            estimate = denoiser(x_t.to(device), t, Conditions(known)).cpu()
            product += float((estimate * x[rows]).double().sum())
            square += float(estimate.double().square().sum())
        pairs.append([step, min(max(product / square, 0.0), 1.0) if square else 1.0])
    denoiser.set_gain(gain)
    return pairs
