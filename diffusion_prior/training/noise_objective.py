"""What a prior of discrete steps is trained on: finding the noise at random steps, as RhythmDiff's is.

References:
    Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv 2006.11239.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from diffusion_prior.checkpoint import save_denoiser
from diffusion_prior.model.denoiser import Conditions
from diffusion_prior.model.epsilon import EpsilonDenoiser
from diffusion_prior.training.trainer import Batch, Objective
from einthoven.randomness import seeded_generator

GAIN_SHARES: tuple[float, ...] = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
"""Where gains are measured, as shares of the steps; between them they are interpolated."""


@torch.no_grad()
def measure_gain(denoiser: EpsilonDenoiser, x: Tensor, label: Tensor, chunk: int = 16) -> list[list[float]]:
    """Measures how much the estimates of a network that finds noise are worth, step by step.

    `(x_t - sigma_t F) / alpha_t` multiplies the network's error by `sigma_t / alpha_t`, up to 157 at RhythmDiff's last
    step: there the estimate of a network that has not been trained for very long is mostly noise, and samplers that add
    none of their own never lose it. The error of a perfect estimate is orthogonal to it, so that its gain
    `E[x D] / E[D^2]` is one. With the gain of any other, by which the denoiser multiplies it, its squared error is
    least.

    Args:
        denoiser: The denoiser; a gain that it has already does not count.
        x: ECGs in mV that it was not trained on, shape (B, C, L).
        label: Multi-hot SCP statements, shape (B, 71).
        chunk: ECGs denoised at a time.

    Returns:
        Pairs of step and gain, from 0 to 1, ascending by step, always with the same noise.
    """
    generator, gain = seeded_generator("gain"), denoiser.gain
    device, pairs = denoiser.device, []
    noise = torch.randn(x.shape, generator=generator)
    denoiser.set_gain(None)
    for share in GAIN_SHARES:
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


class NoiseObjective(Objective):
    r"""Mean squared error of the noise that the network finds, `E[(F(alpha_k x + sigma_k z, k, label) - z)^2]`.

    The mean is over leads and samples, and steps k are drawn uniformly. A record of the denoiser's `record_length` or
    more samples has zeros put behind it as the denoiser pads, and the error counts there too.

    Args:
        denoiser: Denoiser to train.
        label_dropout: Probability of hiding a record's labels; 1 trains a prior that knows none.
        validation_shares: Steps of the validation loss, as shares of all steps.
        calibration: Records, `x` and `label`, that the gain of estimates is measured on when weights are saved
            (`estimate_gain`); None: it is one.
    """

    def __init__(
        self,
        denoiser: EpsilonDenoiser,
        label_dropout: float = 0.1,
        validation_shares: Sequence[float] = (0.02, 0.1, 0.3, 0.7),
        calibration: Batch | None = None,
    ) -> None:
        super().__init__()
        self.denoiser, self.label_dropout, self.calibration = denoiser, label_dropout, calibration
        self.validation_steps = tuple(round(share * (denoiser.schedule.n_steps - 1)) for share in validation_shares)

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Adds steps, noise and the labels that are left to a batch with `x` and `label`."""
        x = self._pad(batch["x"])
        n, n_steps = len(x), self.denoiser.schedule.n_steps
        keep = torch.rand(n, 1, generator=generator) >= self.label_dropout
        strata = torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)
        return {
            "x": x,
            "label": batch["label"] * keep,
            "step": (strata * (n_steps / n)).floor().clamp(max=n_steps - 1),
            "noise": torch.randn(x.shape, generator=generator),
        }

    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each record of a drawn batch, shape (B,)."""
        x, noise, t = batch["x"], batch["noise"], self.denoiser.schedule.time(batch["step"])
        alpha, sigma = self.denoiser.schedule(t)
        x_t = alpha[:, None, None] * x + sigma[:, None, None] * noise
        label = batch["label"] if self.denoiser.n_labels else None
        return (self.denoiser.noise(x_t, t, label) - noise).square().mean(dim=(1, 2))

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns drawn batches by name: for each step of the validation, without labels and, if known, with them."""
        x = self._pad(batch["x"])
        noise = torch.randn(x.shape, generator=generator)
        labels = {"none": torch.zeros_like(batch["label"])}
        if self.denoiser.n_labels:
            labels["labels"] = batch["label"]
        return {
            f"{name}/{step}": {"x": x, "label": label, "step": torch.full((len(x),), float(step)), "noise": noise}
            for name, label in labels.items()
            for step in self.validation_steps
        }

    def save(self, path: Path, step: int) -> None:
        """Writes the denoiser's weights to a safetensors file, as they are after `step` steps."""
        if self.calibration is not None and len(self.calibration["x"]):
            label = self.calibration["label"] * (self.label_dropout < 1)
            self.denoiser.set_gain(measure_gain(self.denoiser, self.calibration["x"], label))
            self.denoiser.spec["gain"] = self.denoiser.gain
        save_denoiser(path, self.denoiser, {"steps": step})

    def _pad(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, self.denoiser.padded_length(x.shape[-1]) - x.shape[-1]))
