r"""Distilling the conditional denoiser, so that a sample takes as few network calls as there are levels.

The noise levels are cut into segments. Within a segment that ends at noise `f`, the student learns the estimate with
which one step of DDIM from `(x_s, s)` lands on the point at `f` of the teacher's path through `x_s`. It learns it from
itself, one step of the teacher (Heun's) further down, where the path is shorter; at `f` that is exact. At its sampler's
levels, the starts of the segments, it then needs one call a segment.

References:
    Heek, Hoogeboom, Salimans, Multistep Consistency Models, 2024, arXiv 2403.06807 (Algorithm 1).
    Song, Dhariwal, Chen, Sutskever, Consistency Models, ICML 2023, arXiv 2303.01469.
"""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Generator, Tensor

from diffusion_prior.checkpoint import save_denoiser
from diffusion_prior.model.denoiser import Conditions, Denoiser
from diffusion_prior.model.preconditioned import joined_sigma
from diffusion_prior.model.schedule import EDMSchedule
from diffusion_prior.training.measurement_noise import MeasurementNoise
from diffusion_prior.training.objective import DenoisingObjective, NoiseLevels
from diffusion_prior.training.observation import ObservationPatterns
from diffusion_prior.training.trainer import Batch

LEVELS_MV = (80.0, 20.0, 3.0, 0.5)
"""From the first to the second the estimate is the posterior mean all the time, whatever was drawn."""


class ConsistencyDistillation(DenoisingObjective):
    r"""Weighted squared distance of the student's estimate to the one that its teacher's path asks for.

    With the target point `x_f`, the estimate from `x_s` is to be `(x_f - (f / s) x_s) / (1 - f / s)`. The weight is
    that of `DenoisingObjective` times `(1 - f / s)^2`, as the student's error counts in `x_f`.

    Args:
        denoiser: Student, whose weights are those of the teacher when this is built; without dropout.
        noise_levels: As the next four, of `DenoisingObjective`; not used for anything else than its draws.
        patterns: See there.
        label_dropout: See there.
        measurement_noise: See there.
        covariate_dropout: See there.
        levels: Noise levels of the student's network calls in mV, descending; the last segment ends at the least noise.
        n_substeps: Steps of the teacher in a segment.

    Raises:
        ValueError: If the levels do not descend or go beyond the schedule's, there are no substeps, or the student has
            dropout or no schedule of noise levels.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        noise_levels: NoiseLevels,
        patterns: ObservationPatterns,
        label_dropout: float = 0.5,
        measurement_noise: MeasurementNoise | None = None,
        covariate_dropout: float = 0.5,
        levels: Sequence[float] = LEVELS_MV,
        n_substeps: int = 8,
    ) -> None:
        super().__init__(
            denoiser,
            noise_levels,
            patterns,
            label_dropout,
            measurement_noise=measurement_noise,
            covariate_dropout=covariate_dropout,
        )
        schedule = denoiser.schedule
        if not isinstance(schedule, EDMSchedule):
            raise ValueError("distillation is for priors with a schedule of noise levels: choose backbone=unet1d")
        ends = (*levels, schedule.sigma_min)
        descending = all(high > low for high, low in zip(ends, ends[1:], strict=False))
        if not levels or not descending or levels[0] > schedule.sigma_max or n_substeps < 1:
            raise ValueError(
                f"distillation needs levels that descend from {schedule.sigma_max:g} mV or less to above "
                f"{schedule.sigma_min:g}, and n_substeps of at least 1, not {list(levels)} and {n_substeps}"
            )
        if any(isinstance(part, torch.nn.Dropout) and part.p > 0 for part in denoiser.modules()):
            raise ValueError("a student learns from its own estimates: set model.backbone.dropout=0")
        self.levels = tuple(float(level) for level in levels)
        # In a tuple, as the trainer would train, average and save the teacher too.
        self._teacher = (copy.deepcopy(denoiser).eval().requires_grad_(False),)
        paths = []
        for high, low in zip(ends, ends[1:], strict=False):
            segment = EDMSchedule(low, high)
            paths.append(segment(segment.grid(n_substeps, torch.zeros(())))[1])
        self._paths = torch.stack(paths)  # levels of the teacher's steps, (segments, n_substeps + 1)

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Draws what the denoising objective does, but for the noise level: that of one of the teacher's steps."""
        drawn = super().draw(batch, generator)
        n_segments, n_places = self._paths.shape
        segment = torch.randint(n_segments, (len(drawn["x"]),), generator=generator)
        place = torch.randint(n_places - 1, (len(drawn["x"]),), generator=generator)
        return drawn | self._step(segment, place)

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns drawn batches by name: at each level of the sampler, lead I alone measured."""
        plain = super().validation_batches(batch, generator)
        drawn = plain[f"lead_I/{self.validation_levels[0]:g}"]
        place = torch.zeros(len(drawn["x"]), dtype=torch.long)
        return {
            f"lead_I/{level:g}": drawn | self._step(torch.full_like(place, segment), place)
            for segment, level in enumerate(self.levels)
        }

    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each record of a drawn batch, shape (B,)."""
        x, observed, sigma_y = batch["x"], batch["observed"], batch["sigma_y"]
        label = batch["label"] if self.denoiser.n_labels else None
        conditions = Conditions(label, batch["y"], observed, sigma_y, batch.get("covariates"))
        high, low, end = (batch[name][:, None, None] for name in ("sigma", "lower", "end"))
        x_t = x + high * batch["noise"]
        with torch.no_grad():
            x_s = self._teach(x_t, high, low, conditions)
            share = end / low
            x_f = share * x_s + (1 - share) * self._estimate(self.denoiser, x_s, low, conditions)
            target = (x_f - end / high * x_t) / (1 - end / high)
        error = self._estimate(self.denoiser, x_t, high, conditions) - target
        sigma_y = sigma_y[..., None].expand_as(x)
        s_u = joined_sigma(batch["sigma"], observed, sigma_y)
        weight = torch.where(observed & (sigma_y == 0), 0, s_u**-2 + self.denoiser.sigma_data**-2)
        loss = (weight * error.square()).sum(dim=(1, 2)) / (weight > 0).sum(dim=(1, 2)).clamp(min=1)
        return loss * (1 - batch["end"] / batch["sigma"]).square()

    def save(self, path: Path, step: int) -> None:
        """Writes the student's weights, and the levels that they are for."""
        save_denoiser(path, self.denoiser, {"steps": step, "distilled": {"levels": list(self.levels)}})

    def _step(self, segment: Tensor, place: Tensor) -> Batch:
        """Returns where steps of the teacher start and end, and the ends of their segments, in mV, each (B,)."""
        return {
            "sigma": self._paths[segment, place],
            "lower": self._paths[segment, place + 1],
            "end": self._paths[segment, -1],
        }

    def _teach(self, x_t: Tensor, high: Tensor, low: Tensor, conditions: Conditions) -> Tensor:
        """Takes one step of Heun's method on the teacher's path (Karras et al. 2022, Algorithm 1)."""
        teacher = self._teacher[0].to(x_t.device)
        slope = (x_t - self._estimate(teacher, x_t, high, conditions)) / high
        x_s = x_t + (low - high) * slope
        return x_t + (low - high) / 2 * (slope + (x_s - self._estimate(teacher, x_s, low, conditions)) / low)

    @staticmethod
    def _estimate(denoiser: Denoiser, x: Tensor, sigma: Tensor, conditions: Conditions) -> Tensor:
        return denoiser(x, denoiser.schedule.inverse(sigma[:, 0, 0]), conditions)
