"""What the prior is trained on: denoising at random noise levels, with and without measured samples and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from diffusion_prior.checkpoint import save_denoiser
from diffusion_prior.denoiser import Denoiser
from diffusion_prior.observation import ObservationPatterns

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class NoiseLevels:
    """Log-normal distribution of training noise levels (Karras et al. 2022, Table 1), in mV.

    The mean over 10 s hides a slow quantity such as a lead's amplitude only at noise far above the signal, so the
    distribution reaches well beyond 1 mV.

    Attributes:
        log_mean: Mean of log sigma.
        log_std: Standard deviation of log sigma.
    """

    log_mean: float = -0.6
    log_std: float = 1.6

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Draws levels, one from each n-th of the distribution in random order, shape (n,)."""
        strata = torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)
        u = (strata / n).clamp(1e-4, 1 - 1e-4)
        return (self.log_mean + self.log_std * 2**0.5 * torch.erfinv(2 * u - 1)).exp()


class DenoisingObjective(nn.Module):
    r"""Weighted denoising error, `E[w (D(alpha (x + sigma z)) - x)^2]` over samples not measured, `w = 1 / c_out^2`.

    Args:
        denoiser: Denoiser to train; its conditions are drawn here.
        noise_levels: Distribution of training noise levels.
        patterns: Distribution of measured samples.
        label_dropout: Probability of hiding a record's labels; 1 trains an unconditional prior.
        validation_levels: Noise levels of the validation loss, mV.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        noise_levels: NoiseLevels,
        patterns: ObservationPatterns,
        label_dropout: float = 0.5,
        validation_levels: Sequence[float] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    ) -> None:
        super().__init__()
        self.denoiser, self.noise_levels, self.patterns = denoiser, noise_levels, patterns
        self.label_dropout, self.validation_levels = label_dropout, tuple(validation_levels)

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Adds noise levels, noise, labels that are left and measured samples to a batch with `x` and `label`."""
        x, label = batch["x"], batch["label"]
        keep = torch.rand(len(x), 1, generator=generator) >= self.label_dropout
        return {
            "x": x,
            "label": label * keep,
            "sigma": self.noise_levels.draw(len(x), generator),
            "noise": torch.randn(x.shape, generator=generator),
            "observed": self.patterns.draw(tuple(x.shape), generator),
        }

    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each record of a drawn batch, shape (B,)."""
        x, sigma, observed = batch["x"], batch["sigma"], batch["observed"]
        sigma_data, t = self.denoiser.sigma_data, self.denoiser.schedule.inverse(sigma)
        alpha = self.denoiser.schedule(t)[0][:, None, None]
        x_t = alpha * (x + sigma[:, None, None] * batch["noise"])
        estimate = self.denoiser(x_t, t, batch["label"] if self.denoiser.n_labels else None, x, observed)
        weight = (sigma.square() + sigma_data**2) / (sigma * sigma_data).square()
        error = (estimate - x).square().sum(dim=(1, 2)) / (~observed).sum(dim=(1, 2)).clamp(min=1)
        return weight * error

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns one drawn batch for each noise level, without measured samples and with lead I alone, by name."""
        none = torch.zeros(batch["x"].shape, dtype=torch.bool)
        lead_i = none.clone()
        lead_i[:, 0] = True
        noise = torch.randn(batch["x"].shape, generator=generator)
        drawn = {}
        for name, observed in (("none", none), ("lead_I", lead_i)):
            for sigma in self.validation_levels:
                levels = torch.full((len(noise),), sigma)
                label = torch.zeros_like(batch["label"])
                drawn[f"{name}/{sigma:g}"] = {
                    "x": batch["x"], "label": label, "sigma": levels, "noise": noise, "observed": observed
                }  # fmt: skip
        return drawn

    def save(self, path: Path, step: int) -> None:
        """Writes the denoiser's weights to a safetensors file, as they are after `step` steps."""
        save_denoiser(path, self.denoiser, {"steps": step})
