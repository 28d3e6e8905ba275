"""What the prior is trained on: denoising at random noise levels, with and without measured samples and labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Generator, Tensor

from diffusion_prior.checkpoint import save_denoiser
from diffusion_prior.model.denoiser import Conditions, Denoiser
from diffusion_prior.model.epsilon import EpsilonDenoiser
from diffusion_prior.model.preconditioned import joined_sigma
from diffusion_prior.training.measurement_noise import MeasurementNoise
from diffusion_prior.training.noise_objective import NoiseObjective
from diffusion_prior.training.observation import ObservationPatterns
from diffusion_prior.training.trainer import Batch, Objective

N_CALIBRATION = 32
"""Most records that the gain of estimates is measured on."""

_PARTS = ObservationPatterns(lead_i=0.1, leads=0.5, blocks=0.3, points=0.1)
"""What is measured of a noisy record that is not measured whole."""


@dataclass(frozen=True)
class NoiseLevels:
    """Log-normal distribution of training noise levels (Karras et al. 2022, Table 1), in mV: that of log sigma.

    The mean over 10 s hides a slow quantity such as a lead's amplitude only at noise far above the signal, so the
    distribution reaches well beyond 1 mV.
    """

    log_mean: float = -0.6
    log_std: float = 1.6

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Draws levels, one from each n-th of the distribution in random order, shape (n,)."""
        strata = torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)
        u = (strata / n).clamp(1e-4, 1 - 1e-4)
        return (self.log_mean + self.log_std * 2**0.5 * torch.erfinv(2 * u - 1)).exp()


def build_objective(
    denoiser: Denoiser,
    settings: Mapping[str, Any],
    unconditional: bool = False,
    validation: Callable[[], Batch] | None = None,
) -> "DenoisingObjective | NoiseObjective":
    """Builds the objective of a denoiser's kind from plain data.

    Args:
        denoiser: Denoiser to train.
        settings: `label_dropout`; and but for an `EpsilonDenoiser` `covariate_dropout`, `noise_levels`, `patterns` and
            `measurement_noise` (`path` and `share`, or None) and, where the denoiser as it is shall be distilled,
            `distillation` (`levels` and `n_substeps`).
        unconditional: Trains without labels.
        validation: Reads the validation records; an `EpsilonDenoiser` measures the gain of its estimates on some.

    Raises:
        ValueError: If a setting is missing, not known to the objective or not usable.
    """
    wanted = {"label_dropout"}
    if not denoiser.finds_noise:
        wanted |= {"covariate_dropout", "noise_levels", "patterns", "measurement_noise"}
    distillation = settings.get("distillation")
    if settings.keys() - {"distillation"} != wanted or (denoiser.finds_noise and distillation):
        raise ValueError(
            f"the objective of this prior has the settings {', '.join(sorted(wanted))}, not "
            f"{', '.join(sorted(settings))}: choose backbone=sashimi or backbone=unet1d, which go with their models"
        )
    label_dropout = 1.0 if unconditional else settings["label_dropout"]
    if denoiser.finds_noise:
        records = {} if validation is None else validation()
        calibration = {name: value[:N_CALIBRATION] for name, value in records.items()} or None
        return NoiseObjective(cast(EpsilonDenoiser, denoiser), label_dropout, calibration=calibration)
    noise = settings["measurement_noise"]
    make: Callable[..., DenoisingObjective] = DenoisingObjective
    if distillation:
        from diffusion_prior.training.distillation import ConsistencyDistillation

        make = partial(ConsistencyDistillation, **distillation)
    return make(
        denoiser,
        NoiseLevels(**settings["noise_levels"]),
        ObservationPatterns(**settings["patterns"]),
        label_dropout,
        measurement_noise=MeasurementNoise.read(**noise, sampling_rate=denoiser.sampling_rate) if noise else None,
        covariate_dropout=settings["covariate_dropout"],
    )


def _exact(x: Tensor, label: Tensor, sigma: Tensor, noise: Tensor, observed: Tensor) -> Batch:
    """Returns a drawn batch whose measured samples are exact."""
    exact = {"y": x, "sigma_y": torch.zeros(x.shape[:2])}
    return {"x": x, "label": label, "sigma": sigma, "noise": noise, "observed": observed, **exact}


class DenoisingObjective(Objective):
    r"""Weighted denoising error, `E[w (D(alpha (x + sigma z)) - x)^2]` over samples not measured exactly.

    The weight `w = 1 / c_out^2` is the precision of `PreconditionedDenoiser`.

    Args:
        denoiser: Denoiser to train; its conditions are drawn here.
        noise_levels: Distribution of training noise levels.
        patterns: Distribution of measured samples.
        label_dropout: Probability of hiding a record's labels; 1 trains an unconditional prior.
        validation_levels: Noise levels of the validation loss, mV.
        measurement_noise: Noise of measured samples; None: they are exact.
        covariate_dropout: Probability of hiding each covariate of a record (`Denoiser.covariates`).
    """

    def __init__(
        self,
        denoiser: Denoiser,
        noise_levels: NoiseLevels,
        patterns: ObservationPatterns,
        label_dropout: float = 0.5,
        validation_levels: Sequence[float] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
        measurement_noise: MeasurementNoise | None = None,
        covariate_dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.covariate_dropout = covariate_dropout
        self.denoiser, self.noise_levels, self.patterns = denoiser, noise_levels, patterns
        self.label_dropout, self.validation_levels = label_dropout, tuple(validation_levels)
        self.measurement_noise = measurement_noise

    def sources(self) -> dict[str, str]:
        """Returns the hash of the noise that measured samples get, where they get any."""
        return {"noise": self.measurement_noise.digest} if self.measurement_noise else {}

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Adds noise levels, noise and measured samples to a batch, and hides some labels and covariates."""
        x = batch["x"]
        label = batch["label"] * (torch.rand(len(x), 1, generator=generator) >= self.label_dropout)
        sigma, noise = self.noise_levels.draw(len(x), generator), torch.randn(x.shape, generator=generator)
        drawn = _exact(x, label, sigma, noise, self.patterns.draw(tuple(x.shape), generator))
        if self.denoiser.covariates:
            hidden = torch.rand(batch["covariates"].shape, generator=generator) < self.covariate_dropout
            drawn["covariates"] = torch.where(hidden, torch.nan, batch["covariates"])
        return self._add_noise(drawn, self.measurement_noise.share, generator) if self.measurement_noise else drawn

    def _add_noise(self, batch: Batch, share: float, generator: Generator) -> Batch:
        """Makes the measured samples of a share of the records noisy; most of these have all leads measured."""
        assert self.measurement_noise is not None
        x, observed = batch["x"], batch["observed"]
        rows = torch.rand(len(x), generator=generator) < share
        if not rows.any():
            return batch
        whole = torch.rand(len(x), generator=generator) < 0.6
        measured = torch.where(whole[:, None, None], torch.ones_like(observed), _PARTS.draw(tuple(x.shape), generator))
        observed = torch.where(rows[:, None, None], measured, observed)
        y, sigma_y = x.clone(), batch["sigma_y"].clone()
        noise, sigma_y[rows] = self.measurement_noise.draw(x[rows], generator)
        y[rows] += noise
        return {**batch, "observed": observed, "y": y, "sigma_y": sigma_y}

    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each record of a drawn batch, shape (B,)."""
        x, sigma, observed = batch["x"], batch["sigma"], batch["observed"]
        t = self.denoiser.schedule.inverse(sigma)
        alpha = self.denoiser.schedule(t)[0][:, None, None]
        x_t = alpha * (x + sigma[:, None, None] * batch["noise"])
        label, sigma_y = batch["label"] if self.denoiser.n_labels else None, batch["sigma_y"]
        conditions = Conditions(label, batch["y"], observed, sigma_y, batch.get("covariates"))
        estimate = self.denoiser(x_t, t, conditions)
        sigma_y = sigma_y[..., None].expand_as(x)
        s_u = joined_sigma(sigma, observed, sigma_y)
        weight = torch.where(observed & (sigma_y == 0), 0, s_u**-2 + self.denoiser.sigma_data**-2)
        return (weight * (estimate - x).square()).sum(dim=(1, 2)) / (weight > 0).sum(dim=(1, 2)).clamp(min=1)

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns drawn batches by name: for each noise level without measured samples and with lead I alone.

        With measurement noise, one more has all leads measured with noise, at the highest one.
        """
        none = torch.zeros(batch["x"].shape, dtype=torch.bool)
        lead_i = none.clone()
        lead_i[:, 0] = True
        noise = torch.randn(batch["x"].shape, generator=generator)
        label, drawn = torch.zeros_like(batch["label"]), {}
        for name, observed in (("none", none), ("lead_I", lead_i)):
            for sigma in self.validation_levels:
                levels = torch.full((len(noise),), sigma)
                drawn[f"{name}/{sigma:g}"] = _exact(batch["x"], label, levels, noise, observed)
        if self.measurement_noise is not None:
            drawn["noisy"] = self._add_noise({**drawn[f"none/{sigma:g}"]}, 1.0, generator)
        return drawn

    def save(self, path: Path, step: int) -> None:
        """Writes the denoiser's weights to a safetensors file, as they are after `step` steps."""
        save_denoiser(path, self.denoiser, {"steps": step})
