r"""Noise removed by a conditional diffusion model that is trained on pairs of clean and noisy ECGs: DeScoD-ECG.

Reference:
    Li, Ditzler, Roveda, Li, DeScoD-ECG: Deep Score-Based Diffusion Model for ECG Baseline Wander and Noise Removal,
    IEEE J. Biomed. Health Inform. 2023, arXiv 2208.00542.

The paper's: the noisy ECG as condition; T = 50 steps of `sqrt(beta)` linear from `sqrt(1e-4)` to `sqrt(0.5)` (as its
published code has it); `alpha = sqrt(alpha_bar)` drawn evenly between two steps as an input of the network; the L1
error of the predicted Gaussian noise; ancestral sampling, and the average of several shots. Ours: the network, which
predicts `v` (Salimans and Ho 2022, arXiv 2202.00512), from which the Gaussian noise follows; eight leads at once; one
model for all noises (there: one lead, beats, models of their own); and the data. In units of `sigma_data`, `x_t = alpha
x + sqrt(1 - alpha^2) e`, `e` standard normal. The published steps are coarse: even with the exact prediction, for
Gaussian signals and noise of half their variance, the samples' variance is 0.289, the posterior's 0.333.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from diffusion_prior.training.trainer import Batch
from einthoven.randomness import Generators, randn
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.rivals.network import RivalNetwork
from reconstruction.rivals.noise import NoisyObjective
from reconstruction.rivals.sampler import RivalSampler, noisy_leads
from reconstruction.samplers.base import Calls, Draws


class DescodNetwork(RivalNetwork):
    """Predicts the Gaussian noise of a noised ECG, beside the noisy measurement.

    Args:
        spec: As for `RivalNetwork`, and optionally `diffusion`: `n_steps`, `beta_start`, `beta_end`.

    Attributes:
        betas: Variance of each step's noise, shape (T,), float64.
        alpha_bars: Share of the variance that is left of the ECG before the first step and after each, (T + 1,).
    """

    kind: ClassVar[str] = "descod"
    n_in: ClassVar[int] = 2
    n_out: ClassVar[int] = 1

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__(spec)
        diffusion = {"n_steps": 50, "beta_start": 1e-4, "beta_end": 0.5, **spec.get("diffusion", {})}
        first, last, n_steps = (diffusion[name] for name in ("beta_start", "beta_end", "n_steps"))
        if not 0 < first <= last < 1 or n_steps < 1:
            raise ValueError(f"need 0 < beta_start <= beta_end < 1 and n_steps of at least 1, got {diffusion}")
        self.betas = torch.linspace(first**0.5, last**0.5, n_steps, dtype=torch.float64).square()
        self.alpha_bars = torch.cat([self.betas.new_ones(1), (1 - self.betas).cumprod(dim=0)])

    def forward(self, x_t: Tensor, y: Tensor, alpha: Tensor) -> Tensor:
        """Predicts the Gaussian noise `e = alpha v + sqrt(1 - alpha^2) x_t` of noised ECGs.

        Args:
            x_t: Noised ECG, in units of `sigma_data`, shape (B, C, L), that of the result.
            y: Noisy measurement in mV, shape (B, C, L).
            alpha: `sqrt(alpha_bar)`, shape (B,).
        """
        given = torch.cat([x_t, y / self.sigma_data], dim=1)
        v = self.backbone(given, alpha, alpha.new_zeros(len(alpha), 0)).to(x_t)
        alpha = alpha[:, None, None]
        return alpha * v + (1 - alpha.square()).clamp(min=0).sqrt() * x_t


class DescodObjective(NoisyObjective[DescodNetwork]):
    """L1 error of the predicted Gaussian noise."""

    network_type: ClassVar[type[RivalNetwork]] = DescodNetwork

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Draws the noisy ECGs `y` in mV, shape (B, C, L), `alpha`, shape (B,), and Gaussian noise."""
        return self._draw_alpha(super().draw(batch, generator), generator)

    def _draw_alpha(self, batch: Batch, generator: Generator) -> Batch:
        """Draws a step for each record, one from each B-th of them in random order, and an `alpha` within the step."""
        n, roots = len(batch["x"]), self.network.alpha_bars.sqrt().float()
        place = (torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)) / n
        step = (place * (len(roots) - 1)).long().clamp(max=len(roots) - 2)
        within = torch.rand(n, generator=generator)
        alpha = torch.lerp(roots[step], roots[step + 1], within)
        return {**batch, "alpha": alpha, "gaussian": torch.randn(batch["x"].shape, generator=generator)}

    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each record of a drawn batch, shape (B,)."""
        alpha = batch["alpha"][:, None, None]
        x_t = alpha * batch["x"] / self.network.sigma_data + (1 - alpha.square()).sqrt() * batch["gaussian"]
        predicted = self.network(x_t, batch["y"], batch["alpha"])
        return (predicted - batch["gaussian"]).abs().mean(dim=(1, 2))

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns drawn batches by the type of noise, all at one ratio."""
        noisy = super().validation_batches(batch, generator)
        return {kind: self._draw_alpha(part, generator) for kind, part in noisy.items()}


class Descod(RivalSampler[DescodNetwork]):
    """Samples by T ancestral steps; each sample is a shot, their average is the paper's estimate."""

    network_type: ClassVar[type[RivalNetwork]] = DescodNetwork

    @torch.no_grad()
    def __call__(self, likelihood: GaussianLikelihood, n_samples: int, generator: Generators) -> Draws:
        """Draws samples: see `PosteriorSampler`; all leads have to be measured throughout."""
        network, y = self.network, noisy_leads(likelihood, "descod")
        shape = (n_samples, *y.shape)
        given = y.expand(shape).flatten(0, 1)
        betas, alpha_bars = network.betas.tolist(), network.alpha_bars.tolist()
        x = randn(shape, generator, y.dtype, y.device)
        for step in reversed(range(len(betas))):
            beta, now, before = betas[step], alpha_bars[step + 1], alpha_bars[step]
            alpha = y.new_full((len(given),), now**0.5)
            predicted = network(x.flatten(0, 1), given, alpha).reshape(shape)
            clean = (x - (1 - now) ** 0.5 * predicted) / now**0.5
            x = (beta * before**0.5 * clean + (1 - before) * (1 - beta) ** 0.5 * x) / (1 - now)
            if step > 0:
                x = x + (beta * (1 - before) / (1 - now)) ** 0.5 * randn(shape, generator, y.dtype, y.device)
        samples = network.sigma_data * x
        return Draws(samples, samples.mean(dim=0), Calls(network=len(betas)))
