"""What the prior says for and against hypotheses: the denoising loss of the ECG as each of them has it.

The loss of an ECG x at a noise level s is |D(x + s z) - x|^2 / s^2, D the denoiser and z white noise: the smaller, the
more probable the prior finds x, and the same z for all hypotheses takes the chance out of their difference. Integrated
over all levels, half of it is minus the log likelihood, but for what does not depend on x (Kong et al.,
Information-Theoretic Diffusion, 2023, arXiv 2302.03792). A few levels tell as much, the low ones most.

All hypotheses are looked at for a few seconds at one level, and those that are left for ten at others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_prior.model.denoiser import Conditions, Denoiser
from einthoven.randomness import seeded_generator
from reconstruction.electrodes.maps import AS_RECORDED, GAIN, Hypothesis

FIRST_LEVEL_MV = 0.1
FIRST_S = 2.56
LEVELS_MV = (0.05, 0.2)
"""Noise levels of the second look."""
N_LEFT, N_GAINS_LEFT = 8, 2
"""Hypotheses that it is given to. Gains are counted apart: a smaller lead is always easier to denoise."""
BATCH_SAMPLES = 16_000
"""Samples of one lead in a call of the network."""


@dataclass(frozen=True)
class Evidence:
    """Losses of hypotheses.

    Attributes:
        first: Loss at the first look, shape (hypotheses,).
        second: Losses at `LEVELS_MV`, shape (hypotheses, levels); NaN of those that were not left.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]


class Judge:
    """Computes losses with a prior of the eight independent leads."""

    def __init__(self, denoiser: Denoiser, seed: int = 0) -> None:
        self.denoiser, self.seed = denoiser, seed

    def __call__(self, ecg: Tensor, measured: Tensor, hypotheses: Sequence[Hypothesis], key: int | str) -> Evidence:
        """Looks at all hypotheses once, and at the likely ones again.

        Args:
            ecg: The eight leads as recorded, filtered, in mV, shape (8, L).
            measured: Leads that were measured, shape (8,).
            hypotheses: Hypotheses that can be undone, the first being "as recorded".
            key: Key of the record, to which the noise belongs.
        """
        undo = torch.from_numpy(np.stack([one.undo for one in hypotheses if one.undo is not None])).to(ecg)
        n_first = min(ecg.shape[-1], round(FIRST_S * self.denoiser.sampling_rate))
        first = self.losses(undo @ ecg[:, :n_first], measured, FIRST_LEVEL_MV, f"{key}/first")
        left = left_over(first, hypotheses)
        second = np.full((len(undo), len(LEVELS_MV)), np.nan)
        for column, level in enumerate(LEVELS_MV):
            second[left, column] = self.losses(undo[left] @ ecg, measured, level, f"{key}/{column}")
        return Evidence(first, second)

    @torch.inference_mode()
    def losses(self, x: Tensor, measured: Tensor, level: float, key: str) -> NDArray[np.float64]:
        """Returns the loss of each ECG of x (B, 8, L) at a noise level in mV, shape (B,)."""
        noise = torch.randn(x.shape[1:], generator=seeded_generator(self.seed, key)).to(x)
        found = []
        for part in x.split(max(1, BATCH_SAMPLES // x.shape[-1])):
            error = (self._denoise(part, noise, measured, level) - part)[:, measured]
            found.append(error.square().sum(dim=(1, 2)) / level**2)
        return torch.cat(found).double().cpu().numpy()

    def _denoise(self, x: Tensor, noise: Tensor, measured: Tensor, level: float) -> Tensor:
        """Denoises ECGs (B, 8, L). Where leads were not measured the others are a noisy measurement to the network."""
        if bool(measured.all()):
            return self.denoiser(x + level * noise, self.denoiser.schedule.inverse(x.new_tensor(level)))
        time = x.new_ones(())
        start = (self.denoiser.schedule(time)[1] * noise.flip(-1)).expand_as(x)
        there = measured[None, :, None].expand_as(x)
        sigma = x.new_full(x.shape[:2], level)
        return self.denoiser(start, time, Conditions(y=x + level * noise, observed=there, sigma_y=sigma))


def left_over(first: NDArray[np.float64], hypotheses: Sequence[Hypothesis]) -> list[int]:
    """Returns the places of the hypotheses that get the second look, "as recorded" first."""
    order = np.argsort(first, kind="stable").tolist()
    gains = [place for place in order if hypotheses[place].kind == GAIN][:N_GAINS_LEFT]
    others = [place for place in order if hypotheses[place].kind not in (GAIN, AS_RECORDED)][:N_LEFT]
    return [0, *others, *gains]
