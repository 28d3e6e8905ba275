"""What speaks for and against hypotheses: how well the leads fit together, and what the prior says of the likely ones.

The prior's word is the denoising loss of the ECG as a hypothesis has it, |D(x + s z) - x|^2 / s^2 at a noise level s,
with D the denoiser and z white noise: the smaller, the more probable the prior finds x, and the same z for all
hypotheses takes the chance out of their difference. Integrated over all levels, half of it is minus the log likelihood,
but for what does not depend on x (Kong et al., Information-Theoretic Diffusion, 2023, arXiv 2302.03792). One low level
tells as much: on fold 9, two levels or two draws told no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_prior.model.denoiser import Conditions, Denoiser
from einthoven.randomness import seeded_generator
from reconstruction.electrodes.covariance import misfits
from reconstruction.electrodes.maps import AS_RECORDED, LIMB, NEIGHBOURS, REVERSED, Hypothesis

LEVEL_MV = 0.07
"""Noise level of the losses."""
COMMON = (AS_RECORDED, LIMB, NEIGHBOURS, REVERSED)
"""Kinds of hypotheses that the prior is always asked about."""
N_RARE = 6
"""Others that it is asked about: those that fit best."""
BATCH = 16


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against hypotheses.

    Attributes:
        misfit: How badly the leads fit together, shape (hypotheses,).
        loss: The prior's loss in each lead, shape (hypotheses, 8); NaN of hypotheses that it was not asked about, zero
            of leads that were not measured.
    """

    misfit: NDArray[np.float64]
    loss: NDArray[np.float64]


class Judge:
    """Collects the evidence, with a prior of the eight independent leads and their usual covariance, (8, 8)."""

    def __init__(self, denoiser: Denoiser, law: NDArray[np.float64], seed: int = 0) -> None:
        self.denoiser, self.law, self.seed = denoiser, law, seed

    def __call__(self, ecg: Tensor, measured: Tensor, hypotheses: Sequence[Hypothesis], key: int | str) -> Evidence:
        """Looks at a recording.

        Args:
            ecg: The eight leads as recorded, filtered, in mV, shape (8, L).
            measured: Leads that were measured, shape (8,).
            hypotheses: Hypotheses that can be undone, the first being "as recorded".
            key: Key of the record, to which the noise belongs.
        """
        undo = np.stack([one.undo for one in hypotheses if one.undo is not None])
        misfit = misfits(ecg.cpu().numpy(), measured.cpu().numpy(), undo, self.law)
        asked = [place for place, one in enumerate(hypotheses) if one.kind in COMMON]
        rest = [place for place in np.argsort(misfit, kind="stable").tolist() if place not in asked]
        asked += rest[:N_RARE]
        swapped = torch.from_numpy(undo[asked]).to(ecg) @ ecg
        some = denoising_losses(self.denoiser, swapped, measured, self.seed, key)
        loss = np.full((len(undo), *some.shape[1:]), np.nan)
        loss[asked] = some
        return Evidence(misfit, loss)


@torch.inference_mode()
def denoising_losses(denoiser: Denoiser, x: Tensor, measured: Tensor, seed: int, key: int | str) -> NDArray[np.float64]:
    """Returns the losses of ECGs x (B, 8, L) in mV by lead, (B, 8), zero where not measured, `measured` (8,).

    The noise belongs to the seed and the key, and is the same for all of them.
    """
    noise = torch.randn(x.shape[1:], generator=seeded_generator(seed, key)).to(x)
    found = [
        (_denoise(denoiser, part, noise, measured) - part).square().double().sum(dim=-1) for part in x.split(BATCH)
    ]
    return (torch.cat(found) * measured / LEVEL_MV**2).cpu().numpy()


def _denoise(denoiser: Denoiser, x: Tensor, noise: Tensor, measured: Tensor) -> Tensor:
    """Denoises ECGs (B, 8, L). Where leads were not measured the others are a noisy measurement to the network."""
    y = x + LEVEL_MV * noise
    if bool(measured.all()):
        return denoiser(y, denoiser.schedule.inverse(x.new_tensor(LEVEL_MV)))
    time = x.new_ones(())
    start = (denoiser.schedule(time)[1] * noise.flip(-1)).expand_as(x)
    there = measured[None, :, None].expand_as(x)
    return denoiser(start, time, Conditions(y=y, observed=there, sigma_y=x.new_full(x.shape[:2], LEVEL_MV)))
